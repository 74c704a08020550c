"""Copies a list of images by builds in the build region, and waits until each copy exists.

No Pulumi: what the resource ``MirroredImages`` does, over any ECR and CodeBuild client. Only what
is missing, or is not what is known of it, is copied, so that a run continues one that failed or was
stopped. Several images share a build, because each build waits for a machine and installs its
tools. Whether an image was copied is looked up in the registry, not in the build.

A copy has the digest of its whole source, or of the one platform in it that was copied. The digest
of a source is known from images.lock, or from the first copy, whose build records it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError
from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from components.dynamic.provider import Refused
from images.reference import Reference, parse
from webhook.claims import error_code
from webhook.copy_job import overrides
from webhook.copy_reasons import CopyReason, words
from webhook.mirror import copy_name, described

PARALLEL_BUILDS = 20
"""CodeBuild queues what exceeds an account's quota; this leaves room for the account's others."""
IMAGES_PER_BUILD = 10
MOST_SECONDS = 3 * 3600
"""For a whole run, and for each build in it."""


_INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)


class BuildClient(Protocol):
    """The part of boto3's CodeBuild client that is used."""

    def start_build(self, **request: Any) -> dict[str, Any]:
        """``StartBuild``."""
        ...

    def batch_get_builds(self, **request: Any) -> dict[str, Any]:
        """``BatchGetBuilds``."""
        ...


@dataclass(frozen=True)
class Record:
    """What the last build of an image wrote down.

    Attributes:
        reason: why it failed, a code of ``webhook.copy_reasons``; empty: it did not, or there is no
            record.
        source: digest of the whole source; empty: unknown.
    """

    reason: str = ""
    source: str = ""


@dataclass(frozen=True)
class Digests:
    """What is known of an image that was copied.

    Attributes:
        copy: digest of its copy.
        source: digest of the whole source; empty: unknown.
    """

    copy: str
    source: str = ""


class ImagesMissing(Refused):
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
        record: what the last build of an image wrote down.
        report: receives a line at every progress.
        locked: source -> digest of the whole source, from images.lock.
        before: source -> what an earlier run found.
        poll_seconds: between two looks at the builds.
        most_seconds: for the run.
    """

    ecr: Any
    builds: BuildClient
    project: str
    registry: str
    record: Callable[[str], Record]
    report: Callable[[str], object]
    locked: Mapping[str, str] = field(default_factory=dict[str, str])
    before: Mapping[str, Digests] = field(default_factory=dict[str, Digests])
    poll_seconds: float = 15
    most_seconds: float = MOST_SECONDS
    _waiting: list[Reference] = field(default_factory=list[Reference], init=False)
    _running: dict[str, Sequence[Reference]] = field(
        default_factory=dict[str, Sequence[Reference]], init=False
    )
    _failed: dict[str, str] = field(default_factory=dict[str, str], init=False)
    _width: int = field(default=PARALLEL_BUILDS, init=False)

    def run(self, images: Iterable[str]) -> dict[str, Digests]:
        """Copy the missing images; return when the right copy of every image is in the registry.

        Returns:
            What is known of each image now.

        Raises:
            ImagesMissing: some could not be copied; copies of the others exist.
            ClientError, BotoCoreError: the registry or the builds cannot be read at all.
        """
        sources = [
            source
            for source in map(parse, images)
            if not source.ecr_region and not source.belongs_to(self.registry)
        ]
        present = {source: self._present(source) for source in sources}
        self._waiting = [s for s in sources if not self._is_right(s, present[s])]
        missing, due = len(self._waiting), set(self._waiting)
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
        return {str(s): self._digests(s, present[s], copied=s in due) for s in sources}

    def _present(self, source: Reference) -> Mapping[str, Any] | None:
        """ECR's description of the copy; None: there is none."""
        return described(self.ecr, self.registry.partition("/")[2], source)

    def _known(self, source: Reference) -> str:
        """The digest that the whole source must have; empty: unknown."""
        before = self.before.get(str(source))
        return self.locked.get(str(source)) or (before.source if before else "")

    def _is_right(self, source: Reference, present: Mapping[str, Any] | None) -> bool:
        """Whether a copy is there and is what is known of it."""
        if present is None:
            return False
        known, before, digest = self._known(source), self.before.get(str(source)), _digest(present)
        if source.digest or not known or digest == known:
            return True
        if before and before.source:
            return (digest, known) == (before.copy, before.source)
        # Without a record of both digests, a copy of one platform counts as right: it has its own.
        return present.get("imageManifestMediaType") not in (None, *_INDEXES)

    def _digests(
        self, source: Reference, present: Mapping[str, Any] | None, *, copied: bool
    ) -> Digests:
        if not copied and present is not None:
            return Digests(_digest(present), self._known(source))
        now = self._present(source) or {}
        return Digests(_digest(now), self._known(source) or self.record(str(source)).source)

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
                environmentVariablesOverride=overrides(
                    batch,
                    self.registry,
                    known={copy_name(source): self._known(source) or None for source in batch},
                ),
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
            if not self._arrived(source, build):
                self._failed[str(source)] = self._failure(source, build)

    def _arrived(self, source: Reference, build: dict[str, Any]) -> bool:
        """Whether a build that has ended left the right copy; it compared what it copied itself."""
        present, known = self._present(source), self._known(source)
        if present is None:
            return False
        if build["buildStatus"] == "SUCCEEDED" or source.digest or not known:
            return True
        record = self.record(str(source))
        return _digest(present) == known or (record.source == known and not record.reason)

    def _words(self, source: Reference, reason: str) -> str:
        """A recorded reason in words; of a digest with the way out."""
        known = self._known(source)
        if reason == CopyReason.WRONG_DIGEST and known:
            return (
                f"{words(reason)}: it must be {known}, and its registry has another image under "
                "this name. Find out why, then renew images.lock (`./kf images lock --refresh`), "
                "or push the right image to its copy's name"
            )
        return words(reason)

    def _failure(self, source: Reference, build: dict[str, Any]) -> str:
        match build["buildStatus"]:
            case "SUCCEEDED":
                return f"build {build['id']} succeeded and left no image"
            case "FAILED":  # the build ran to its end and recorded a reason for each image
                reason = self.record(str(source)).reason
                return self._words(source, reason) if reason else _reason(build)
            case _:
                return _reason(build)


def records(dynamodb: Any, table: str) -> Callable[[str], Record]:
    """``record`` from the table of copies; empty also where it cannot be read."""

    def record(image: str) -> Record:
        try:
            response = dynamodb.get_item(TableName=table, Key={"image": {"S": image}})
        except (ClientError, BotoCoreError):
            return Record()
        row: dict[str, Any] = response.get("Item") or {}
        return Record(
            *(str(row.get(name, {}).get("S", "")) for name in ("reason", "source_digest"))
        )

    return record


def _digest(description: Mapping[str, Any]) -> str:
    return str(description.get("imageDigest", ""))


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
