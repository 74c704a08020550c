"""What a person sees while a verification waits."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import time
from contextlib import suppress

import pytest

from ops import targets
from ops.verification import progress
from ops.verification.progress import Progress


def test_where_there_is_no_terminal_a_line_says_what_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert progress.QUIET_SECONDS < 15
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.05)
    shown = Progress()
    with shown.shown():
        shown.at("3/27 katib-random")
        with shown.waiting("two trials"):
            time.sleep(0.3)
    out, errors = capsys.readouterr()
    assert out == ""
    assert "3/27 katib-random, 0 s: waits for two trials\n" in errors
    assert len(errors.splitlines()) >= 3
    assert not re.search("[\x1b\r]", errors)
    time.sleep(0.15)
    assert capsys.readouterr().err == ""


def test_only_the_outer_of_two_waits_counts() -> None:
    shown = Progress()
    shown.at("a")
    with shown.waiting("a run"), shown.waiting("its step"):
        assert shown.line() == "a, 0 s: waits for its step"
        time.sleep(0.05)
    assert 0.05 <= shown.waited < 0.09
    assert shown.line() == "a, 0 s"


def test_a_terminal_shows_one_line_that_is_gone_at_the_end() -> None:
    code = (
        "import time\n"
        "from ops.verification.progress import Progress\n"
        "from terminal.output import messages\n"
        "shown = Progress()\n"
        "with shown.shown():\n"
        "    shown.at('3/27 katib-random')\n"
        "    with shown.waiting('two trials, ' + 'x' * 200):\n"
        "        time.sleep(1.6)\n"
        "    messages.print('a notice')\n"
    )
    end, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80"}
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=targets.PROJECT, env=environment, stderr=terminal
    ) as process:
        os.close(terminal)
        shown = b""
        with suppress(OSError):  # the end of a terminal
            while part := os.read(end, 65536):
                shown += part
    os.close(end)
    assert process.returncode == 0
    text = shown.decode()
    lines = re.findall(r"3/27 katib-random, (\d) s: waits for two trials, x+…", text)
    assert int(lines[-1]) >= 1
    assert "a notice\r\n" in text
    assert text.rindex("\x1b[2K") > text.rindex("katib-random")
