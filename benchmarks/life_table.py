"""The stack's whole life as a table, JSON and plot in ``build/bench/``.

Each step with the real Kubernetes provider, beside the engine's floor (as many empty resources) and
the reference's way (``kubectl apply`` until it passes), each side in processes of its own and in
turns. AWS, nodes and pods are simulated, as in the live tier of the tests, whose program runs.
"""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build" / "bench"
STEPS = ("first preview", "up", "unchanged preview", "refresh", "one value changed", "destroy")
SIZES = (100, 500, 2000, 5000)
TITLE = "real API server and Kubernetes provider; AWS, nodes and pods simulated"
UP_LIMIT, UNCHANGED_LIMIT, GROWTH_LIMIT, WRITTEN_LIMIT = 1.1, 1.5, 1.1, 60e6
Numbers = dict[str, float]
Rounds = Mapping[str, Sequence[Numbers]]
"""Side -> the numbers of each round."""


def life_bench(console: Console, *, rounds: int, sizes: Sequence[int] = SIZES) -> None:
    """Measures and prints; JSON and plot go to ``build/bench/``.

    Args:
        console: for the table and for each number as it is taken.
        rounds: of every side; bytes and growth are measured once.
        sizes: numbers of objects whose growth is measured.

    Raises:
        subprocess.CalledProcessError: a measured run failed; the reason is on its standard error.
    """
    made: dict[str, list[Numbers]] = {"ours": [], "floor": [], "applied": [], "imports": []}

    def add(side: str, *arguments: int) -> Numbers:
        numbers = _measured(side, *arguments)
        made.setdefault(side, []).append(numbers)
        console.print(f"{side}: {json.dumps(_rounded(numbers))}")
        _write(made)
        return numbers

    for number in range(rounds):
        ours = add("ours")
        for side in ("floor", "applied") if number % 2 else ("applied", "floor"):
            add(side, *([int(ours["resources"])] if side == "floor" else []))
        add("imports")
    add("to_s3")
    for size in sizes:
        add("growth", size)
    console.print(life_table(made))
    plot(made, FOLDER / "life.svg")


def _measured(side: str, *arguments: int) -> Numbers:
    done = subprocess.run(
        [sys.executable, "-m", "tests.live.stack_life", side, *map(str, arguments)],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    return cast("Numbers", json.loads(done.stdout.splitlines()[-1]))


def _rounded(numbers: Numbers) -> Numbers:
    return {name: round(value, 2) for name, value in numbers.items()}


def _write(made: Rounds) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "life.json").write_text(
        json.dumps({"of": TITLE, "rounds": made}, indent=1) + "\n", "utf-8"
    )


def median(made: Rounds, side: str, name: str) -> float:
    """Of all rounds."""
    return statistics.median(numbers[name] for numbers in made[side])


def exponent(points: Sequence[tuple[float, float]]) -> float:
    """The k of the curve seconds = c * size ** k that lies nearest, by its logarithms."""
    sizes, seconds = ([math.log(value) for value in values] for values in zip(*points, strict=True))
    return statistics.linear_regression(sizes, seconds).slope


def life_table(made: Rounds) -> Table:
    """A row per step, in seconds and ratios."""
    table = Table(box=None, pad_edge=False, title=TITLE, title_justify="left")
    for heading in ("step", "ours", "floor", "ratio", "kubectl apply", "ratio", "limit"):
        table.add_column(heading, justify="left" if heading == "step" else "right")
    for step in STEPS:
        ours, floor = (median(made, side, step) for side in ("ours", "floor"))
        cells = [step, f"{ours:.1f} s", f"{floor:.1f} s", f"{ours / floor:.2f}"]
        if step == "up":
            applied = median(made, "applied", "up")
            table.add_row(
                *cells, f"{applied:.1f} s", f"{ours / applied:.2f}", f"{UP_LIMIT} of apply"
            )
        elif step == "unchanged preview":
            table.add_row(*cells, "", "", f"{UNCHANGED_LIMIT} of floor")
        else:
            table.add_row(*cells)
    tries, errors = (median(made, "applied", name) for name in ("tries", "errors"))
    table.add_row("tries / errors of apply", "1 / 0", "", "", f"{tries:.0f} / {errors:.0f}")
    table.add_row("CRDs, of up", f"{median(made, 'ours', 'CRDs'):.1f} s")
    program, packages = (median(made, "imports", name) for name in ("program", "packages"))
    table.add_row(
        "import", f"{program:.2f} s", f"{packages:.2f} s (packages)", f"{program / packages:.2f}"
    )
    table.add_row("state", f"{median(made, 'ours', 'bytes of the state') / 1e6:.1f} MB")
    for place, side in (("file", "ours"), ("S3", "to_s3")):
        written = median(made, side, f"bytes written, {place}")
        table.add_row(
            f"written by up, {place}",
            f"{written / 1e6:.0f} MB",
            *[""] * 4,
            f"{WRITTEN_LIMIT / 1e6:.0f} MB",
        )
    for step in STEPS[:2]:
        points = [(numbers["resources"], numbers[step]) for numbers in made["growth"]]
        told = ", ".join(f"{size:.0f}: {seconds:.1f} s" for size, seconds in points)
        table.add_row(
            f"growth of {step} ({told})",
            f"n^{exponent(points):.2f}",
            *[""] * 4,
            f"n^{GROWTH_LIMIT}",
        )
    return table


def plot(made: Rounds, path: Path) -> None:
    """Draws every step's seconds side by side, as SVG."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(9, 4))
    width = 0.28
    places = range(len(STEPS))
    for number, (side, label) in enumerate(
        (("ours", "the stack"), ("floor", "as many empty resources"))
    ):
        seconds = [median(made, side, step) for step in STEPS]
        axis.bar([place + number * width for place in places], seconds, width, label=label)
    axis.bar(
        [STEPS.index("up") + 2 * width],
        [median(made, "applied", "up")],
        width,
        label="kubectl apply until it passes",
    )
    axis.set_xticks([place + width / 2 for place in places], STEPS)
    axis.set_ylabel("seconds")
    axis.set_title(TITLE, loc="left", fontsize="medium")
    axis.legend()
    figure.tight_layout()
    figure.savefig(path)
