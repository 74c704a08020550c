"""Changes that many resources have alike: shown once with a number, so that no other is buried."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from review.changes import Change
from review.resources import Resource
from review.values import is_generated, shown

MANY = 6
"""From so many resources on, a change is shown once."""

FEW = 3
"""The same for digests, of which nobody reads one."""

_WORDS = re.compile(r"([A-Za-z0-9_.-]+)")
_DIGEST = re.compile(r"(sha256:)?[0-9a-f]{16,}$")
_SHORTEST = 4
"""Characters of a word that says by itself what is exchanged; `1` needs its path."""
_NAMES_IN_PATH = re.compile(r"\[[^\]]*\]")
OTHER_DIGEST = "another digest"


@dataclass(frozen=True)
class Common:
    """A change of many resources.

    Args:
        paths: of the property; several where the words stand in values of several.
        old: the shown value, or the words.
        new: likewise; ``OTHER_DIGEST`` where each resource has its own.
        sample: the change of one of them.
        inside: whether ``old`` and ``new`` are words inside of values.
        kinds: kind of resource to their number.
        urns: of the resources.
    """

    paths: tuple[str, ...]
    old: str
    new: str
    inside: bool
    sample: Change
    kinds: Mapping[str, int] = field(default_factory=dict[str, int])
    urns: frozenset[str] = frozenset()


def middle(old: str, new: str) -> tuple[str, str]:
    """The parts in which two words differ, as whole words; a version is one word."""
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    while start and (_inside(old, start) or _inside(new, start)):
        start -= 1
    while end and (_inside(old, len(old) - end) or _inside(new, len(new) - end)):
        end -= 1
    return old[start : len(old) - end], new[start : len(new) - end]


def _inside(text: str, place: int) -> bool:
    """Whether a cut before this place is inside of a word."""
    near = text[place - 1 : place + 1]
    dot = place - 1 + near.find(".")
    if "." in near:
        return text[max(0, dot - 1) : dot].isdigit() and text[dot + 1 : dot + 2].isdigit()
    return len(near) > 1 and near.isalnum()


def words(old: object, new: object) -> frozenset[tuple[str, str]]:
    """The words that differ between two texts of the same form; none where the form differs."""
    if isinstance(old, list) and isinstance(new, list):
        items = cast("tuple[list[object], list[object]]", (old, new))
        if len(items[0]) != len(items[1]):
            return frozenset()
        each = [words(*pair) for pair in zip(*items, strict=True) if pair[0] != pair[1]]
        return frozenset[tuple[str, str]]().union(*each) if all(each) else frozenset()
    if not (isinstance(old, str) and isinstance(new, str)):
        return frozenset()
    before, after = _WORDS.split(old), _WORDS.split(new)
    if len(before) != len(after) or before[::2] != after[::2]:
        return frozenset()
    pairs = zip(before[1::2], after[1::2], strict=True)
    return frozenset(middle(*pair) for pair in pairs if pair[0] != pair[1])


def common(resources: Iterable[Resource]) -> tuple[Common, ...]:
    """The changes that at least ``MANY`` of the resources have, those of most first."""
    exact: dict[str, list[tuple[Resource, Change]]] = {}
    inside: dict[tuple[str, str], list[tuple[Resource, Change]]] = {}
    for resource in resources:
        for change in resource.changes:
            exact.setdefault(_key(change), []).append((resource, change))
            if any(map(is_generated, (change.old, change.new))):
                continue
            for pair in words(change.old, change.new):
                if all(pair) and max(map(len, pair)) >= _SHORTEST and not _is_digest(*pair):
                    inside.setdefault(pair, []).append((resource, change))
    found = [
        _common(pair, held, inside=True)
        for pair, held in inside.items()
        if len({resource.urn for resource, _ in held}) >= MANY
    ]
    pairs = {(each.old, each.new) for each in found}
    for held in exact.values():
        change = held[0][1]
        digests = _is_digest(change.old, change.new)
        if len(held) >= (FEW if digests else MANY) and not _of_pairs(change, pairs):
            found.append(_common(_shown_pair(change), held, inside=False))
    return tuple(sorted(found, key=lambda each: (-len(each.urns), each.paths, each.old, each.new)))


def _is_digest(old: object, new: object) -> bool:
    return all(isinstance(each, str) and _DIGEST.match(each) for each in (old, new))


def _key(change: Change) -> str:
    """The same text for the same change, and for any change from a digest to another."""
    if _is_digest(change.old, change.new):
        return f"{change.path}: {OTHER_DIGEST}"
    return f"{change.path}: {change.old!r} -> {change.new!r}"


def _shown_pair(change: Change) -> tuple[str, str]:
    if _is_digest(change.old, change.new):
        return "a digest", OTHER_DIGEST
    return shown(change.old, change.path), shown(change.new, change.path)


def _common(
    pair: tuple[str, str], held: Sequence[tuple[Resource, Change]], *, inside: bool
) -> Common:
    resources = {resource.urn: resource for resource, _ in held}
    kinds = Counter(each.kind for each in resources.values())
    paths = Counter(change.path for _, change in held)
    if len(paths) > 1:
        paths = Counter(_NAMES_IN_PATH.sub("[]", path) for path in paths.elements())
    return Common(
        paths=tuple(
            path for path, _ in sorted(paths.items(), key=lambda each: (-each[1], each[0]))
        ),
        old=pair[0],
        new=pair[1],
        inside=inside,
        sample=held[0][1],
        kinds=dict(sorted(kinds.items())),
        urns=frozenset(resources),
    )


def own_changes(resource: Resource, shared: Sequence[Common]) -> tuple[Change, ...]:
    """The changes of a resource without those that many have."""
    exact = {_key(each.sample) for each in shared if not each.inside}
    pairs = {(each.old, each.new) for each in shared if each.inside}
    return tuple(
        change
        for change in resource.changes
        if _key(change) not in exact and not _of_pairs(change, pairs)
    )


def _of_pairs(change: Change, pairs: set[tuple[str, str]]) -> bool:
    found = words(change.old, change.new)
    return bool(found) and found <= pairs
