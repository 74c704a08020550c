"""What a thread beside a test raises fails the test."""

from __future__ import annotations

import threading

import pytest

from tests.meanwhile import meanwhile


class Stopped(Exception):
    """Of the thread."""


class Stopping:
    """Acts twice, and raises the third time."""

    def __init__(self) -> None:
        self.acts = 0
        self.stopped = threading.Event()

    def act(self) -> None:
        self.acts += 1
        if self.acts == 3:
            self.stopped.set()
            raise Stopped("the cluster is gone")


def test_what_is_raised_beside_a_block_is_raised_at_its_end() -> None:
    beside = Stopping()
    with pytest.raises(Stopped, match="the cluster is gone"), meanwhile(beside.act, every=0):
        assert beside.stopped.wait(60)
    assert beside.acts == 3


def test_it_comes_before_what_the_block_raises_itself() -> None:
    beside = Stopping()

    def fail_too() -> None:
        with meanwhile(beside.act, every=0):
            assert beside.stopped.wait(60)
            raise KeyError("a consequence")

    with pytest.raises(Stopped) as found:
        fail_too()
    assert isinstance(found.value.__context__, KeyError)


def test_the_end_of_the_block_ends_it() -> None:
    called = threading.Event()
    before = threading.active_count()
    with meanwhile(called.set, every=0):
        assert called.wait(60)
    assert threading.active_count() == before
