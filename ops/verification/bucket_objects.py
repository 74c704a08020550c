"""Objects in the bucket that a verification reads, and its own ones, which it deletes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ops.account_calls import aws_call
from ops.verification.names import run_of

_AT_ONCE = 1000


def keys_below(s3: Any, bucket: str, prefix: str) -> list[str]:
    """The keys that begin with a prefix. Raises ``Refused``: AWS refuses it."""
    with aws_call("s3:ListBucket"):
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [str(each["Key"]) for page in pages for each in page.get("Contents", [])]


def folders_below(s3: Any, bucket: str, prefix: str) -> list[str]:
    """The prefixes one ``/`` below a prefix. Raises as ``keys_below``."""
    with aws_call("s3:ListBucket"):
        pages = s3.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix=prefix, Delimiter="/"
        )
        return [str(each["Prefix"]) for page in pages for each in page.get("CommonPrefixes", [])]


def text_of(s3: Any, bucket: str, key: str) -> str:
    """The text of an object. Raises as ``keys_below``."""
    with aws_call("s3:GetObject"):
        return s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode(errors="replace")


def delete_folder(s3: Any, bucket: str, folder: str) -> None:
    """Deletes every version of what is in a folder that a verification made.

    Raises:
        ValueError: it is another folder.
        Refused: AWS refuses it.
    """
    if not (folder.endswith("/") and run_of(folder)):
        raise ValueError(f"{folder} is no folder of a verification")
    with aws_call("s3:DeleteObjectVersion"):
        for versions in _versions(s3, bucket, folder):
            s3.delete_objects(Bucket=bucket, Delete={"Objects": versions, "Quiet": True})


def _versions(s3: Any, bucket: str, prefix: str) -> Iterator[list[dict[str, str]]]:
    """Versions and markers of deleted objects, as many as one call deletes."""
    pages = s3.get_paginator("list_object_versions").paginate(
        Bucket=bucket, Prefix=prefix, PaginationConfig={"PageSize": _AT_ONCE}
    )
    for page in pages:
        found = [
            {"Key": each["Key"], "VersionId": each["VersionId"]}
            for kind in ("Versions", "DeleteMarkers")
            for each in page.get(kind, [])
        ]
        if found:
            yield found
