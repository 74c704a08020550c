"""Programs of the sides of a plan: with an end, and ended together with the command.

Each has a session of its own, so that all that it has started ends with it, whatever ends the
command: Ctrl-C, SIGTERM of a CI job that is cancelled, or a fault of another side.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

_MINUTES = 30
"""A rehearsal takes one to three."""
_WAYS_TO_END = ((signal.SIGINT, 5), (signal.SIGTERM, 3), (signal.SIGKILL, 3))
"""With seconds to wait for each."""
_NEEDED = re.compile(
    r"PATH|HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|LC_.*|TZ|TERM|TMPDIR|XDG_.*|PYTHON|CI"
    r"|KUBEFLOW_.*|PIP_.*|UV_.*|(CGO_|GO)[A-Z0-9]+|NIX_.*|LD_LIBRARY_PATH"
    r"|(HTTPS?|ALL|NO)_PROXY|SSL_CERT_(FILE|DIR)|(REQUESTS|CURL)_CA_BUNDLE",
    re.IGNORECASE,
)
_CREDENTIAL = re.compile(r"TOKEN|SECRET|PASSW|PASSPHRASE|CREDENTIAL|_KEY$", re.IGNORECASE)


def environment() -> dict[str, str]:
    """The variables that a side needs to find programs, mirrors and caches; nothing else."""
    return {
        name: value
        for name, value in os.environ.items()
        if _NEEDED.fullmatch(name) and not _CREDENTIAL.search(name)
    }


class Processes:
    """The programs that run now."""

    def __init__(self) -> None:
        self._alone = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._ended = False

    def run(
        self, command: Sequence[str], folder: Path, variables: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """Runs a program to its end, or to the limit of time."""
        with self._alone:
            if self._ended:
                return subprocess.CompletedProcess(command, 130, "", "it was interrupted")
            try:
                process = subprocess.Popen(
                    command,
                    cwd=folder,
                    env=variables,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    encoding="utf-8",
                    errors="replace",
                    start_new_session=True,
                )
            except FileNotFoundError:
                reason = f"{command[0]}: there is no such program"
                return subprocess.CompletedProcess(command, 127, "", reason)
            self._running.add(process)
        try:
            out, error = process.communicate(timeout=_MINUTES * 60)
        except subprocess.TimeoutExpired:
            _end(process)
            reason = f"it did not end in {_MINUTES} minutes"
            return subprocess.CompletedProcess(command, 124, "", reason)
        finally:
            with self._alone:
                self._running.discard(process)
        return subprocess.CompletedProcess(command, process.returncode, out, error)

    def end(self) -> None:
        """Ends all programs, and lets none begin."""
        with self._alone:
            self._ended = True
            running = list(self._running)
        for process in running:
            _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    for number, seconds in _WAYS_TO_END:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            continue
        break
    # What the program itself did not end.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def one_signal_later() -> Generator[None]:
    """The first signal inside the block counts after it, so that the block ends; a second at once.

    Ctrl-C, SIGTERM and SIGHUP; only where signals have handlers, in the main thread.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received = list[int]()

    def later(number: int, frame: FrameType | None) -> None:
        received.append(number)
        handler = before[number]
        if len(received) > 1 and callable(handler):
            handler(number, frame)

    before = dict[int, Any]()
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        before[each] = signal.signal(each, later)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    if received:
        signal.raise_signal(received[0])


@contextmanager
def terminated_as_interrupted() -> Generator[None]:
    """SIGTERM and SIGHUP inside the block end it as Ctrl-C does: with all clean-up."""

    def end(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {each: signal.signal(each, end) for each in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
