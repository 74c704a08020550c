"""Why an upgrade changes an object, as far as the files of the new release have the reason.

``upgrade.yaml`` has the reason for what goes, is replaced or stays; ``golden.yaml`` and
``reasons.yaml`` have that for each difference of the release to its upstream. What has none of them
is as upstream ships it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from upgrades.table import Upgrade, matches


def of_way(way: Upgrade, name: str) -> Iterator[str]:
    """Why an object goes, is replaced or stays.

    Args:
        way: from the release before.
        name: of the object, as ``upgrade.yaml`` has it. An object of another kind with the same
            name, such as the disruption budget of a Deployment, goes for the reason of that one.
    """
    called = _without_kind(name)
    for each in way.gone:
        if matches(name, each.objects) or called in map(_without_kind, each.objects):
            yield each.why
    yield from (each.why for each in way.replaced if matches(name, [each.object]))
    yield from (each.why for each in way.stays if each.what == name)


def _without_kind(name: str) -> str:
    return name.partition(" ")[2]


def of_difference(folder: Path, name: str, paths: Sequence[str]) -> Iterator[str]:
    """Why an object, or what it has at one of these paths, is not as upstream ships it.

    Args:
        folder: of the release.
        name: of the object, as ``golden.yaml`` has it, with values in place of its markers.
        paths: of properties; items of lists by name or by number.
    """
    added, changed = _differences(folder)
    yield from (why for pattern, why in added.items() if fnmatchcase(name, pattern))
    places = [_plain(path) for path in paths]
    yield from dict.fromkeys(
        why
        for pattern, differences in changed.items()
        if fnmatchcase(name, pattern)
        for path, why in differences
        if any(_around(path, place) or _around(place, path) for place in places)
    )


_Differences = tuple[Mapping[str, str], Mapping[str, Sequence[tuple[str, str]]]]


@lru_cache(maxsize=4)
def _differences(folder: Path) -> _Differences:
    """Pattern of an object's name -> reason, of those added; -> path and reason, of the others."""
    if not (folder / "golden.yaml").exists():
        return {}, {}
    golden, rows = (_read(folder / f"{name}.yaml") for name in ("golden", "reasons"))
    because = {str(row["id"]): " ".join(str(row["because"]).split()) for row in rows}
    added = {
        _pattern(name): because[entry["reason"]] for name, entry in (golden["added"] or {}).items()
    }
    changed = {
        _pattern(name): [(_plain(each["path"]), because[each["reason"]]) for each in entries]
        for name, entries in (golden["changed"] or {}).items()
    }
    return added, changed


def _read(file: Path) -> Any:
    return yaml.load(file.read_bytes(), Loader=yaml.CSafeLoader)


def _pattern(name: str) -> str:
    """The name with ``*`` for its markers and hashes."""
    return re.sub(r"<<[^>]*>>|<hash>", "*", name)


def _plain(path: str) -> str:
    """The path as either side spells it: items by name, no numbers, and no structure of a text."""
    named = re.sub(r"\[\w+=([^\]]*)\]", r"[\1]", path.partition(" > ")[0])
    return re.sub(r"\[\+?\d+\]|\[order\]| \(order\)$", "", named)


def _around(outer: str, inner: str) -> bool:
    return inner == outer or inner.startswith((f"{outer}.", f"{outer}["))
