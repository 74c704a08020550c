"""What a person sees while a verification waits."""

from __future__ import annotations

import re
import time

import pytest

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
