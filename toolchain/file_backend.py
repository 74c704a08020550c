"""What a killed Pulumi run leaves in a file backend: its lock, and half-written attributes.

Pulumi writes ``.pulumi/locks/organization/<project>/<stack>/<id>.json`` before a run and deletes it
after; the owner's process, user, host and time are in it (pulumi/pulumi, pkg/backend/diy/lock.go).
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

LOCKS = ".pulumi/locks/"


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
            ValueError: the content is something else.
        """
        try:
            value: dict[str, Any] = json.loads(content)
            timestamp = datetime.fromisoformat(value["timestamp"])
            return cls(int(value["pid"]), value["username"], value["hostname"], timestamp)
        except (KeyError, TypeError) as wrong:
            raise ValueError(str(wrong)) from wrong

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

        A process that is younger than the lock has the owner's number and is another one. One that
        has ended stays in the table as a zombie where nothing reaps it, as in a container.
        """
        # Two options: in POSIX the rest of an argument after `=` is a heading.
        columns = ["-o", "stat=", "-o", "etime="]
        try:
            listed = subprocess.run(
                ["ps", *columns, "-p", str(self.pid)],
                capture_output=True,
                encoding="utf-8",
                check=False,
            ).stdout.split()
        except OSError:
            return _exists(self.pid)
        if not listed or listed[0].startswith("Z"):
            return False
        begin = datetime.now(UTC) - _duration(listed[1])
        return begin <= self.timestamp + timedelta(seconds=5)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _duration(elapsed: str) -> timedelta:
    """``ps`` prints ``[[days-]hours:]minutes:seconds`` (POSIX)."""
    days, _, clock = elapsed.rpartition("-")
    seconds = sum(int(part) * 60**power for power, part in enumerate(reversed(clock.split(":"))))
    return timedelta(days=int(days or 0), seconds=seconds)


def lock_files(state: Path) -> list[Path]:
    """The lock files of all stacks in the backend's folder ``state``."""
    return sorted((state / LOCKS).rglob("*.json"))


def remove_torn_attributes(state: Path) -> list[Path]:
    """Deletes half-written attributes of files in the backend's folder; returns their paths.

    The file itself is replaced in one step, its attributes beside it are not. The CLI cannot load
    a file with torn attributes ("failed to load checkpoint: EOF"), and needs none
    (google/go-cloud, blob/fileblob/attrs.go, ``setAttrs`` and ``getAttrs``).
    """
    torn = [path for path in sorted((state / ".pulumi").rglob("*.attrs")) if not _is_json(path)]
    for path in torn:
        path.unlink()
    return torn


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_bytes())
    except ValueError:
        return False
    return True
