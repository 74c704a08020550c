"""What the scenarios came to, as a table and pictures in ``build/elasticity/``.

Scenarios run in several processes, and those that measure times in a run of their own: each leaves
a file in ``build/elasticity/scenarios/``; the end of every run makes table and pictures of them.

``python -m tests.elasticity.report`` puts both into docs/elasticity.md, in each of its languages:
table, date and pictures between its two markers, the pictures and what was measured into
``docs/pictures/``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from rehearsal.pictures.canvas import Language
from terminal.exit_codes import BAD_INPUT
from terminal.output import fail, messages
from tests.elasticity import measuring
from tests.elasticity.catalogue import catalogue
from tests.elasticity.plots import GPUS, MACHINES, PAGES, PENDING, Measurement, Row, pages, thinned
from tests.elasticity.scenario import Scenario
from tests.test_program import ROOT

TITLE = "simulated nodes (kwok), real Karpenter core, scheduler and API server"
BEGINS, ENDS = "<!-- results:begin -->", "<!-- results:end -->"
_PICTURES = ROOT / "docs" / "pictures"
_FOLDER = ROOT / "build" / "elasticity"
_SCENARIOS = _FOLDER / "scenarios"
_HEADINGS = (
    ("scenario", "场景"),
    ("pods", "Pod"),
    ("machines", "机器"),
    ("CNY/h at most", "最多每小时 CNY"),
    ("pending to NodeClaim p50 / p99", "从 Pending 到 NodeClaim，p50 / p99"),
    ("GPUs at most / limit", "最多 GPU / 上限"),
    ("last machine gone after", "最后一台机器消失"),
    (
        "GPU-hours: machines in all / while trials ran / ideal",
        "GPU 小时：机器合计 / 试验期间 / 理想",
    ),
)


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
        PENDING: measuring.pending(seen),
        MACHINES: measuring.standing(seen),
        GPUS: gpus,
    }
    until = seen.now
    row = Row(
        cells=cells,
        curves={name: [*steps, (until, steps[-1][1])] for name, steps in curves.items()},
    )
    _SCENARIOS.mkdir(parents=True, exist_ok=True)
    (_SCENARIOS / f"{made.name}.json").write_text(row.model_dump_json())


def write() -> list[Path]:
    """Writes table and pictures of all scenarios so far; their paths, none without any."""
    found = _measurement()
    if not found.rows:
        return []
    files = {"results.md": f"# From zero to a GPU and back: {TITLE}\n\n{table(found.rows)}"}
    files |= dict(pages(found))
    for name, text in files.items():
        (_FOLDER / name).write_text(text, "utf-8")
    return [_FOLDER / name for name in files]


def publish() -> None:
    """Puts the last run's table and pictures into the documentation.

    Raises:
        typer.Exit: not every scenario of ``PAGES`` was measured.
    """
    found = _measurement()
    missing = {name for _, names in PAGES.values() for name in names}
    missing -= {row.name for row in found.rows}
    if missing:
        listed = ", ".join(sorted(missing))
        raise fail([f"Not measured: {listed}; run `make test-elasticity` first."], BAD_INPUT)
    files = {_PICTURES / "elasticity.json": f"{found.model_dump_json()}\n"}
    files |= {_PICTURES / name: svg for name, svg in pages(found)}
    for page in sorted((ROOT / "docs").glob("elasticity*.md")):
        files[page] = renewed(page.read_text("utf-8"), found, Language("zh-CN" in page.name))
    _PICTURES.mkdir(exist_ok=True)
    for path, text in files.items():
        path.write_text(text, "utf-8")
        messages.print(f"wrote {path.relative_to(ROOT)}")


def renewed(page: str, found: Measurement, language: Language) -> str:
    """A page with table, date and pictures of a run between its markers."""
    date = (f"Measured on {found.date}.", f"{found.date} 测得。")[language]
    images = [
        f"![{title[language]}](pictures/elasticity-{name}{language.suffix}.svg)"
        for name, (title, _) in PAGES.items()
    ]
    block = "\n\n".join([table(found.rows, language).rstrip(), date, *images])
    replaced = f"{BEGINS}\n{block}\n{ENDS}"
    return re.sub(f"{BEGINS}.*{ENDS}", lambda _: replaced, page, flags=re.DOTALL)


def _measurement() -> Measurement:
    files = sorted(_SCENARIOS.glob("*.json"))
    order = [name for _, names in PAGES.values() for name in names]
    rows = [Row.model_validate_json(path.read_text()) for path in files]
    rows.sort(key=lambda row: order.index(row.name) if row.name in order else len(order))
    for row in rows:
        row.curves = {name: thinned(steps) for name, steps in row.curves.items()}
    last = max((path.stat().st_mtime for path in files), default=0)
    return Measurement(date=f"{datetime.fromtimestamp(last, UTC):%Y-%m-%d}", rows=rows)


def table(rows: list[Row], language: Language = Language.ENGLISH) -> str:
    """The rows as Markdown."""
    headings = tuple(heading[language] for heading in _HEADINGS)
    lines = (headings, ("---",) * len(headings), *(row.cells for row in rows))
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


if __name__ == "__main__":
    publish()
