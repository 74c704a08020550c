"""Ctrl-C and SIGTERM while a verification takes away what it made."""

from __future__ import annotations

import signal
from collections.abc import Generator

import pytest

from ops.side_processes import one_signal_later, terminated_as_interrupted

NUMBERS = [
    (signal.SIGINT, KeyboardInterrupt),
    (signal.SIGTERM, SystemExit),
    (signal.SIGHUP, SystemExit),
]


@pytest.fixture(autouse=True)
def interruptible() -> Generator[None]:
    """A shell starts what runs in the background with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(("number", "ends"), NUMBERS)
def test_the_first_signal_counts_when_the_block_has_ended(
    number: int, ends: type[BaseException]
) -> None:
    steps = list[str]()

    def block() -> None:
        with terminated_as_interrupted():
            with one_signal_later():
                signal.raise_signal(number)
                steps.append("deleted")
            steps.append("never")

    with pytest.raises(ends):
        block()
    assert steps == ["deleted"]


@pytest.mark.parametrize(("number", "ends"), NUMBERS)
def test_the_second_signal_counts_at_once(number: int, ends: type[BaseException]) -> None:
    steps = list[str]()

    def block() -> None:
        with terminated_as_interrupted(), one_signal_later():
            signal.raise_signal(signal.SIGTERM)
            steps.append("once")
            signal.raise_signal(number)
            steps.append("never")

    with pytest.raises(ends):
        block()
    assert steps == ["once"]


def test_handlers_are_those_of_before() -> None:
    before = [signal.getsignal(number) for number, _ in NUMBERS]
    with one_signal_later():
        pass
    assert [signal.getsignal(number) for number, _ in NUMBERS] == before
