"""The locks of a stack in a file or S3 backend."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3

from ops.account_calls import QUICK, aws_call
from ops.cli_errors import Refused
from toolchain.file_backend import LOCKS, Lock, lock_files


def locks(backend: str, project: str, stack: str, folder: Path) -> list[Lock] | None:
    """The locks of a stack; None where a backend has other locks.

    Args:
        backend: the URL of ``pulumi whoami``.
        project: the name in ``Pulumi.yaml``.
        stack: its name.
        folder: what a relative ``file://`` URL is relative to.

    Raises:
        CallFailed: S3 is out of reach, or refuses.
        Refused: a lock cannot be read.
    """
    scheme = urlsplit(backend).scheme
    if scheme not in ("file", "s3"):
        return None
    contents = _of_files(state_folder(backend, folder)) if scheme == "file" else _of_s3(backend)
    # A state of before projects has the stack alone.
    ends = (f"/{project}/{stack}", f"{LOCKS}{stack}")
    own = (
        content
        for key, content in contents
        if key.endswith(".json") and key.rpartition("/")[0].endswith(ends)
    )
    try:
        return [Lock.of(content) for content in own]
    except ValueError:
        raise Refused(
            "a lock of the stack cannot be read: make sure that no run is alive, then "
            "`pulumi cancel`."
        ) from None


def state_folder(backend: str, folder: Path) -> Path:
    """The folder of a ``file://`` backend."""
    path = backend.removeprefix("file://").partition("?")[0]
    return folder / Path(path).expanduser()


def _of_files(root: Path) -> Iterator[tuple[str, bytes]]:
    for file in lock_files(root):
        yield file.relative_to(root).as_posix(), file.read_bytes()


def _of_s3(backend: str) -> Iterator[tuple[str, bytes]]:
    url = urlsplit(backend)
    query = {name: values[-1] for name, values in parse_qs(url.query).items()}
    endpoint = query.get("endpoint")
    if endpoint and "://" not in endpoint:
        insecure = query.get("disableSSL") == "true"
        endpoint = f"{'http' if insecure else 'https'}://{endpoint}"
    prefix = f"{url.path.strip('/')}/".lstrip("/") + LOCKS
    with aws_call("s3"):
        session: Any = boto3.Session(
            profile_name=query.get("profile"), region_name=query.get("region")
        )
        s3 = session.client("s3", endpoint_url=endpoint, config=QUICK)
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=url.netloc, Prefix=prefix)
        for item in (item for page in pages for item in page.get("Contents", [])):
            content = s3.get_object(Bucket=url.netloc, Key=item["Key"])["Body"].read()
            yield item["Key"], content
