"""Which settings of a stack file differ, by the keys that its reader knows."""

from __future__ import annotations

from collections.abc import Iterator

from review.changes import ABSENT, Change, changes
from review.sides import Side

_NAMESPACE = "kubeflow:"


def settings_changes(base: Side, head: Side) -> tuple[Change, ...]:
    """Every key with its value on both sides, by key; none when a side's settings are unknown."""
    if base.from_state or head.from_state:
        return ()
    sections = changes(dict(base.settings), dict(head.settings))
    return tuple(key for section in sections for key in _keys(section))


def _keys(change: Change) -> Iterator[Change]:
    """The keys of a section that only one side has; any other change as it is."""
    old, new = change.old, change.new
    value = new if old is ABSENT else old
    of_items = isinstance(value, list) and any(isinstance(item, dict) for item in value)
    if ABSENT in (old, new) and (isinstance(value, dict) or of_items) and "[" not in change.path:
        empty = type(value)()
        yield from changes(*((empty, new) if old is ABSENT else (old, empty)), change.path)
    else:
        yield change


def short(key: str) -> str:
    """The key without the project's own prefix: ``cluster.name``."""
    return key.removeprefix(_NAMESPACE)
