"""What a person sees while a verification waits."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import threading
import time
from contextlib import suppress

import pytest

from ops import targets
from ops.verification import progress
from ops.verification.progress import Progress


class Clock:
    """Stands still."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(progress, "time", made)
    return made


def test_where_there_is_no_terminal_a_line_says_what_is_waited_for(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert progress.QUIET_SECONDS < 15
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.05)
    shown, before, errors = Progress(), {*threading.enumerate()}, ""
    with shown.shown():
        (lines,) = {*threading.enumerate()} - before
        shown.at("3/27 katib-random")
        limit = time.monotonic() + 60
        with shown.waiting("two trials"):
            while errors.count(": waits for two trials\n") < 2 and time.monotonic() < limit:
                time.sleep(0.05)
                errors += capsys.readouterr().err
    assert "3/27 katib-random, 0 s: waits for two trials\n" in errors
    assert errors.count("\n") >= 2
    assert not re.search("[\x1b\r]", errors)
    # Nothing comes after the end.
    lines.join(60)
    assert not lines.is_alive()
    assert capsys.readouterr().out == ""


def test_only_the_outer_of_two_waits_counts(clock: Clock) -> None:
    shown = Progress()
    shown.at("a")
    with shown.waiting("a run"), shown.waiting("its step"):
        assert shown.line() == "a, 0 s: waits for its step"
        clock.now += 5
    assert shown.waited == 5
    assert shown.line() == "a, 5 s"


def test_a_terminal_shows_one_line_that_is_gone_at_the_end() -> None:
    code = (
        "import sys\n"
        "from ops.verification.progress import Progress\n"
        "from terminal.output import messages\n"
        "shown = Progress()\n"
        "with shown.shown():\n"
        "    shown.at('3/27 katib-random')\n"
        "    with shown.waiting('two trials, ' + 'x' * 200):\n"
        "        sys.stdin.readline()\n"
        "    messages.print('a notice')\n"
    )
    end, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80"}
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=targets.PROJECT,
        env=environment,
        stdin=subprocess.PIPE,
        stderr=terminal,
    ) as process:
        assert process.stdin
        os.close(terminal)
        shown = b""
        limit = threading.Timer(120, process.kill)
        limit.start()
        with suppress(OSError):  # the end of a terminal
            while part := os.read(end, 65536):
                shown += part
                if not process.stdin.closed and re.search(rb"katib-random, [1-9]\d* s: w", shown):
                    process.stdin.close()
        limit.cancel()
    os.close(end)
    assert process.returncode == 0
    text = shown.decode()
    lines = re.findall(r"3/27 katib-random, (\d+) s: waits for two trials, x+…", text)
    assert int(lines[-1]) >= 1
    assert "a notice\r\n" in text
    assert text.rindex("\x1b[2K") > text.rindex("katib-random")
