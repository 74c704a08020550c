"""Copies a list of images by builds in the global region, and waits until each is there.

No Pulumi: what the resource ``MirroredImages`` does, over any ECR and CodeBuild client. Only what
is missing is copied, so a run that failed or was stopped goes on where it was. Each build
waits for a machine and installs its tools, so that many images share one; how it went is asked of
the registry, image by image.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError
from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from images.reference import Reference, parse
from webhook.claims import error_code, reason_of
from webhook.copy_job import overrides
from webhook.mirror import EcrClient, is_there

PARALLEL_BUILDS = 20
"""CodeBuild queues what exceeds an account's quota; this keeps the queue short for others."""
IMAGES_PER_BUILD = 10
POLL_SECONDS = 15
MOST_SECONDS = 3 * 3600
_LEAST_MINUTES, _MOST_MINUTES = 5, 480  # of a build's limits (shape TimeOut, likewise)
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
        project: CodeBuild project that copies images.
        registry: ``<ecr host>/<prefix>``.
        told: why the last copy of an image failed, as its build wrote it down; empty: nothing is
            known.
        say: gets a line whenever something has changed.
    """

    ecr: EcrClient
    builds: BuildClient
    project: str
    registry: str
    told: Callable[[str], str]
    say: Callable[[str], None]
    poll_seconds: float = POLL_SECONDS
    most_seconds: float = MOST_SECONDS
    _waiting: list[Reference] = field(default_factory=list[Reference], init=False)
    _running: dict[str, Sequence[Reference]] = field(
        default_factory=dict[str, Sequence[Reference]], init=False
    )
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
        self._waiting = [source for source in wanted if not self._is_there(source)]
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
            late = [*self._waiting, *self._copying()]
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
        before = self._left()
        for build in self._described():
            if build["buildStatus"] != "IN_PROGRESS":
                self._ended(self._running.pop(str(build["id"])), build)
        while self._waiting and len(self._running) < self._width:
            if not self._start(self._next_batch()):
                break
        left = self._left()
        if left != before:
            failed = f", {len(self._failed)} failed" if self._failed else ""
            self.say(f"copying images: {left} to go{failed}")
        return not left

    def _left(self) -> int:
        return len(self._waiting) + len(self._copying())

    def _copying(self) -> list[Reference]:
        return [source for batch in self._running.values() for source in batch]

    def _next_batch(self) -> list[Reference]:
        """What the next build gets: an equal share of what waits, were all free builds started.

        The share is dealt out like cards: neighbours in an inventory are of a kind, such as the
        notebooks of some gigabytes each.
        """
        return self._waiting[:: self._width - len(self._running)][:IMAGES_PER_BUILD]

    def _start(self, batch: Sequence[Reference]) -> bool:
        """Starts one build; False: the account takes no more for now, and the images wait on."""
        minutes = min(_MOST_MINUTES, max(_LEAST_MINUTES, math.ceil(self.most_seconds / 60)))
        try:
            answer = self.builds.start_build(
                projectName=self.project,
                environmentVariablesOverride=overrides(batch, self.registry),
                # The project's own limits are meant for one image that a pod waits for.
                timeoutInMinutesOverride=minutes,
                queuedTimeoutInMinutesOverride=minutes,
            )
        except (ClientError, BotoCoreError) as failure:
            if error_code(failure) == "AccountLimitExceededException":
                self._width = max(1, len(self._running))
                return False
            reason = f"its build could not be started ({error_code(failure)})"
            self._failed |= {str(source): reason for source in batch}
        else:
            self._running[str(answer["build"]["id"])] = batch
        self._waiting = [source for source in self._waiting if source not in batch]
        return True

    def _described(self) -> list[dict[str, Any]]:
        ids = list(self._running)
        return [
            build
            for start in range(0, len(ids), _MOST_IDS)
            for build in self.builds.batch_get_builds(ids=ids[start : start + _MOST_IDS])["builds"]
        ]

    def _ended(self, batch: Sequence[Reference], build: dict[str, Any]) -> None:
        for source in batch:
            if not self._is_there(source):
                self._failed[str(source)] = self._why(source, build)

    def _why(self, source: Reference, build: dict[str, Any]) -> str:
        match build["buildStatus"]:
            case "SUCCEEDED":
                return f"build {build['id']} succeeded and left no image"
            case "FAILED":  # at its end, so that it has written a reason for each image
                return self.told(str(source)) or _reason(build)
            case _:
                return _reason(build)


def written_reasons(table: Any, name: str) -> Callable[[str], str]:
    """``told`` of the table of copies; what cannot be asked is not known.

    Args:
        table: boto3's DynamoDB client.
        name: of the table.
    """

    def told(image: str) -> str:
        try:
            answer = table.get_item(TableName=name, Key={"image": {"S": image}})
        except (ClientError, BotoCoreError):
            return ""
        return reason_of(answer.get("Item") or {})

    return told


def _reason(build: dict[str, Any]) -> str:
    """What went wrong, and where its log is."""
    messages = [
        str(context["message"]).strip()
        for phase in build.get("phases") or []
        for context in phase.get("contexts") or []
        if context.get("message")
    ]
    log = (build.get("logs") or {}).get("deepLink")
    # CodeBuild quotes the failed command, here a whole script, and ends with "Reason: exit status".
    said = messages[-1].rpartition("Reason: ")[2] if messages else "no message"
    return f"{build['buildStatus'].lower()}: {said}{f' ({log})' if log else ''}"
