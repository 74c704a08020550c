"""What a rehearsal tells a person: tables of what would be made, and times."""

from __future__ import annotations

import resource
from collections import Counter
from collections.abc import Mapping

from rich.table import Table

from rehearsal.architecture import component_of
from rehearsal.engine import Outcome
from toolchain.tools import Tool

_ORDER = ("create", "update", "replace", "delete", "same", "refresh")


def peak_mib() -> tuple[int, int]:
    """Peak resident memory of this process and of its largest child (the engine), in MiB."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return own // 1024, children // 1024


def changes_table(outcome: Outcome) -> Table:
    """Components by what happens to their resources."""
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
    """The stack's outputs, a line each, for pasting; of a mapping only how much there is."""
    return [
        f"{name:<17} {f'({len(value)} names)' if isinstance(value, Mapping) else value}"
        for name, value in sorted(outcome.outputs.items())
    ]


def times_table(times: Mapping[str, float], tool: Tool) -> Table:
    """Seconds per step, the engine used, and memory."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column()
    for step, seconds in times.items():
        table.add_row(step, f"{seconds:.1f} s")
    own, engine = peak_mib()
    table.add_row("peak memory", f"{own} MiB here, {engine} MiB in the largest child process")
    table.add_row("engine", f"Pulumi {tool.version}, {tool.how}")
    return table
