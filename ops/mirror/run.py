"""Copies what a survey found missing: the most needed first, several at a time, each verified."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from threading import Lock

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

from ops.cli_errors import messages
from ops.crane import Crane
from ops.crane_failures import CraneFailed
from ops.mirror import plan
from ops.mirror.plan import Surveyed
from ops.mirror.registry_state import several
from ops.mirror.target import Target

# Bytes count when a blob is complete, and a big one takes minutes: an average over less would jump.
_AVERAGE_SECONDS = 600.0
_NAME_WIDTH = 40


@dataclass
class Outcome:
    """Of a run, also of one that was interrupted.

    Attributes:
        copied: and verified, in the order of their ends.
        failed: source -> why, as the end of a sentence.
        retries: attempts that failed and were followed by another.
        moved: bytes of the blobs that are in the target now.
        seconds: since the start.
    """

    copied: list[Surveyed] = field(default_factory=list[Surveyed])
    failed: dict[str, str] = field(default_factory=dict[str, str])
    retries: int = 0
    moved: int = 0
    seconds: float = 0.0


class Run:
    """One run over the copies that are due.

    Args:
        due: in the order in which they are to begin.
        target: receives them; is prepared already.
        crane: does the work.
    """

    def __init__(self, due: Sequence[Surveyed], target: Target, crane: Crane) -> None:
        self._due, self._target, self._crane = due, target, crane
        self.outcome = Outcome()
        self._total = plan.bytes_to_copy(due)
        self._counted: set[tuple[str, str]] = set()
        self._guard = Lock()
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False, table_column=_line()),
            BarColumn(bar_width=12),
            DownloadColumn(table_column=_line())
            if self._total
            else MofNCompleteColumn(table_column=_line()),
            TimeRemainingColumn(table_column=_line()),
            TextColumn("{task.fields[note]}", markup=False, style="yellow", table_column=_line()),
            console=messages,
            speed_estimate_period=_AVERAGE_SECONDS,
            disable=not messages.is_terminal,  # a log has the line per image
        )
        self._all = self._progress.add_task("all", total=self._total or len(due), note="")

    def copy(self, parallel: int) -> None:
        """Copies all of them; ``outcome`` is right at any time, also after an interrupt.

        Args:
            parallel: how many images at a time.
        """
        start = time.monotonic()
        try:
            with self._progress:
                for each, why in several(self._due, self._one, parallel):
                    if why is None:
                        self.outcome.copied.append(each)
                    else:
                        self.outcome.failed[str(each.copy)] = why
                    self._tell(each, why)
        finally:
            self.outcome.seconds = time.monotonic() - start

    def _one(self, each: Surveyed) -> str | None:
        """Copies and verifies one image; says why it failed."""
        copy, wanted = each.copy, str(each.wanted)
        task = self._progress.add_task(_short(str(copy)), total=each.bytes or None, note="")

        def arrived(digest: str) -> None:
            size = self._new_bytes(each, [digest])
            self._progress.advance(task, size)
            self._progress.advance(self._all, size)
            with self._guard:
                self.outcome.moved += size

        def retried(why: str) -> None:
            self._progress.update(task, note=f"again, because it {why}"[:70])
            with self._guard:
                self.outcome.retries += 1

        try:
            self._target.renew()
            self._crane.copy(f"{copy.source.name}@{wanted}", copy.target, arrived, retried)
            read_back = self._crane.digest(copy.target, retried=retried)
        except CraneFailed as why:
            return str(why)
        finally:
            self._progress.remove_task(task)
        return None if read_back == wanted else f"is {read_back} in the target, not {wanted}"

    def _new_bytes(self, each: Surveyed, digests: Iterable[str]) -> int:
        """What these blobs add: crane names one again at every attempt, and images share some."""
        sizes = each.blobs or {}
        with self._guard:
            places = {(each.copy.repository, digest) for digest in digests if digest in sizes}
            fresh = places - self._counted
            self._counted |= fresh
        return sum(sizes[digest] for _, digest in fresh)

    def _tell(self, each: Surveyed, why: str | None) -> None:
        # What a failed image did not move counts as done, or the time left would never end.
        rest = self._new_bytes(each, each.blobs or ()) if self._total else 1
        done = len(self.outcome.copied) + len(self.outcome.failed)
        self._progress.update(
            self._all, advance=rest, description=f"{done} of {len(self._due)} images"
        )
        left = self._progress.tasks[0].time_remaining
        messages.print(
            f"[{done}/{len(self._due)}] {each.copy} "
            + (why or "copied")
            + (f", {plan.minutes(left)} left" if left else ""),
            style="red" if why else None,
        )


def _line() -> Column:
    return Column(no_wrap=True)


def _short(name: str) -> str:
    """The end of a name tells images apart."""
    return name if len(name) <= _NAME_WIDTH else f"…{name[1 - _NAME_WIDTH :]}"
