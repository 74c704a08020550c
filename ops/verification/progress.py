"""What a verification does now: a live line on a terminal, else a line now and then."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from threading import Event, Thread

from rich.live import Live
from rich.text import Text

from terminal.output import messages

QUIET_SECONDS = 14.0
"""Between two lines where there is no terminal."""


class Progress:
    """The check that runs, what it waits for, and since when.

    Attributes:
        waited: seconds in which checks waited, all together.
    """

    def __init__(self) -> None:
        self.waited = 0.0
        self._place = ""
        self._what = ""
        self._since = time.monotonic()

    def line(self) -> str:
        """What happens now: ``3/27 katib-random, 41 s: waits for two trials``."""
        seconds = time.monotonic() - self._since
        return f"{self._place}, {seconds:.0f} s{f': waits for {self._what}' if self._what else ''}"

    def at(self, place: str) -> None:
        """Another check begins."""
        self._place, self._what, self._since = place, "", time.monotonic()

    @contextmanager
    def waiting(self, what: str) -> Generator[None]:
        """The time of the block counts as waited; ``what`` stands after "waits for"."""
        start, before, self._what = time.monotonic(), self._what, what
        try:
            yield
        finally:
            self._what = before
            if not before:
                self.waited += time.monotonic() - start

    @contextmanager
    def shown(self) -> Generator[None]:
        """On standard error, until the end of the block."""
        with ExitStack() as showing:
            if messages.is_terminal:
                line = Live(
                    get_renderable=lambda: Text(self.line(), no_wrap=True, overflow="ellipsis"),
                    console=messages,
                    refresh_per_second=2,
                    transient=True,
                )
                showing.enter_context(line)
            else:
                ended = Event()
                showing.callback(ended.set)
                Thread(target=self._lines, args=(ended,), daemon=True).start()
            yield

    def _lines(self, ended: Event) -> None:
        while not ended.wait(QUIET_SECONDS):
            messages.print(self.line())
