"""What goes on in a thread beside a test, and fails it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager


@contextmanager
def meanwhile(act: Callable[[], None], *, every: float) -> Generator[None]:
    """Calls ``act`` again and again in a thread until the end of the block.

    What it raises ends the thread, and is raised at the end of the block: before what the block
    itself raised, which may be a consequence.

    Args:
        act: called for as long as it raises nothing.
        every: seconds between two calls.
    """
    done = threading.Event()
    raised: list[BaseException] = []

    def run() -> None:
        try:
            while not done.wait(every):
                act()
        except BaseException as failure:
            raised.append(failure)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        if raised:
            raise raised[0]
