"""Ports for programs that are told a number, because they cannot tell which one they got."""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_FIRST = 10_000
_HELD = list[int]()
"""Open files whose locks end with this process."""


def free_port() -> int:
    """A port that nobody listens on, and that nobody else gets before the program binds it.

    It is below the range that the kernel takes from for outgoing connections and for port 0. Other
    processes of tests pass over it for as long as this one runs.
    """
    folder = Path(tempfile.gettempdir()) / f"kubeflow-test-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    ports = range(_FIRST, first_of_the_kernel())
    begin = random.randrange(len(ports))  # noqa: S311 - no secret
    for port in (*ports[begin:], *ports[:begin]):
        lock = os.open(folder / str(port), os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            os.close(lock)
        else:
            _HELD.append(lock)
            return port
    raise RuntimeError(f"there is no free port from {ports.start} to {ports.stop}")


def first_of_the_kernel() -> int:
    """The first port that a connection may go out from."""
    return int(_RANGE.read_text().split()[0]) if _RANGE.exists() else 32_768
