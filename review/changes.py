"""What is different between two values, by path."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from review.values import content_of, is_asset


class Absent:
    """Stands for a value that a side does not have."""

    def __repr__(self) -> str:
        return "-"


ABSENT = Absent()

_IDENTITY = ("name", "email", "key", "Sid", "sid", "id", "namespace", "bucket", "mountPath", "port")
"""Keys by which an item of a list is the same one on both sides, the first that all items have."""


@dataclass(frozen=True)
class Change:
    """One path with its value on both sides; ``ABSENT`` where a side has none."""

    path: str
    old: Any
    new: Any


def changes(old: Any, new: Any, path: str = "") -> Iterator[Change]:
    """Every innermost difference. Items of lists are matched by name, other lists are one value."""
    if old == new and _exact(old) == _exact(new):
        return
    if is_asset(old) or is_asset(new):
        if content_of(old) != content_of(new):
            yield Change(path, old, new)
        return
    pair = _as_data(old, new)
    if isinstance(pair[0], Mapping) and isinstance(pair[1], Mapping):
        if is_document(old) and is_document(new):
            yield Change(path, old, new)
        else:
            yield from _of_maps(*cast("tuple[Mapping[str, Any], Mapping[str, Any]]", pair), path)
    elif isinstance(pair[0], list) and isinstance(pair[1], list):
        yield from _of_lists(*cast("tuple[list[Any], list[Any]]", pair), path)
    else:
        yield Change(path, old, new)


def _exact(value: Any) -> str:
    """A text in which true is not 1, unlike in Python."""
    return json.dumps(value, sort_keys=True, default=str)


def _as_data(old: Any, new: Any) -> tuple[Any, Any]:
    """Both as what their JSON says, where both are JSON objects or lists in a text."""
    if isinstance(old, str) and isinstance(new, str):
        pair = parsed(old), parsed(new)
        if None not in pair and type(pair[0]) is type(pair[1]) and not any(map(is_document, pair)):
            return pair
    return old, new


def parsed(text: Any) -> Any:
    """The object or list that a text of JSON stands for; None for any other value."""
    if not isinstance(text, str) or text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        value: Any = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, (dict, list)) else None


def is_document(value: Any) -> bool:
    """Whether a value is an IAM document, as data or as text; ``review.grants`` compares those."""
    data = parsed(value) if isinstance(value, str) else value
    return isinstance(data, Mapping) and "Statement" in data


def _of_maps(old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> Iterator[Change]:
    for key in sorted({*old, *new}):
        inner = key_path(path, key)
        if key not in new:
            yield Change(inner, old[key], ABSENT)
        elif key not in old:
            yield Change(inner, ABSENT, new[key])
        else:
            yield from changes(old[key], new[key], inner)


def key_path(path: str, key: str) -> str:
    """The path of a key; in brackets where a dot in it would read as two keys."""
    if not path:
        return key
    return f"{path}[{key}]" if "." in key or "/" in key else f"{path}.{key}"


def _of_lists(old: list[Any], new: list[Any], path: str) -> Iterator[Change]:
    key = _identity(old, new)
    if key:
        by_name: tuple[dict[str, Any], ...] = tuple(
            {str(item[key]): item for item in items} for items in (old, new)
        )
        found = False
        for name in sorted({*by_name[0], *by_name[1]}):
            before, after = (items.get(name, ABSENT) for items in by_name)
            for change in changes(before, after, f"{path}[{name}]"):
                found = True
                yield change
        if not found:
            names = [[str(item[key]) for item in items] for items in (old, new)]
            yield Change(f"{path} (order)", *names)
        return
    if not all(isinstance(item, Mapping) for item in (*old, *new)):
        yield Change(path, old, new)
        return
    rest = [item for item in old if item not in new], [item for item in new if item not in old]
    if not any(rest):
        yield Change(f"{path} (order)", old, new)
    for index in range(max(map(len, rest))):
        before, after = (items[index] if index < len(items) else ABSENT for items in rest)
        item = before if before is not ABSENT else after
        place = (old if before is not ABSENT else new).index(item)
        yield from changes(before, after, f"{path}[{place}]")


def _identity(old: Sequence[Any], new: Sequence[Any]) -> str:
    items = [*old, *new]
    if not items or not all(isinstance(item, Mapping) for item in items):
        return ""
    for key in _IDENTITY:
        if all(isinstance(item.get(key), (str, int)) for item in items):
            names = [[str(item[key]) for item in side] for side in (old, new)]
            if all(len(set(side)) == len(side) for side in names):
                return key
    return ""


def innermost(change: Change) -> Iterator[Change]:
    """The change, and each value inside of a map or a list that only one side has."""
    yield change
    value = change.new if change.old is ABSENT else change.old
    if ABSENT in (change.old, change.new) and isinstance(value, (Mapping, list)):
        for path, leaf in leaves(value, change.path):
            if path != change.path:
                yield Change(path, *((ABSENT, leaf) if change.old is ABSENT else (leaf, ABSENT)))


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every innermost value with its path; lists of plain values are one."""
    data = parsed(value) if isinstance(value, str) else value
    if isinstance(data, Mapping) and not is_asset(data):
        for key, inner in sorted(cast("Mapping[str, Any]", data).items()):
            yield from leaves(inner, key_path(path, key))
    elif isinstance(data, list) and any(isinstance(item, (Mapping, list)) for item in data):
        items = cast("list[Any]", data)
        key = _identity(items, [])
        for index, item in enumerate(items):
            yield from leaves(item, f"{path}[{item[key] if key else index}]")
    else:
        yield path, value
