"""The ports of tests' programs, which several workers start at once."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ports
from tests.ports import first_of_the_kernel, free_port

ROOT = Path(__file__).resolve().parent.parent
_PROGRAM = """
from tests.ports import free_port
print(*(free_port() for _ in range(100)), flush=True)
input()
"""


def test_no_two_processes_get_the_same_port() -> None:
    several = [
        subprocess.Popen(
            [sys.executable, "-c", _PROGRAM],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    lines = [process.stdout.readline() for process in several if process.stdout]
    for process in several:
        process.communicate("\n")
    found = [int(port) for line in lines for port in line.split()]
    assert len(set(found)) == len(found) == 4 * 100


def test_a_port_is_none_that_the_kernel_gives_away_and_can_be_listened_on() -> None:
    for _ in range(20):
        port = free_port()
        assert 1023 < port < first_of_the_kernel()
        socket.create_server(("127.0.0.1", port)).close()


def test_a_port_that_somebody_listens_on_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where no lock says so, as for a program that is none of tests."""
    port = free_port()
    os.close(ports._HELD.pop())  # pyright: ignore[reportPrivateUsage]
    begin = port - ports._FIRST  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(ports.random, "randrange", lambda _: begin)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    with socket.create_server(("127.0.0.1", port)):
        assert free_port() != port
    assert free_port() == port
