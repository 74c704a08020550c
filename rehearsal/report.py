"""The terminal output of a rehearsal: changes, times, outputs, and failures as sentences."""

from __future__ import annotations

import resource
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager

from rich.table import Table

from rehearsal.architecture import component_of
from rehearsal.engine import EngineFailure, Outcome
from rendering import RenderError
from rendering.machine_faults import machine_faults_reported
from settings import SettingsError
from terminal import output
from terminal.exit_codes import BAD_INPUT
from terminal.exit_codes import FAILED as ENGINE_FAILED
from terminal.output import results as console
from toolchain.tools import Tool, ToolMissing

_ORDER = ("create", "update", "replace", "delete", "same", "refresh")


def say(text: str) -> None:
    """Prints a line as it is."""
    console.print(text)


def fail(problems: Sequence[str], code: int) -> None:
    """Prints each problem on standard error and ends the command."""
    raise output.fail(problems, code)


@contextmanager
def failures_as_sentences() -> Generator[None]:
    """Ends the command with sentences and an exit code instead of a traceback."""
    try:
        with machine_faults_reported():
            yield
    except SettingsError as error:
        fail(error.problems, BAD_INPUT)
    except EngineFailure as failure:
        cause = failure.cause.__cause__ if failure.cause is not None else None
        is_input = isinstance(cause or failure.cause, (SettingsError, RenderError))
        fail(failure.problems, BAD_INPUT if is_input else ENGINE_FAILED)
    except (ToolMissing, RenderError) as error:
        fail([str(error)], BAD_INPUT)


def peak_mib() -> tuple[int, int]:
    """Peak resident memory of this process and of its largest child (the engine), in MiB."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return own // 1024, children // 1024


def changes_table(outcome: Outcome) -> Table:
    """Counts of operations by component."""
    rows: dict[str, Counter[str]] = {}
    for urn, operation in outcome.operations.items():
        rows.setdefault(component_of(urn) or "stack", Counter())[operation] += 1
    kinds = sorted(
        outcome.changes, key=lambda kind: (_ORDER.index(kind) if kind in _ORDER else 9, kind)
    )
    table = Table(box=None, pad_edge=False)
    table.add_column("component")
    for kind in kinds:
        table.add_column(kind, justify="right")
    for component, counted in sorted(rows.items()):
        table.add_row(component, *(str(counted[kind] or "") for kind in kinds))
    table.add_row("all", *(str(outcome.changes[kind]) for kind in kinds), style="bold")
    return table


def output_lines(outcome: Outcome) -> list[str]:
    """The stack's outputs, a line each, for pasting; of a mapping the number of its names."""
    return [
        f"{name:<17} {f'({len(value)} names)' if isinstance(value, Mapping) else value}"
        for name, value in sorted(outcome.outputs.items())
    ]


def times_table(times: Mapping[str, float], tool: Tool) -> Table:
    """Seconds per step, the engine used, and memory."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for step, seconds in times.items():
        table.add_row(step, f"{seconds:.1f} s")
    own, engine = peak_mib()
    table.add_row("peak memory", f"{own} MiB here, {engine} MiB in the largest child process")
    table.add_row("engine", f"Pulumi {tool.version}, {tool.how}")
    return table
