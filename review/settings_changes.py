"""Which settings of a stack file differ, by the keys that its reader knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from review.changes import ABSENT, Change, changes
from review.sides import Side

_NAMESPACE = "kubeflow:"


def settings_changes(base: Side, head: Side) -> tuple[Change, ...]:
    """Every key with its value on both sides, by key; none when a side's settings are unknown."""
    if base.from_state or head.from_state:
        return ()
    old, new = dict(base.settings), dict(head.settings)
    differ = {each.path for each in changes(_without_quotes(old), _without_quotes(new))}
    sections = (each for each in changes(old, new) if each.path in differ)
    return tuple(key for section in sections for key in _keys(section))


def _without_quotes(value: Any) -> Any:
    """One form of what a stack file may write in quotes or without.

    ``pulumi stack init`` and ``pulumi config set`` put truth values in quotes.
    """
    if isinstance(value, Mapping):
        items = cast("Mapping[str, Any]", value).items()
        return {key: _without_quotes(item) for key, item in items}
    if isinstance(value, list):
        return [_without_quotes(item) for item in cast("list[Any]", value)]
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (int, float)) else value


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
