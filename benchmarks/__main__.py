"""``python -m benchmarks --stack cn-north-1``: what ``make bench`` measures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.admissions import admission_bench
from benchmarks.life_table import life_bench
from benchmarks.preview_and_render import bench as measure
from rehearsal.report import console, failures_as_sentences, say
from settings import from_stack_file
from terminal.application import DEFAULT_STACK, Stack, application, run
from terminal.exit_codes import FAILED, incomplete_fails
from toolchain import tools

ROOT = Path(__file__).resolve().parent.parent

app = application()


@app.command()
def bench(
    stack: Stack = DEFAULT_STACK,
    rounds: Annotated[int, typer.Option(help="Of which the median counts.")] = 5,
    cluster: Annotated[
        bool, typer.Option(help="Also the stack's life on a real API server, an hour and more.")
    ] = True,
) -> None:
    """Measures preview, render, admission and the stack's whole life, as ratios to lower bounds.

    The life is the Beijing stack's; its numbers and plot are in build/bench/. With CI=true, a
    preview or render that is above its limit, or could not be measured, is exit code 1.

    Example: `python -m benchmarks --stack cn-north-1 --no-cluster`
    """
    with failures_as_sentences():
        from_stack_file(ROOT / f"Pulumi.{stack}.yaml")
        tools.kustomize(say)
        faults = measure(stack, tools.pulumi(say).path, rounds=rounds, console=console)
        console.print()
        admission_bench(console, rounds=rounds)
        if cluster:
            console.print()
            life_bench(console, rounds=rounds)
        for sentence in faults:
            console.print(sentence, markup=False, style="yellow")
        if faults and incomplete_fails():
            raise typer.Exit(FAILED)


if __name__ == "__main__":
    run(app, "python -m benchmarks")
