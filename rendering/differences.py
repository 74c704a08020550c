"""The differences of one render to another: objects removed, added and changed, value by value.

Objects are matched by group, kind, namespace and name, items of lists by the field that names them,
and texts that are YAML or JSON on both sides by their structure, so that a difference is as small
as the change that made it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, cast

import yaml

from rendering.cache import canonical_json
from rendering.objects import Object, ObjectKey, RenderError

HASHED_KINDS = ("ConfigMap", "Secret")
"""Kinds whose generated names end in a hash of the content (kustomize, generatorOptions)."""

_HASH = re.compile(r"(?<=-)[2456789bcdfghkmt]{10}$")
"""kustomize respells hexadecimal digits so that no word can appear (api/hasher/hasher.go)."""

_NAMING = ("name", "mountPath", "containerPort", "port", "key")
"""Fields that distinguish the items of a list; the first one that does is used (API conventions,
map lists; ``mountPath`` before others, because one volume can be mounted twice)."""

INTO_TEXT = " > "
"""Stands in a path before the part inside the structure of a text."""

ABSENT: Any = object()
"""The value of a side that has none; null is a value."""


@dataclass(frozen=True)
class Change:
    """A value that differs.

    ``spec.containers[name=main].env[name=A].value`` goes into items by name, ``args[2]`` by their
    place in upstream's list (``args[+2]``: new items before it), ``data.settings > a.b`` into the
    structure of a text, and ``list[order]`` is a changed order of named items that both have.

    Attributes:
        path: unique in its object.
        upstream: the value there, or ``ABSENT``.
        ours: likewise.
    """

    path: str
    upstream: Any
    ours: Any


@dataclass(frozen=True)
class Differences:
    """By the name of the object (``named``), in the order of names."""

    removed: Mapping[str, Object]
    added: Mapping[str, Object]
    changed: Mapping[str, tuple[Change, ...]]


def named(obj: Mapping[str, Any]) -> str:
    """``Deployment.apps kubeflow/ml-pipeline``: kubectl's kind and group, without a version."""
    key = ObjectKey.of(obj)
    return f"{key.kind}{f'.{key.group}' if key.group else ''} {key.full_name}"


def compare(upstream: Iterable[Object], ours: Iterable[Object]) -> Differences:
    """Every difference of ``ours`` to ``upstream``; none exactly when the two are equal.

    Raises:
        RenderError: an object occurs twice on one side, so that nothing can be matched with it.
    """
    theirs, own = _by_name(upstream), _by_name(ours)
    changed = {
        name: tuple(changes(theirs[name], own[name])) for name in sorted(theirs.keys() & own.keys())
    }
    return Differences(
        removed={name: theirs[name] for name in sorted(theirs.keys() - own.keys())},
        added={name: own[name] for name in sorted(own.keys() - theirs.keys())},
        changed={name: values for name, values in changed.items() if values},
    )


def changes(upstream: Any, ours: Any, path: str = "") -> Iterator[Change]:
    """Every value at or below ``path`` that differs."""
    match upstream, ours:
        case dict(), dict():
            yield from _of_mappings(upstream, ours, path, _field)
        case list(), list():
            yield from _of_lists(upstream, ours, path)
        case str(), str():
            yield from _of_texts(upstream, ours, path)
        case _:
            if type(upstream) is not type(ours) or upstream != ours:
                yield Change(path, upstream, ours)


def _field(key: str) -> str:
    return f".{key}" if re.fullmatch(r"[\w-]+", key) else f"[{key}]"


def _of_mappings(
    upstream: Object, ours: Object, path: str, step: Callable[[str], str]
) -> Iterator[Change]:
    """``step`` spells a key as the end of a path."""
    for key in sorted(upstream.keys() | ours.keys()):
        inside = path and not path.endswith(INTO_TEXT)
        deeper = path + (step(key) if inside else step(key).removeprefix("."))
        if key in upstream and key in ours:
            yield from changes(upstream[key], ours[key], deeper)
        else:
            yield Change(deeper, upstream.get(key, ABSENT), ours.get(key, ABSENT))


def _of_lists(upstream: list[Any], ours: list[Any], path: str) -> Iterator[Change]:
    field = next((field for field in _NAMING if _names(field, upstream, ours)), None)
    if field is None:
        yield from _of_sequences(upstream, ours, path)
        return
    theirs = {str(item[field]): item for item in upstream}
    own = {str(item[field]): item for item in ours}
    yield from _of_mappings(theirs, own, path, lambda name: f"[{field}={name}]")
    before = [name for name in theirs if name in own]
    after = [name for name in own if name in theirs]
    if before != after and not (path.endswith(".env") and _independent(upstream + ours)):
        yield Change(f"{path}[order]", " ".join(before), " ".join(after))


def _names(field: str, *lists: list[Any]) -> bool:
    """Whether ``field`` distinguishes the items of each list."""
    for items in lists:
        names = [item.get(field) if isinstance(item, dict) else None for item in items]
        if not items or None in names or len(set(map(str, names))) < len(items):
            return False
    return True


def _independent(variables: list[Any]) -> bool:
    """Whether no variable of a container uses another one, which would have to stand before it.

    Nothing else gives their order a meaning (Kubernetes API reference, EnvVar), and kustomize puts
    those that a patch names first.
    """
    return not any("$(" in str(variable.get("value")) for variable in variables)


def _of_sequences(upstream: list[Any], ours: list[Any], path: str) -> Iterator[Change]:
    spelled = [[canonical_json(item) for item in items] for items in (upstream, ours)]
    matcher = SequenceMatcher(None, *spelled, autojunk=False)
    for tag, start, end, own_start, own_end in matcher.get_opcodes():
        before, after = upstream[start:end], ours[own_start:own_end]
        span = f"{start}" if end - start == 1 else f"{start}:{end}"
        if tag == "equal":
            continue
        if len(before) == len(after):
            for index, (old, new) in enumerate(zip(before, after, strict=True), start):
                yield from changes(old, new, f"{path}[{index}]")
        elif not before:
            yield Change(f"{path}[+{start}]", ABSENT, _alone(after))
        elif not after:
            yield Change(f"{path}[{span}]", _alone(before), ABSENT)
        else:
            yield Change(f"{path}[{span}]", before, after)


def _alone(items: list[Any]) -> Any:
    return items[0] if len(items) == 1 else items


def _of_texts(upstream: str, ours: str, path: str) -> Iterator[Change]:
    if upstream == ours:
        return
    theirs, own = _structure(upstream), _structure(ours)
    inside: list[Change] = []
    if theirs is not None and type(theirs) is type(own):
        inside = list(changes(theirs, own, f"{path}{INTO_TEXT}"))
    # Texts of equal structure can still differ, by a comment for example.
    yield from inside or [Change(path, upstream, ours)]


def _structure(text: str) -> dict[str, Any] | list[Any] | None:
    """A text of several lines, or one in brackets, parsed as YAML; JSON is YAML."""
    if "\n" not in text and not text.startswith(("{", "[")):
        return None
    try:
        value = yaml.load(text, Loader=yaml.CSafeLoader)
        return (
            json.loads(json.dumps(value, default=str)) if isinstance(value, dict | list) else None
        )
    except (yaml.YAMLError, TypeError, ValueError):
        return None


def _by_name(objects: Iterable[Object]) -> dict[str, Object]:
    """Objects by name, with ``<hash>`` for the hash in generated names, also in references."""
    every = list(objects)
    names = [ObjectKey.of(obj).name for obj in every if obj.get("kind") in HASHED_KINDS]
    without_hash = {name: _HASH.sub("<hash>", name) for name in names if _HASH.search(name)}
    by_name: dict[str, Object] = {}
    for obj in every:
        renamed = _renamed(obj, without_hash)
        if named(renamed) in by_name:
            raise RenderError(f"{named(renamed)} occurs twice in one render")
        by_name[named(renamed)] = renamed
    return by_name


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return names.get(value, value)
    if isinstance(value, dict):
        return {key: _renamed(child, names) for key, child in cast(Object, value).items()}
    if isinstance(value, list):
        return [_renamed(child, names) for child in cast("list[Any]", value)]
    return value
