"""What rendering logs about its steps, as lines on somebody's screen."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager


@contextmanager
def steps_shown(write: Callable[[str], None]) -> Generator[None]:
    """Hands every step that is logged inside the block to ``write``, one line each.

    Handler and level are those of before when the block ends: a second command in the same
    process is not shown on the first one's screen.
    """
    log = logging.getLogger("rendering")
    level, lines = log.level, _Lines(write)
    log.addHandler(lines)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.setLevel(level)
        log.removeHandler(lines)


class _Lines(logging.Handler):
    def __init__(self, write: Callable[[str], None]) -> None:
        super().__init__()
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        self._write(record.getMessage())
