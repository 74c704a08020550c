"""The steps that rendering logs, as lines for a terminal."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager


@contextmanager
def steps_shown(write: Callable[[str], None]) -> Generator[None]:
    """Hands every step that is logged inside the block to ``write``, one line each.

    The handler and the level of the logger are restored at the end of the block, so that the steps
    of a second command in the same process go to its own ``write`` only.
    """
    log = logging.getLogger("rendering")
    level, handler = log.level, logging.Handler()
    handler.emit = lambda record: write(record.getMessage())
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.setLevel(level)
        log.removeHandler(handler)
