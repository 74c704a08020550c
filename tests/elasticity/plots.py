"""The curves of the scenarios as pictures for docs/elasticity.md, readable on a phone.

A page has some scenarios, each with two panels that have an axis of their own: pods that wait, and
machines with their GPUs. What is committed is what was measured: `docs/pictures/elasticity.json`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from pydantic import BaseModel

from rehearsal.pictures.canvas import (
    EDGE,
    MUTED,
    RULE,
    SMALLEST,
    WIDTH,
    Canvas,
    Colour,
    Language,
    Words,
)
from rehearsal.pictures.colours import CLUSTER, GPU, KUBEFLOW
from tests.elasticity.measuring import Steps

PENDING, MACHINES, GPUS = "pending pods", "machines", "their GPUs"
PAGES: dict[str, tuple[tuple[str, str], tuple[str, ...]]] = {
    "trials": (
        ("Few and many trials", "少量与大量试验"),
        ("one-trial", "12-trials-3-parallel", "500-trials", "2000-trials"),
    ),
    "machines": (
        ("Which machines come", "启动了哪些机器"),
        (
            *("three-sizes", "3-trials-any-machine", "prices-from-a-table"),
            *("sliced", "sliced-without-overlay"),
        ),
    ),
    "disturbances": (
        ("Disturbances", "各种干扰"),
        (
            *("spot-interruption", "zone-sold-out", "refused"),
            *("training-protected", "training-unprotected", "drifted"),
        ),
    ),
}
"""Page -> its title and its scenarios."""

_GAP, _SCALE, _HIGH = 16, 44, 92
_PANEL = (WIDTH - 2 * EDGE - 8 - _GAP) / 2
_POINTS = 150
"""Of a curve; a panel is no wider on a phone."""


class Row(BaseModel):
    """One line of the table, and its curves: name -> (seconds, value) from which on it holds."""

    cells: tuple[str, ...]
    curves: dict[str, Steps]

    @property
    def name(self) -> str:
        """Of the scenario."""
        return self.cells[0]


class Measurement(BaseModel):
    """What one run of ``make test-elasticity`` has measured."""

    date: str
    rows: list[Row]


def thinned(steps: Steps) -> Steps:
    """A curve with few enough points, its peaks among them."""
    until = steps[-1][0] or 1.0
    groups: dict[int, Steps] = {}
    for second, value in steps:
        groups.setdefault(int(second / until * _POINTS), []).append((second, value))
    kept: Steps = []
    for group in groups.values():
        peak, last = max(group, key=lambda step: step[1]), group[-1]
        kept += dict.fromkeys((peak, last)) if peak[0] < last[0] else [last]
    return [(round(second, 2), round(value, 2)) for second, value in kept]


def pages(measurement: Measurement) -> Iterator[tuple[str, str]]:
    """Name of a file and its SVG, of each page that has scenarios, in both languages."""
    rows = {row.name: row for row in measurement.rows}
    for page, (title, names) in PAGES.items():
        shown = [rows[name] for name in names if name in rows]
        for language in Language if shown else ():
            yield (
                f"elasticity-{page}{language.suffix}.svg",
                _page(title, measurement.date, shown, language),
            )


def _page(title: Words, date: str, rows: Sequence[Row], language: Language) -> str:
    canvas = Canvas(language)
    below: Words = (
        f"Measured {date}: real Karpenter and scheduler, simulated machines.",
        f"{date} 实测：真实的 Karpenter 和调度器，模拟的机器。",
    )
    canvas.heading(title, below)
    canvas.pen.y += 4
    for row in rows:
        _scenario(canvas, row)
    return canvas.svg(title, below)


def _scenario(canvas: Canvas, row: Row) -> None:
    y = canvas.pen.y
    canvas.line((EDGE, y), (WIDTH - EDGE, y), colour=RULE, thick=1)
    canvas.text(EDGE + 4, y + 28, row.name, size=18, bold=True)
    machines = row.cells[2]
    came: Words = ("no machine comes", "没有机器") if machines == "none" else machines
    end = canvas.paragraph(
        EDGE + 4, y + 50, WIDTH - 2 * EDGE - 8, came, size=SMALLEST, colour=MUTED
    )
    top, curves = end + 28, row.curves
    until = max(steps[-1][0] for steps in curves.values())
    left, right = EDGE + 4, EDGE + 4 + _PANEL + _GAP
    waiting: Words = ("waiting pods", "等待中的 Pod")
    canvas.text(left + _SCALE, end + 6, waiting, size=SMALLEST, bold=True, colour=KUBEFLOW.line)
    _panel(canvas, left, top, until, [(curves[PENDING], KUBEFLOW, "")])
    canvas.text(
        right + _SCALE, end + 6, ("machines", "机器"), size=SMALLEST, bold=True, colour=CLUSTER.line
    )
    gpus: Words = ("GPUs (dashed)", "GPU（虚线）")
    canvas.text(
        right + _PANEL, end + 6, gpus, size=SMALLEST, bold=True, colour=GPU.line, anchor="end"
    )
    both = [(curves[MACHINES], CLUSTER, ""), (curves[GPUS], GPU, "5 4")]
    _panel(canvas, right, top, until, both)
    canvas.pen.y = top + _HIGH + 38


def _panel(
    canvas: Canvas,
    x: float,
    y: float,
    until: float,
    curves: Sequence[tuple[Steps, Colour, str]],
) -> None:
    """Curves over seconds, on a scale from 0 to their highest value."""
    x0, x1, bottom = x + _SCALE, x + _PANEL, y + _HIGH
    top = max((value for steps, *_ in curves for _, value in steps), default=0)
    most = max(1, math.ceil(top))
    for value in (0, most):
        level = bottom - _HIGH * value / most
        canvas.line((x0, level), (x1, level), colour=RULE, thick=1)
        canvas.text(x0 - 6, level + 5, f"{value:,}", size=SMALLEST, colour=MUTED, anchor="end")
    canvas.text(x0, bottom + 19, "0", size=SMALLEST, colour=MUTED)
    canvas.text(x1, bottom + 19, f"{until:.0f} s", size=SMALLEST, colour=MUTED, anchor="end")
    for steps, colour, dash in curves:
        points: list[tuple[float, float]] = []
        for second, value in steps:
            at = x0 + (x1 - x0) * min(second / until, 1)
            level = bottom - _HIGH * value / most
            # A value holds until the next one.
            points += [(at, points[-1][1]), (at, level)] if points else [(at, level)]
        canvas.line(*points, colour=colour.line, thick=2.2, dash=dash)
