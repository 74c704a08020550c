"""Copies a list of images by builds in the global region, and waits until each is there.

No Pulumi: what the resource ``MirroredImages`` does, over any ECR and CodeBuild client. Only what
is missing is copied, so a run that failed or was stopped goes on where it was.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError
from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from webhook.copy_job import variables
from webhook.mirror import EcrClient, error_code, is_there
from webhook.reference import Reference, parse

PARALLEL_BUILDS = 20
"""CodeBuild queues what exceeds an account's quota; this keeps the queue short for others."""
POLL_SECONDS = 15
MOST_SECONDS = 3 * 3600
_MOST_IDS = 100  # of one batch_get_builds (botocore data/codebuild, BatchGetBuildsInput)


class BuildClient(Protocol):
    """The part of boto3's CodeBuild client that is used."""

    def start_build(self, **request: Any) -> dict[str, Any]: ...

    def batch_get_builds(self, **request: Any) -> dict[str, Any]: ...


class ImagesMissing(Exception):
    """Some images could not be copied; the message names each with its reason and the way out."""

    def __init__(self, failed: dict[str, str]) -> None:
        lines = [f"  {source}: {reason}" for source, reason in sorted(failed.items())]
        super().__init__(
            f"{len(failed)} images could not be copied; what was copied stays, and `pulumi up` "
            "goes on with these:\n" + "\n".join(lines)
        )
        self.failed = failed


@dataclass
class InventoryCopies:
    """One run of copies.

    Attributes:
        ecr: client of the registry's region.
        builds: client of the build region.
        project: CodeBuild project that copies one image per build.
        registry: ``<ecr host>/<prefix>``.
        say: gets a line whenever something has changed.
    """

    ecr: EcrClient
    builds: BuildClient
    project: str
    registry: str
    say: Callable[[str], None]
    poll_seconds: float = POLL_SECONDS
    most_seconds: float = MOST_SECONDS
    _waiting: deque[Reference] = field(default_factory=deque[Reference], init=False)
    _running: dict[str, Reference] = field(default_factory=dict[str, Reference], init=False)
    _failed: dict[str, str] = field(default_factory=dict[str, str], init=False)
    _width: int = field(default=PARALLEL_BUILDS, init=False)

    def run(self, images: Iterable[str]) -> int:
        """Returns when a copy of every image is in the registry.

        Returns:
            How many had to be copied.

        Raises:
            ImagesMissing: some could not be; the others are there.
            ClientError, BotoCoreError: registry or builds cannot be asked at all.
        """
        wanted = [source for source in map(parse, images) if self._needs_a_copy(source)]
        self._waiting = deque(source for source in wanted if not self._is_there(source))
        missing = len(self._waiting)
        self.say(f"{len(wanted) - missing} of {len(wanted)} images are in {self.registry}")
        until = Retrying(
            retry=retry_if_result(lambda done: not done),
            stop=stop_after_delay(self.most_seconds),
            wait=wait_fixed(self.poll_seconds),
        )
        try:
            until(self._step)
        except RetryError:
            late = [*self._waiting, *self._running.values()]
            self._failed |= {str(source): "its copy did not end in time" for source in late}
        if self._failed:
            raise ImagesMissing(self._failed)
        return missing

    def _needs_a_copy(self, source: Reference) -> bool:
        return not source.ecr_region and not source.belongs_to(self.registry)

    def _is_there(self, source: Reference) -> bool:
        return is_there(self.ecr, self.registry.partition("/")[2], source)

    def _step(self) -> bool:
        """Looks at the builds that run and starts others; True: none is left."""
        before = len(self._waiting) + len(self._running)
        for build in self._described():
            if build["buildStatus"] != "IN_PROGRESS":
                self._ended(self._running.pop(str(build["id"])), build)
        while self._waiting and len(self._running) < self._width:
            if not self._start(self._waiting.popleft()):
                break
        left = len(self._waiting) + len(self._running)
        if left != before:
            failed = f", {len(self._failed)} failed" if self._failed else ""
            self.say(f"copying images: {left} to go{failed}")
        return not left

    def _start(self, source: Reference) -> bool:
        """Starts one build; False: the account takes no more for now."""
        try:
            answer = self.builds.start_build(
                projectName=self.project,
                environmentVariablesOverride=[
                    {"name": name, "value": value, "type": "PLAINTEXT"}
                    for name, value in variables(source, self.registry).items()
                ],
            )
        except (ClientError, BotoCoreError) as failure:
            if error_code(failure) == "AccountLimitExceededException":
                self._waiting.appendleft(source)
                self._width = max(1, len(self._running))
                return False
            self._failed[str(source)] = f"its build could not be started ({error_code(failure)})"
            return True
        self._running[str(answer["build"]["id"])] = source
        return True

    def _described(self) -> list[dict[str, Any]]:
        ids = list(self._running)
        return [
            build
            for start in range(0, len(ids), _MOST_IDS)
            for build in self.builds.batch_get_builds(ids=ids[start : start + _MOST_IDS])["builds"]
        ]

    def _ended(self, source: Reference, build: dict[str, Any]) -> None:
        if build["buildStatus"] != "SUCCEEDED":
            self._failed[str(source)] = _reason(build)
        elif not self._is_there(source):
            self._failed[str(source)] = f"build {build['id']} succeeded and left no image"


def _reason(build: dict[str, Any]) -> str:
    """What went wrong, and where its log is."""
    messages = [
        str(context["message"]).strip()
        for phase in build.get("phases") or []
        for context in phase.get("contexts") or []
        if context.get("message")
    ]
    log = (build.get("logs") or {}).get("deepLink")
    said = messages[-1] if messages else "no message"
    return f"{build['buildStatus'].lower()}: {said}{f' ({log})' if log else ''}"
