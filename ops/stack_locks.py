"""The locks of a stack in a file or S3 backend, and whether their owners are alive.

Pulumi writes ``.pulumi/locks/organization/<project>/<stack>/<id>.json`` before a run and deletes it
after; the owner's process, user, host and time are in it (pulumi/pulumi, pkg/backend/diy/lock.go).
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3

from ops.account_calls import QUICK, aws_call
from ops.cli_errors import Refused

_LOCKS = ".pulumi/locks/"


@dataclass(frozen=True)
class Lock:
    """One lock file."""

    pid: int
    username: str
    hostname: str
    timestamp: datetime

    @classmethod
    def of(cls, content: bytes) -> Lock:
        """The lock in a file's content.

        Raises:
            Refused: the content is something else.
        """
        try:
            value: dict[str, Any] = json.loads(content)
            timestamp = datetime.fromisoformat(value["timestamp"])
            return cls(int(value["pid"]), value["username"], value["hostname"], timestamp)
        except (ValueError, KeyError, TypeError):
            raise Refused(
                "a lock of the stack cannot be read: make sure that no run is alive, then "
                "`pulumi cancel`."
            ) from None

    def __str__(self) -> str:
        since = f"{self.timestamp.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        return f"{self.username}@{self.hostname} (process {self.pid}) since {since}"

    @property
    def here(self) -> bool:
        """Whether the owner ran on this machine."""
        return self.hostname == socket.gethostname()

    @property
    def alive(self) -> bool:
        """Whether the owner runs on this machine.

        A process that is younger than the lock has the owner's number and is another one.
        """
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        begin = _begin(self.pid)
        return begin is None or begin <= self.timestamp + timedelta(seconds=5)


def _begin(pid: int) -> datetime | None:
    """When a process began; None without ``ps`` (of POSIX: ``[[days-]hours:]minutes:seconds``)."""
    try:
        elapsed = subprocess.run(
            ["ps", "-o", "etime=", "-p", str(pid)], capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
    days, _, clock = elapsed.rpartition("-")
    seconds = sum(int(part) * 60**power for power, part in enumerate(reversed(clock.split(":"))))
    return datetime.now(UTC) - timedelta(days=int(days or 0), seconds=seconds)


def locks(backend: str, project: str, stack: str, folder: Path) -> list[Lock] | None:
    """The locks of a stack; None where a backend has other locks.

    Args:
        backend: the URL of ``pulumi whoami``.
        project: the name in ``Pulumi.yaml``.
        stack: its name.
        folder: what a relative ``file://`` URL is relative to.

    Raises:
        CallFailed: S3 is out of reach, or refuses.
    """
    scheme = urlsplit(backend).scheme
    if scheme not in ("file", "s3"):
        return None
    contents = _of_files(backend, folder) if scheme == "file" else _of_s3(backend)
    # A state of before projects has the stack alone.
    ends = (f"/{project}/{stack}", f"{_LOCKS}{stack}")
    return [
        Lock.of(content)
        for key, content in contents
        if key.endswith(".json") and key.rpartition("/")[0].endswith(ends)
    ]


def _of_files(backend: str, folder: Path) -> Iterator[tuple[str, bytes]]:
    path = backend.removeprefix("file://").partition("?")[0]
    root = folder / Path(path).expanduser()
    for file in sorted((root / _LOCKS).rglob("*.json")):
        yield file.relative_to(root).as_posix(), file.read_bytes()


def _of_s3(backend: str) -> Iterator[tuple[str, bytes]]:
    url = urlsplit(backend)
    query = {name: values[-1] for name, values in parse_qs(url.query).items()}
    endpoint = query.get("endpoint")
    if endpoint and "://" not in endpoint:
        insecure = query.get("disableSSL") == "true"
        endpoint = f"{'http' if insecure else 'https'}://{endpoint}"
    prefix = f"{url.path.strip('/')}/".lstrip("/") + _LOCKS
    with aws_call("s3"):
        session: Any = boto3.Session(
            profile_name=query.get("profile"), region_name=query.get("region")
        )
        s3 = session.client("s3", endpoint_url=endpoint, config=QUICK)
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=url.netloc, Prefix=prefix)
        for item in (item for page in pages for item in page.get("Contents", [])):
            content = s3.get_object(Bucket=url.netloc, Key=item["Key"])["Body"].read()
            yield item["Key"], content
