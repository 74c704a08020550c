"""Checks of what is in the bucket of artifacts: where it is, and that it can be read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ops.account_calls import aws_call
from ops.cli_errors import Refused
from ops.findings import Finding, good, note, problem
from ops.parallel import in_parallel
from ops.verification.check import Check
from ops.verification.once import Once
from ops.verification.platform import Platform
from review.blocks import counted
from settings import Settings

_PAGES = 10
"""Of a thousand keys each, per folder; S3 lists by name, so that more would only take longer."""
_AT_ONCE = 8
_NAMED = 5
"""Of many entries in the wrong place so many are named."""
_OF_A_POD = r"[^/]+/\d{4}/\d{2}/\d{2}/[^/]+/"
"""Argo's keyFormat below the prefix (manifests/26.03/pipelines/workflow-controller.yaml)."""
_LOG = re.compile(f"{_OF_A_POD}main\\.log")
_ARTIFACT = re.compile(f"({_OF_A_POD}|v2/artifacts/).+")
_SAMPLE = 64 * 1024


@dataclass
class Folder:
    """The objects of a profile, or of all profiles where they share a folder.

    Attributes:
        namespace: of the profile; empty: of all.
        prefix: of the keys, with a slash at its end.
        logs: of pods, as S3 lists them.
        artifacts: other files of runs.
        others: what has no place in the layout.
        whole: whether all objects were listed.
    """

    namespace: str
    prefix: str
    logs: list[Mapping[str, Any]] = field(default_factory=list[Mapping[str, Any]])
    artifacts: list[Mapping[str, Any]] = field(default_factory=list[Mapping[str, Any]])
    others: list[Mapping[str, Any]] = field(default_factory=list[Mapping[str, Any]])
    whole: bool = True

    def add(self, each: Mapping[str, Any]) -> None:
        """Sorts an object in by its key."""
        below = each["Key"].removeprefix(self.prefix)
        if _LOG.fullmatch(below):
            self.logs.append(each)
        elif _ARTIFACT.fullmatch(below):
            self.artifacts.append(each)
        elif not below.endswith("/"):
            self.others.append(each)


@dataclass(frozen=True)
class Content:
    """What was found in the bucket.

    Attributes:
        folders: of profiles.
        beside: what else is at the bucket's root.
        strange: what else is in the folder of all profiles.
    """

    folders: Sequence[Folder]
    beside: Sequence[str]
    strange: Sequence[str]


def content(platform: Platform) -> Content:
    """Lists the bucket.

    Raises:
        Refused: there is no such bucket.
        CallFailed
    """
    bucket, s3 = platform.context.bucket(platform.settings.artifacts), platform.client("s3")
    with aws_call("s3:ListBucket"):
        try:
            return _content(platform.settings, bucket, s3)
        except s3.exceptions.NoSuchBucket:
            raise Refused(f"there is no bucket {bucket}: see bucket-settings.") from None


def _content(settings: Settings, bucket: str, s3: Any) -> Content:
    artifacts = settings.artifacts
    root = f"{artifacts.prefix}/"
    top = _entries(s3, bucket, "")
    # The role of a profile is limited to its own folder; a static key has the whole bucket.
    if artifacts.credentials == "static-key":
        names, strange = [""], []
    else:
        names = [user.namespace for user in settings.users]
        known = {root, *(f"{root}{name}/" for name in names)}
        strange = [each for each in _entries(s3, bucket, root) if each not in known]
    folders = [Folder(name, f"{root}{name}/" if name else root) for name in names]
    for _ in in_parallel(folders, lambda folder: _fill(folder, s3, bucket), _AT_ONCE):
        pass
    beside = [each for each in top if not root.startswith(each) and not each.startswith(root)]
    return Content(folders, beside, strange)


def _entries(s3: Any, bucket: str, prefix: str) -> list[str]:
    """Folders, with a slash at the end, and objects directly below a prefix."""
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix=prefix, Delimiter="/", PaginationConfig={"MaxItems": 1000 * _PAGES}
    )
    return [
        entry
        for page in pages
        for entry in (
            *(each["Prefix"] for each in page.get("CommonPrefixes", [])),
            *(each["Key"] for each in page.get("Contents", [])),
        )
    ]


def _fill(folder: Folder, s3: Any, bucket: str) -> None:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=folder.prefix)
    for number, page in enumerate(pages, start=1):
        for each in page.get("Contents", []):
            folder.add(each)
        if number == _PAGES:
            folder.whole = not page.get("IsTruncated")
            return


_CONTENT: Once[Content] = Once(content)


def bucket_layout(platform: Platform) -> Iterator[Finding]:
    """Every object is in the folder of its profile, logs and artifacts in their places."""
    bucket = platform.context.bucket(platform.settings.artifacts)
    found = _CONTENT.of(platform)
    for folder in found.folders:
        yield from _of_folder(f"s3://{bucket}/{folder.prefix}", folder)
    yield from _elsewhere(
        bucket,
        found.strange,
        "is of no user of the stack file: of one who has left, or somebody else's",
    )
    prefix = platform.settings.artifacts.prefix
    reason = f"is beside {prefix}/, where no pod of a user gets"
    # components/backend/policies.py, api_server_access.
    of_pipelines_1 = [each for each in found.beside if each == "pipelines/"]
    yield from _elsewhere(bucket, of_pipelines_1, f"{reason}: definitions of Pipelines 1")
    others = [each for each in found.beside if each not in of_pipelines_1]
    yield from _elsewhere(bucket, others, reason)


def _elsewhere(bucket: str, entries: Sequence[str], reason: str) -> Iterator[Finding]:
    for entry in entries[:_NAMED]:
        yield note(f"s3://{bucket}/{entry}", reason)
    if len(entries) > _NAMED:
        number = counted(len(entries) - _NAMED, "more entry", "more entries")
        yield note(f"s3://{bucket}", f"has {number} there")


def _of_folder(about: str, folder: Folder) -> Iterator[Finding]:
    every = [*folder.logs, *folder.artifacts, *folder.others]
    if not every:
        yield good(about, "is empty: nothing has run yet")
        return
    most = "" if folder.whole else f", among the first {1000 * _PAGES:,} objects"
    newest = max(each["LastModified"] for each in every)
    counts = f"{counted(len(folder.logs), 'log')} and {counted(len(folder.artifacts), 'artifact')}"
    yield good(about, f"{counts}{most}, the newest of {_time(newest)}")
    if folder.others:
        example = folder.others[0]["Key"]
        number = counted(len(folder.others), "object")
        reason = f"has {number} that are neither log nor artifact of a run, such as {example}"
        yield note(about, f"{reason}: pods of the profile have written them, by themselves")


def _time(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M} UTC"


def bucket_log(platform: Platform) -> Iterator[Finding]:
    """The newest log of a pod of a workflow can be read, and has text."""
    logs = [each for folder in _CONTENT.of(platform).folders for each in folder.logs]
    yield from _newest(platform, "logs", "log", logs)


def bucket_artifact(platform: Platform) -> Iterator[Finding]:
    """The newest artifact of a run can be read, and is not empty."""
    artifacts = [each for folder in _CONTENT.of(platform).folders for each in folder.artifacts]
    yield from _newest(platform, "artifacts", "artifact", artifacts)


def _newest(
    platform: Platform, many: str, one: str, objects: Sequence[Mapping[str, Any]]
) -> Iterator[Finding]:
    if not objects:
        command = f"`./kf verify --stack {platform.stack} --deep`"
        yield note(many, f"there are none yet: {command} runs a pipeline, which has some")
        return
    # A step that prints nothing has an empty log, and one that succeeds may write an empty file.
    full = [each for each in objects if each["Size"]]
    if not full:
        way_out = (
            "where the steps do print or write something, read `kubectl logs` of their pods, "
            "container wait"
        )
        yield note(many, f"all {len(objects)} are empty: {way_out}")
        return
    newest = max(full, key=lambda each: each["LastModified"])
    bucket, key = platform.context.bucket(platform.settings.artifacts), newest["Key"]
    s3 = platform.client("s3")
    with aws_call("s3:GetObject"):
        answer = s3.get_object(Bucket=bucket, Key=key, Range=f"bytes=0-{_SAMPLE - 1}")
        content = answer["Body"].read()
    about = f"s3://{bucket}/{key}"
    if not content:
        yield problem(about, f"has {newest['Size']} bytes in the list and none when it is read")
        return
    sealed = answer.get("ServerSideEncryption")
    if sealed != "aws:kms":
        reason = f"is encrypted by {sealed or 'nothing'}, and not with the stack's key"
        yield problem(about, f"{reason}: `pulumi up` sets the bucket's encryption")
    yield good(about, f"the newest {one}, {newest['Size']:,} bytes of "
               f"{_time(newest['LastModified'])}, can be read")  # fmt: skip


CHECKS: tuple[Check, ...] = (
    Check("bucket-layout", "the names of the objects in the bucket", bucket_layout),
    Check("bucket-log", "the newest log of a pod of a workflow", bucket_log),
    Check("bucket-artifact", "the newest artifact of a run", bucket_artifact),
)
