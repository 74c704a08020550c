"""The benchmark's table and plot, of made-up numbers."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.life_table import STEPS, Rounds, exponent, life_table, plot
from tests.live.stack_life import state_file

MADE: Rounds = {
    "ours": [
        dict.fromkeys(STEPS, 10.0 * factor)
        | {"CRDs": 3.0, "bytes of the state": 4e6, "bytes written, file": 1e9}
        for factor in (1, 9, 2)
    ],
    "floor": [dict.fromkeys(STEPS, 10.0)],
    "applied": [{"up": 40.0, "tries": 3, "errors": 105}],
    "imports": [{"program": 3.0, "packages": 2.0}],
    "to_s3": [{"bytes written, S3": 59e6, "objects written, S3": 1700}],
    "growth": [
        {"resources": size, "first preview": size / 10, "up": (size / 10) ** 2}
        for size in (100, 1000)
    ],
}


def text_of(made: Rounds) -> list[str]:
    text = io.StringIO()
    Console(width=200, file=text).print(life_table(made))
    return [" ".join(line.split()) for line in text.getvalue().splitlines()]


@pytest.mark.parametrize("end", ["json", "json.zst"])
def test_the_state_is_found_compressed_or_not(tmp_path: Path, end: str) -> None:
    folder = tmp_path / "state/.pulumi/stacks/project"
    folder.mkdir(parents=True)
    for name in (f"cn-north-1.{end}", f"cn-north-1.{end}.bak", f"another.{end}"):
        (folder / name).touch()
    assert state_file(tmp_path) == folder / f"cn-north-1.{end}"


def test_a_step_is_the_median_of_its_rounds_beside_the_floor_and_the_reference() -> None:
    lines = text_of(MADE)
    assert "up 20.0 s 10.0 s 2.00 40.0 s 0.50 1.1 of apply" in lines
    assert "unchanged preview 20.0 s 10.0 s 2.00 1.5 of floor" in lines
    assert "tries / errors of apply 1 / 0 3 / 105" in lines
    assert "written by up, S3 59 MB 60 MB" in lines


@pytest.mark.parametrize("power", [1.0, 1.5])
def test_growth_is_the_exponent_of_the_size(power: float) -> None:
    assert exponent([(n, 3 * n**power) for n in (100, 500, 5000)]) == pytest.approx(power)


def test_growth_has_a_row_per_step() -> None:
    rows = [line for line in text_of(MADE) if line.startswith("growth")]
    assert ["n^1.00" in rows[0], "n^2.00" in rows[1]] == [True, True]


def test_the_plot_names_every_step_and_side(tmp_path: Path) -> None:
    plot(MADE, tmp_path / "life.svg")
    assert (tmp_path / "life.svg").read_text().count("<!-- ") >= len(STEPS) + 3
