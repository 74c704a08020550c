"""The locks that the engine leaves in its backend when it is killed."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Lock:
    """A process that has a stack's lock, in the engine's words (pulumi pkg/backend/diy/lock.go)."""

    pid: int
    hostname: str
    timestamp: str

    @property
    def dead(self) -> bool:
        """Whether it has ended; False for another machine, whose processes are unknown."""
        if self.hostname != socket.gethostname():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass
        command = Path(f"/proc/{self.pid}/cmdline")
        # A number that was given to another program since.
        return command.exists() and b"pulumi" not in command.read_bytes()


def held_locks(state: Path) -> list[Lock]:
    """Removes the locks of dead processes from the file backend ``state``; returns the others."""
    held: list[Lock] = []
    for path in sorted(state.glob(".pulumi/locks/**/*.json")):
        content: dict[str, Any] = json.loads(path.read_text())
        lock = Lock(content["pid"], content["hostname"], content["timestamp"])
        if lock.dead:
            path.unlink(missing_ok=True)
        else:
            held.append(lock)
    return held
