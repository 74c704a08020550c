"""What the scenarios came to, as a table and a plot in ``build/elasticity/``."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from tests.elasticity import measuring
from tests.elasticity.catalogue import catalogue
from tests.elasticity.scenario import Scenario
from tests.elasticity.watching import Record
from tests.test_program import ROOT

TITLE = "simulated nodes (kwok), real Karpenter core, scheduler and API server"
_FOLDER = ROOT / "build" / "elasticity"
_HEADINGS = (
    "scenario",
    "pods",
    "machines",
    "CNY/h at most",
    "pending to NodeClaim p50 / p99",
    "GPUs at most / limit",
    "last machine gone after",
    "GPU-hours: machines in all / while trials ran / ideal",
)


@dataclass(frozen=True)
class Row:
    """One line of the table, and the record that its curves are drawn from."""

    cells: tuple[str, ...]
    record: Record
    until: float


@dataclass
class Report:
    """All rows, in the order of the scenarios."""

    rows: list[Row] = field(default_factory=list[Row])

    def add(self, made: Scenario, *, ideal_gpu_seconds: float | None = None) -> None:
        """Takes a scenario's numbers as they are now."""
        seen, known = made.seen, catalogue()
        waits = measuring.waits(seen, known)
        gone = (
            "-"
            if seen.standing or not seen.machines
            else f"{measuring.last_gone_after(seen):.0f} s"
        )
        machines: Mapping[str, int] = measuring.by_type(seen.machines)
        paid = measuring.area(measuring.gpus(seen, known)) / 3600
        working = measuring.gpu_seconds_while_working(seen, known) / 3600
        ideal = "-" if ideal_gpu_seconds is None else f"{ideal_gpu_seconds / 3600:.2f}"
        self.rows.append(
            Row(
                (
                    made.name,
                    str(len(seen.pods)),
                    ", ".join(f"{count} {name}" for name, count in machines.items()) or "none",
                    f"{measuring.peak(measuring.cost(seen, known)):.2f}",
                    f"{waits.p50:.2f} / {waits.p99:.2f} s ({waits.count})" if waits else "-",
                    f"{measuring.peak(measuring.gpus(seen, known)):.0f} / {made.limit}",
                    gone,
                    f"{paid:.2f} / {working:.2f} / {ideal}",
                ),
                seen,
                seen.now,
            )
        )

    def write(self) -> list[Path]:
        """Writes both files; their paths."""
        _FOLDER.mkdir(parents=True, exist_ok=True)
        table, plot = _FOLDER / "results.md", _FOLDER / "nodes-and-pending-pods.svg"
        table.write_text(self._table())
        self._plot(plot)
        return [table, plot]

    def _table(self) -> str:
        table = Table(box=box.MARKDOWN)
        for heading in _HEADINGS:
            table.add_column(heading, no_wrap=True)
        for row in self.rows:
            table.add_row(*row.cells)
        text = io.StringIO()
        Console(file=text, width=1000).print(table)
        lines = (line.rstrip() for line in text.getvalue().strip().splitlines())
        return "\n".join([f"# From zero to a GPU and back: {TITLE}", "", *lines, ""])

    def _plot(self, path: Path) -> None:
        import matplotlib as mpl

        mpl.use("svg")
        from matplotlib import pyplot

        figure, axes = pyplot.subplots(
            len(self.rows), 1, figsize=(9, 2.2 * len(self.rows) + 0.8), squeeze=False
        )
        figure.suptitle(TITLE)
        for axis, row in zip(axes[:, 0], self.rows, strict=True):
            for name, steps in (
                ("pending pods", measuring.pending(row.record)),
                ("machines", measuring.standing(row.record)),
                ("their GPUs", measuring.gpus(row.record, catalogue())),
            ):
                until = [*steps, (row.until, steps[-1][1])]
                axis.step(*zip(*until, strict=True), where="post", label=name)
            axis.set_title(row.cells[0], loc="left", fontsize="medium")
            axis.set_xlabel("seconds")
            axis.set_xlim(0, row.until)
            axis.set_ylim(bottom=0)
            axis.legend(loc="upper right", fontsize="small")
        figure.tight_layout()
        figure.savefig(path)
