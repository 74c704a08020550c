"""Changes that many resources have alike: shown once with a number, so that no other is buried."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from review.changes import Change
from review.resources import Resource
from review.values import is_generated, shown

MANY = 6
"""From so many resources on, a change is shown once."""

_WORDS = re.compile(r"([A-Za-z0-9_-]+)")


@dataclass(frozen=True)
class Common:
    """A change of many resources.

    Args:
        path: of the property; empty where the words stand in values of several.
        old: the shown value, or the words.
        new: likewise.
        kinds: kind of resource to their number.
        urns: of the resources.
    """

    path: str
    old: str
    new: str
    kinds: Mapping[str, int] = field(default_factory=dict[str, int])
    urns: frozenset[str] = frozenset()


def middle(old: str, new: str) -> tuple[str, str]:
    """The parts in which two words differ, from and to hyphens, underscores and ends."""
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    while start and old[start - 1].isalnum():
        start -= 1
    while end and old[len(old) - end].isalnum():
        end -= 1
    return old[start : len(old) - end], new[start : len(new) - end]


def words(old: object, new: object) -> frozenset[tuple[str, str]]:
    """The words that differ between two texts of the same form; none where the form differs."""
    if not (isinstance(old, str) and isinstance(new, str)):
        return frozenset()
    before, after = _WORDS.split(old), _WORDS.split(new)
    if len(before) != len(after) or before[::2] != after[::2]:
        return frozenset()
    pairs = zip(before[1::2], after[1::2], strict=True)
    return frozenset(middle(*pair) for pair in pairs if pair[0] != pair[1])


def common(resources: Iterable[Resource]) -> tuple[Common, ...]:
    """The changes that at least ``MANY`` of the resources have, those of most first."""
    exact: dict[tuple[str, str, str], list[tuple[Resource, Change]]] = {}
    inside: dict[tuple[str, str], dict[str, Resource]] = {}
    for resource in resources:
        for change in resource.changes:
            exact.setdefault(_key(change), []).append((resource, change))
            for pair in words(change.old, change.new):
                if not any(map(is_generated, (change.old, change.new))):
                    inside.setdefault(pair, {})[resource.urn] = resource
    found = [
        _common("", *pair, held.values()) for pair, held in inside.items() if len(held) >= MANY
    ]
    pairs = {(each.old, each.new) for each in found}
    found += [
        _common(*key, (resource for resource, _ in held))
        for key, held in exact.items()
        if len(held) >= MANY and not _of_pairs(held[0][1], pairs)
    ]
    return tuple(sorted(found, key=lambda each: (-len(each.urns), each.path, each.old, each.new)))


def _key(change: Change) -> tuple[str, str, str]:
    return change.path, *(shown(value, change.path) for value in (change.old, change.new))


def _common(path: str, old: str, new: str, resources: Iterable[Resource]) -> Common:
    held = list(resources)
    counts: dict[str, int] = {}
    for each in held:
        counts[each.kind] = counts.get(each.kind, 0) + 1
    return Common(path, old, new, dict(sorted(counts.items())), frozenset(e.urn for e in held))


def own_changes(resource: Resource, shared: Sequence[Common]) -> tuple[Change, ...]:
    """The changes of a resource without those that many have."""
    exact = {(each.path, each.old, each.new) for each in shared if each.path}
    pairs = {(each.old, each.new) for each in shared if not each.path}
    return tuple(
        change
        for change in resource.changes
        if _key(change) not in exact and not _of_pairs(change, pairs)
    )


def _of_pairs(change: Change, pairs: set[tuple[str, str]]) -> bool:
    found = words(change.old, change.new)
    return bool(found) and found <= pairs
