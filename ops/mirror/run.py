"""The copies of a run: the most needed first, several at a time, each verified."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from datetime import timedelta
from threading import Lock

from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column

from ops.crane import Crane, CraneFailed
from ops.mirror.plan import Surveyed, bytes_to_copy
from ops.mirror.registry_state import why
from ops.mirror.target import Target
from ops.parallel import in_parallel
from terminal.heartbeat import heartbeat
from terminal.output import messages

# Bytes count when a blob is complete, and a large one takes minutes: an average over less jumps.
_AVERAGE_SECONDS = 600.0
_NAME_WIDTH = 40


class Run:
    """One run over the copies that are due; its attributes are valid also after an interrupt.

    Args:
        due: in the order in which they begin.
        target: receives them; already prepared.
        crane: copies them.

    Attributes:
        copied: copied and verified, in the order in which they ended.
        failed: source -> reason, as the end of a sentence.
        retries: failed attempts that another one followed.
        moved: bytes of the blobs that the target has now.
    """

    def __init__(self, due: Sequence[Surveyed], target: Target, crane: Crane) -> None:
        self.copied: list[Surveyed] = []
        self.failed: dict[str, str] = {}
        self.retries = self.moved = 0
        self._due, self._target, self._crane = due, target, crane
        self._total = bytes_to_copy(due)
        self._counted: set[tuple[str, str]] = set()
        self._under_way: dict[str, float] = {}
        self._guard = Lock()
        column = Column(no_wrap=True)
        amount = DownloadColumn if self._total else MofNCompleteColumn
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False, table_column=column),
            BarColumn(bar_width=12),
            amount(table_column=column),
            TimeRemainingColumn(table_column=column),
            TextColumn("{task.fields[note]}", markup=False, style="yellow", table_column=column),
            console=messages,
            speed_estimate_period=_AVERAGE_SECONDS,
            disable=not messages.is_terminal,  # a log has the line per image
        )
        self._all = self._progress.add_task("all", total=self._total or len(due), note="")

    def copy(self, parallel: int) -> None:
        """Copy all, so many images at a time, and print a summary, also after an interrupt."""
        start = time.monotonic()
        try:
            with self._progress, heartbeat(self._state):
                for item, reason in in_parallel(self._due, self._one, parallel):
                    if reason is None:
                        self.copied.append(item)
                    else:
                        self.failed[str(item.copy)] = reason
                    self._report(item, reason)
        finally:
            messages.print(
                f"copied {len(self.copied)} of {len(self._due)} images and verified their digests: "
                f"{decimal(self.moved)} in {timedelta(seconds=round(time.monotonic() - start))}, "
                f"{self.retries} attempts repeated"
            )

    def _state(self) -> str:
        """How far the run is, and the image that has been under way the longest."""
        with self._guard:
            oldest = sorted(self._under_way.items(), key=lambda each: each[1])
            moved = f", {decimal(self.moved)} of {decimal(self._total)}" if self._total else ""
        ended = len(self.copied) + len(self.failed)
        name, since = oldest[0] if oldest else ("", 0.0)
        took = timedelta(seconds=round(time.monotonic() - since))
        waiting = f", {len(oldest)} under way, {name} for {took}" if oldest else ""
        return f"copying: {ended} of {len(self._due)} images{moved}{waiting}"

    def _one(self, item: Surveyed) -> str | None:
        """Copy and verify one image; return the reason where it failed."""
        copy, target, expected = item.copy, str(item.copy.target), str(item.expected)
        name = str(copy)
        if len(name) > _NAME_WIDTH:  # the end of a name distinguishes images
            name = f"…{name[1 - _NAME_WIDTH :]}"
        task = self._progress.add_task(name, total=item.bytes or None, note="")
        with self._guard:
            self._under_way[name] = time.monotonic()

        def on_blob(digest: str) -> None:
            size = self._new_bytes(item, [digest])
            self._progress.advance(task, size)
            self._progress.advance(self._all, size)
            with self._guard:
                self.moved += size

        def on_retry(reason: str) -> None:
            self._progress.update(task, note=f"again, because it {reason}"[:70])
            with self._guard:
                self.retries += 1

        try:
            self._target.renew_login()
            self._crane.copy(f"{copy.source.name}@{expected}", target, on_blob, on_retry)
            actual = self._crane.digest(target, on_retry=on_retry)
        except CraneFailed as failure:
            return why(item, failure, self._crane)
        finally:
            with self._guard:
                self._under_way.pop(name, None)
            self._progress.remove_task(task)
        return None if actual == expected else f"is {actual} in the target, not {expected}"

    def _new_bytes(self, item: Surveyed, digests: Iterable[str]) -> int:
        """The bytes of blobs not counted yet: attempts repeat blobs, and images share them."""
        sizes = item.blobs or {}
        with self._guard:
            places = {(item.copy.target.name, digest) for digest in digests if digest in sizes}
            new = places - self._counted
            self._counted |= new
        return sum(sizes[digest] for _, digest in new)

    def _report(self, item: Surveyed, reason: str | None) -> None:
        # What a failed image did not move counts as done, or the time left would never end.
        rest = self._new_bytes(item, item.blobs or ()) if self._total else 1
        ended = f"{len(self.copied) + len(self.failed)}/{len(self._due)}"
        self._progress.update(
            self._all, advance=rest, description=f"{ended.replace('/', ' of ')} images"
        )
        left = self._progress.tasks[0].time_remaining
        time_left = f", about {timedelta(seconds=round(left))} left" if left else ""
        messages.print(
            f"[{ended}] {item.copy} {reason or 'copied'}{time_left}",
            style="red" if reason else None,
        )
