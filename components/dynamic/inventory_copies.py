"""Copies a list of images by builds in the build region, and waits until each copy exists.

No Pulumi: what the resource ``MirroredImages`` does, over any ECR and CodeBuild client. Only
missing images are copied, so that a run continues one that failed or was stopped. Several images
share a build, because each build waits for a machine and installs its tools. Whether an image was
copied is looked up in the registry, not in the build.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError
from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from images.reference import Reference, parse
from webhook.claims import error_code, reason_of
from webhook.copy_job import overrides
from webhook.mirror import described

PARALLEL_BUILDS = 20
"""CodeBuild queues what exceeds an account's quota; this leaves room for the account's others."""
IMAGES_PER_BUILD = 10
MOST_SECONDS = 3 * 3600
"""For a whole run, and for each build in it."""


class BuildClient(Protocol):
    """The part of boto3's CodeBuild client that is used."""

    def start_build(self, **request: Any) -> dict[str, Any]:
        """``StartBuild``."""
        ...

    def batch_get_builds(self, **request: Any) -> dict[str, Any]:
        """``BatchGetBuilds``."""
        ...


class ImagesMissing(Exception):
    """Some images could not be copied; the message names each with its reason and the way out."""

    def __init__(self, failed: dict[str, str]) -> None:
        lines = [f"  {source}: {reason}" for source, reason in sorted(failed.items())]
        super().__init__(
            f"{len(failed)} images could not be copied; the other copies exist, and `pulumi up` "
            "tries these again:\n" + "\n".join(lines)
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
        recorded_failure: why the last copy of an image failed, as its build recorded it; empty:
            there is no record.
        report: receives a line at every progress.
        poll_seconds: between two looks at the builds.
        most_seconds: for the run.
    """

    ecr: Any
    builds: BuildClient
    project: str
    registry: str
    recorded_failure: Callable[[str], str]
    report: Callable[[str], object]
    poll_seconds: float = 15
    most_seconds: float = MOST_SECONDS
    _waiting: list[Reference] = field(default_factory=list[Reference], init=False)
    _running: dict[str, Sequence[Reference]] = field(
        default_factory=dict[str, Sequence[Reference]], init=False
    )
    _failed: dict[str, str] = field(default_factory=dict[str, str], init=False)
    _width: int = field(default=PARALLEL_BUILDS, init=False)

    def run(self, images: Iterable[str]) -> int:
        """Copy the missing images; return when a copy of every image is in the registry.

        Returns:
            How many were copied.

        Raises:
            ImagesMissing: some could not be copied; copies of the others exist.
            ClientError, BotoCoreError: the registry or the builds cannot be read at all.
        """
        sources = [
            source
            for source in map(parse, images)
            if not source.ecr_region and not source.belongs_to(self.registry)
        ]
        self._waiting = [source for source in sources if not self._has_copy(source)]
        missing = len(self._waiting)
        self.report(f"{len(sources) - missing} of {len(sources)} images are in {self.registry}")
        repeated = Retrying(
            retry=retry_if_result(lambda done: not done),
            stop=stop_after_delay(self.most_seconds),
            wait=wait_fixed(self.poll_seconds),
        )
        try:
            repeated(self._step)
        except RetryError:
            late = self._unfinished()
            self._failed |= {str(source): "its copy did not end in time" for source in late}
        if self._failed:
            raise ImagesMissing(self._failed)
        return missing

    def _has_copy(self, source: Reference) -> bool:
        return described(self.ecr, self.registry.partition("/")[2], source) is not None

    def _unfinished(self) -> list[Reference]:
        return [*self._waiting, *(source for batch in self._running.values() for source in batch)]

    def _step(self) -> bool:
        """Evaluates builds that have ended and starts others; True: every build has ended."""
        before = len(self._unfinished())
        if self._running:
            # PARALLEL_BUILDS identifiers at most; CodeBuild takes 100.
            for build in self.builds.batch_get_builds(ids=[*self._running])["builds"]:
                if build["buildStatus"] != "IN_PROGRESS":
                    self._ended(self._running.pop(str(build["id"])), build)
        while self._waiting and (free := self._width - len(self._running)) > 0:
            # Every n-th image, for n free builds: adjacent images of an inventory are alike, for
            # instance notebooks of some gigabytes each, and go to different builds.
            if not self._start(self._waiting[::free][:IMAGES_PER_BUILD]):
                break
        left = len(self._unfinished())
        if left != before:
            failed = f", {len(self._failed)} failed" if self._failed else ""
            self.report(f"copying images: {left} to go{failed}")
        return not left

    def _start(self, batch: Sequence[Reference]) -> bool:
        """Starts one build; False: the account's quota is used up, and the images wait on."""
        try:
            response = self.builds.start_build(
                projectName=self.project,
                environmentVariablesOverride=overrides(batch, self.registry),
                # The project's own limits are for one image that a pod waits for.
                timeoutInMinutesOverride=MOST_SECONDS // 60,
                queuedTimeoutInMinutesOverride=MOST_SECONDS // 60,
            )
        except (ClientError, BotoCoreError) as failure:
            if error_code(failure) == "AccountLimitExceededException":
                self._width = max(1, len(self._running))
                return False
            reason = f"its build could not be started ({error_code(failure)})"
            self._failed |= {str(source): reason for source in batch}
        else:
            self._running[str(response["build"]["id"])] = batch
        self._waiting = [source for source in self._waiting if source not in batch]
        return True

    def _ended(self, batch: Sequence[Reference], build: dict[str, Any]) -> None:
        for source in batch:
            if not self._has_copy(source):
                self._failed[str(source)] = self._failure(source, build)

    def _failure(self, source: Reference, build: dict[str, Any]) -> str:
        match build["buildStatus"]:
            case "SUCCEEDED":
                return f"build {build['id']} succeeded and left no image"
            case "FAILED":  # the build ran to its end and recorded a reason for each image
                return self.recorded_failure(str(source)) or _reason(build)
            case _:
                return _reason(build)


def recorded_failures(dynamodb: Any, table: str) -> Callable[[str], str]:
    """``recorded_failure`` from the table of copies; empty also where it cannot be read."""

    def recorded_failure(image: str) -> str:
        try:
            response = dynamodb.get_item(TableName=table, Key={"image": {"S": image}})
        except (ClientError, BotoCoreError):
            return ""
        return reason_of(response.get("Item") or {})

    return recorded_failure


def _reason(build: dict[str, Any]) -> str:
    """CodeBuild's own message, and the address of its log."""
    messages = [
        str(context["message"]).strip()
        for phase in build.get("phases") or []
        for context in phase.get("contexts") or []
        if context.get("message")
    ]
    log = (build.get("logs") or {}).get("deepLink")
    # CodeBuild quotes the failed command, here a whole script, and ends with "Reason: exit status".
    message = messages[-1].rpartition("Reason: ")[2] if messages else "no message"
    return f"{build['buildStatus'].lower()}: {message}{f' ({log})' if log else ''}"
