"""A line from time to time, where no terminal shows a bar: a log never stands still."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import timedelta

from terminal.output import messages

SECONDS = 12.0
"""Between two lines; a reader of a log is promised one within 15."""


@contextmanager
def heartbeat(state: Callable[[], str], seconds: float | None = None) -> Generator[None]:
    """Prints how far a block is, every ``seconds``, unless standard error is a terminal.

    Args:
        state: what to print, without the time since the block began; called in a thread.
        seconds: None: ``SECONDS``.
    """
    if messages.is_terminal:
        yield
        return
    ended, begun = threading.Event(), time.monotonic()

    def beat() -> None:
        while not ended.wait(SECONDS if seconds is None else seconds):
            since = timedelta(seconds=round(time.monotonic() - begun))
            messages.print(f"{state()}, after {since}")

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
