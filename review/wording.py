"""Words and values that several sections have."""

from __future__ import annotations

from typing import Any

from review.blocks import (
    Code,
    Piece,
    Text,
    listed,
)
from review.changes import ABSENT, Change
from review.values import (
    hidden_arguments,
    shown,
    shown_pair,
)

OPERATIONS = {
    "create": "created",
    "update": "updated",
    "replace": "replaced",
    "delete": "deleted",
}
PATHS_PER_OBJECT = 30
"""Lines of one resource's changes."""
SIMULATED = ("launchTemplate.version",)
"""Paths whose values AWS counts, and a simulation invents."""


def arrow(change: Change, longest: int = 96) -> Text:
    """``old`` -> ``new``, or what was added or removed."""
    if change.path in SIMULATED and ABSENT not in (change.old, change.new):
        return ("another version",)
    if change.old is ABSENT:
        return "added ", Code(shown(change.new, change.path, longest))
    if change.new is ABSENT:
        return Code(shown(change.old, change.path, longest)), " removed"
    if isinstance(change.old, list) and isinstance(change.new, list):
        return _of_lists(change, longest)
    old, new = shown_pair(change.old, change.new, change.path, longest)
    if old == new:
        return ("another value (", Code(new), ")")
    return Code(old), " → ", Code(new)


def _of_lists(change: Change, longest: int) -> Text:
    lost, won = items_apart(change)
    pieces: list[Piece] = []
    for items, verb in ((won, "added"), (lost, "removed")):
        if items:
            pieces += ["; " if pieces else "", f"{verb} "]
            pieces += listed([shown(item, change.path, longest) for item in items], 8)
    return tuple(pieces) or ("another order",)


def items_apart(change: Change) -> tuple[list[Any], list[Any]]:
    """The items of the old list that the new one lacks, and the other way round; no secret."""

    def of(own: list[Any], other: list[Any]) -> list[Any]:
        pairs = zip(own, hidden_arguments(own), strict=True)
        return [safe for item, safe in pairs if item not in other]

    return of(change.old, change.new), of(change.new, change.old)
