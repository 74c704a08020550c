"""A row of the table, and what each measurement takes: a cache of its own, and time of CPU."""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rendering.cache import cache_folder

Sample = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        name: what is measured.
        pairs: ours and what it is compared with, of each round; empty: not measured.
        unit: of both.
        limit: of the median of their ratios.
    """

    name: str
    pairs: Sequence[tuple[float, float]]
    unit: str
    limit: float

    @property
    def ratio(self) -> float:
        """The median of the ratios of all rounds."""
        return statistics.median(one / other for one, other in self.pairs)

    @property
    def cells(self) -> tuple[str, ...]:
        """Of the table."""
        if not self.pairs:
            return (self.name, "", "", "not measured", f"{self.limit:.2f}")
        medians = (statistics.median(side) for side in zip(*self.pairs, strict=True))
        sides = (f"{median:.1f} {self.unit}" for median in medians)
        return (self.name, *sides, f"{self.ratio:.2f}", f"{self.limit:.2f}")

    @property
    def fault(self) -> str:
        """A sentence, where the promise is not kept or not measured; else empty."""
        if not self.pairs:
            return f"{self.name}: not measured, for want of a release's sources."
        if self.ratio > self.limit:
            return f"{self.name}: {self.ratio:.2f}, above its limit of {self.limit:.2f}."
        return ""


@contextmanager
def cache_beside() -> Generator[Path]:
    """A cache with the sources and tools of this machine's, and nothing else."""
    kept = cache_folder()
    with tempfile.TemporaryDirectory(prefix="kubeflow-bench-") as temporary:
        for part in ("sources", "tools"):
            (kept / part).mkdir(exist_ok=True)
            (Path(temporary) / part).symlink_to(kept / part)
        yield Path(temporary)


def cpu_seconds() -> float:
    """Of this process and of those that it started and that ended."""
    return sum(os.times()[:4])
