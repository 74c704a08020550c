"""Steps of a render are shown for as long as a command runs, and on its own screen only."""

from __future__ import annotations

import logging

import pytest

from rendering.steps import steps_shown

log = logging.getLogger("rendering.build")


def test_each_step_is_a_line_while_the_block_runs() -> None:
    screen: list[str] = []
    with steps_shown(screen.append):
        log.info("%s: rendered", "26.03")
        log.debug("not a step")
    assert screen == ["26.03: rendered"]


def test_nothing_is_shown_after_the_block_also_when_it_failed() -> None:
    first: list[str] = []
    second: list[str] = []
    level = logging.getLogger("rendering").level
    with pytest.raises(RuntimeError), steps_shown(first.append):
        raise RuntimeError
    with steps_shown(second.append):
        log.info("of the second command")
    assert (first, second) == ([], ["of the second command"])
    assert logging.getLogger("rendering").level == level
