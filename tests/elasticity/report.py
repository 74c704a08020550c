"""What the scenarios came to, as a table and a plot in ``build/elasticity/``.

Scenarios run in several processes, and those that measure times in a run of their own: each leaves
a file in ``build/elasticity/scenarios/``, and the end of every run makes table and plot of them.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel
from rich import box
from rich.console import Console
from rich.table import Table

from tests.elasticity import measuring
from tests.elasticity.catalogue import catalogue
from tests.elasticity.scenario import Scenario
from tests.test_program import ROOT

TITLE = "simulated nodes (kwok), real Karpenter core, scheduler and API server"
_FOLDER = ROOT / "build" / "elasticity"
_SCENARIOS = _FOLDER / "scenarios"
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


class Row(BaseModel):
    """One line of the table, and its curves: name -> (seconds, value) from which on it holds."""

    cells: tuple[str, ...]
    curves: dict[str, measuring.Steps]


def add(made: Scenario, *, ideal_gpu_seconds: float | None = None) -> None:
    """Takes a scenario's numbers as they are now."""
    seen, known = made.seen, catalogue()
    waits = measuring.waits(seen, known)
    gone = "-"
    if seen.machines and not seen.standing:
        gone = f"{measuring.last_gone_after(seen):.0f} s"
    machines: Mapping[str, int] = measuring.by_type(seen.machines)
    gpus = measuring.gpus(seen, known)
    paid = measuring.area(gpus) / 3600
    working = measuring.gpu_seconds_while_working(seen, known) / 3600
    ideal = "-" if ideal_gpu_seconds is None else f"{ideal_gpu_seconds / 3600:.2f}"
    cells = (
        made.name,
        str(len(seen.pods)),
        ", ".join(f"{count} {name}" for name, count in machines.items()) or "none",
        f"{measuring.peak(measuring.cost(seen, known)):.2f}",
        f"{waits.p50:.2f} / {waits.p99:.2f} s ({waits.count})" if waits else "-",
        f"{measuring.peak(gpus):.0f} / {made.limit}",
        gone,
        f"{paid:.2f} / {working:.2f} / {ideal}",
    )
    curves = {
        "pending pods": measuring.pending(seen),
        "machines": measuring.standing(seen),
        "their GPUs": gpus,
    }
    until = seen.now
    row = Row(
        cells=cells,
        curves={name: [*steps, (until, steps[-1][1])] for name, steps in curves.items()},
    )
    _SCENARIOS.mkdir(parents=True, exist_ok=True)
    (_SCENARIOS / f"{made.name}.json").write_text(row.model_dump_json())


def write() -> list[Path]:
    """Writes table and plot of all scenarios so far, by name; their paths, none without any."""
    rows = [Row.model_validate_json(path.read_text()) for path in sorted(_SCENARIOS.glob("*.json"))]
    if not rows:
        return []
    table, plot = _FOLDER / "results.md", _FOLDER / "nodes-and-pending-pods.svg"
    table.write_text(_table(rows))
    _plot(rows, plot)
    return [table, plot]


def _table(rows: list[Row]) -> str:
    table = Table(box=box.MARKDOWN)
    for heading in _HEADINGS:
        table.add_column(heading, no_wrap=True)
    for row in rows:
        table.add_row(*row.cells)
    text = io.StringIO()
    Console(file=text, width=1000).print(table)
    lines = (line.rstrip() for line in text.getvalue().strip().splitlines())
    return "\n".join([f"# From zero to a GPU and back: {TITLE}", "", *lines, ""])


def _plot(rows: list[Row], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(len(rows), 1, figsize=(9, 2.2 * len(rows) + 0.8), squeeze=False)
    figure.suptitle(TITLE)
    for axis, row in zip(axes[:, 0], rows, strict=True):
        # Dashed, the second of two equal curves leaves the first one to be seen.
        for line, (name, steps) in zip(("-", "-", "--"), row.curves.items(), strict=True):
            axis.step(*zip(*steps, strict=True), line, where="post", label=name)
        axis.set_title(row.cells[0], loc="left", fontsize="medium")
        axis.set_xlabel("seconds")
        axis.set_xlim(0, max(steps[-1][0] for steps in row.curves.values()))
        axis.set_ylim(bottom=0)
        axis.legend(loc="upper right", fontsize="small")
    figure.tight_layout()
    figure.savefig(path)
