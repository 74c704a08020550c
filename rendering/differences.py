"""What one render says otherwise than another: objects removed, added and changed, value by value.

Objects are matched by group, kind, namespace and name, items of lists by the field that names them,
and texts that are YAML or JSON on both sides by their structure, so that a difference is as small
as the change that made it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
"""Fields that tell the items of a list apart, the first that does wins (API conventions, map lists;
``mountPath`` before others, because one volume can be mounted twice)."""

INTO_TEXT = " > "
"""Stands in a path where it goes on inside the structure of a text."""

_PLAIN_KEY = re.compile(r"[\w-]+")


@dataclass(frozen=True)
class Change:
    """A value that differs. ``path`` is unique in its object; a side without it is ``ABSENT``.

    ``spec.containers[name=main].env[name=A].value`` goes into items by name, ``args[2]`` by their
    place in upstream's list (``args[+2]``: new items before it), ``data.settings > a.b`` into the
    structure of a text, and ``list[order]`` is a changed order of named items that both have.
    """

    path: str
    upstream: Any
    ours: Any


class _Absent:
    """Says that a side has no such value; null is a value."""

    def __repr__(self) -> str:
        return "absent"


ABSENT = _Absent()


@dataclass(frozen=True)
class Differences:
    """By the name of the object (``named``), in the order of names."""

    removed: Mapping[str, Object]
    added: Mapping[str, Object]
    changed: Mapping[str, tuple[Change, ...]]


class NamedTwice(RenderError):
    """Two objects of one render have the same name, so that nothing can be matched with them."""


def named(obj: Mapping[str, Any]) -> str:
    """``Deployment.apps kubeflow/ml-pipeline``: kubectl's kind and group, without a version."""
    key = ObjectKey.of(obj)
    group = f".{key.group}" if key.group else ""
    where = f"{key.namespace}/{key.name}" if key.namespace else key.name
    return f"{key.kind}{group} {where}"


def compare(upstream: Iterable[Object], ours: Iterable[Object]) -> Differences:
    """Every difference of ``ours`` to ``upstream``; none exactly when the two say the same.

    Raises:
        NamedTwice: an object occurs twice on one side.
    """
    theirs, own = _by_name(upstream), _by_name(ours)
    changed = {
        name: found
        for name in sorted(theirs.keys() & own.keys())
        if canonical_json(theirs[name]) != canonical_json(own[name])
        and (found := tuple(changes(theirs[name], own[name])))
    }
    return Differences(
        removed={name: theirs[name] for name in sorted(theirs.keys() - own.keys())},
        added={name: own[name] for name in sorted(own.keys() - theirs.keys())},
        changed=changed,
    )


def changes(upstream: Any, ours: Any, path: str = "") -> Iterator[Change]:
    """Every difference of a JSON value to another, in the order of paths."""
    if isinstance(upstream, dict) and isinstance(ours, dict):
        yield from _of_mappings(cast(Object, upstream), cast(Object, ours), path)
    elif isinstance(upstream, list) and isinstance(ours, list):
        yield from _of_lists(cast("list[Any]", upstream), cast("list[Any]", ours), path)
    elif isinstance(upstream, str) and isinstance(ours, str):
        yield from _of_texts(upstream, ours, path)
    elif type(upstream) is not type(ours) or upstream != ours:
        yield Change(path, upstream, ours)


def _of_mappings(upstream: Object, ours: Object, path: str) -> Iterator[Change]:
    for key in sorted(upstream.keys() | ours.keys()):
        plain = _PLAIN_KEY.fullmatch(key)
        dot = "." if plain and path and not path.endswith(INTO_TEXT) else ""
        deeper = f"{path}{dot}{key if plain else f'[{key}]'}"
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
    for name in sorted(theirs.keys() | own.keys()):
        deeper = f"{path}[{field}={name}]"
        if name in theirs and name in own:
            yield from changes(theirs[name], own[name], deeper)
        else:
            yield Change(deeper, theirs.get(name, ABSENT), own.get(name, ABSENT))
    before = [name for name in theirs if name in own]
    after = [name for name in own if name in theirs]
    if before != after and not (path.endswith(".env") and _independent(upstream + ours)):
        yield Change(f"{path}[order]", " ".join(before), " ".join(after))


def _names(field: str, *lists: list[Any]) -> bool:
    """Does ``field`` tell the items of each list apart?"""
    for items in lists:
        found = [item.get(field) if isinstance(item, dict) else None for item in items]
        if not items or None in found or len({str(value) for value in found}) < len(items):
            return False
    return True


def _independent(variables: list[Any]) -> bool:
    """Does no variable of a container use another one, which must then stand before it?

    Nothing else gives their order a meaning (Kubernetes API reference, EnvVar), and kustomize puts
    those that a patch names first.
    """
    return not any("$(" in str(variable.get("value")) for variable in variables)


def _of_sequences(upstream: list[Any], ours: list[Any], path: str) -> Iterator[Change]:
    spelled = [[canonical_json(item) for item in items] for items in (upstream, ours)]
    matcher = SequenceMatcher(None, *spelled, autojunk=False)
    for what, start, end, own_start, own_end in matcher.get_opcodes():
        before, after = upstream[start:end], ours[own_start:own_end]
        if what == "equal":
            continue
        if len(before) == len(after):
            for index, (old, new) in enumerate(zip(before, after, strict=True), start):
                yield from changes(old, new, f"{path}[{index}]")
        elif what == "insert":
            yield Change(f"{path}[+{start}]", ABSENT, _alone(after))
        elif what == "delete":
            yield Change(f"{path}[{_span(start, end)}]", _alone(before), ABSENT)
        else:
            yield Change(f"{path}[{_span(start, end)}]", before, after)


def _alone(items: list[Any]) -> Any:
    return items[0] if len(items) == 1 else items


def _span(start: int, end: int) -> str:
    return str(start) if end - start == 1 else f"{start}:{end}"


def _of_texts(upstream: str, ours: str, path: str) -> Iterator[Change]:
    if upstream == ours:
        return
    theirs, own = _structure(upstream), _structure(ours)
    found: list[Change] = []
    if theirs is not None and type(theirs) is type(own):
        found = list(changes(theirs, own, f"{path}{INTO_TEXT}"))
    # Texts that parse to the same can still differ, by a comment for example.
    yield from found or [Change(path, upstream, ours)]


def _structure(text: str) -> dict[str, Any] | list[Any] | None:
    """What a text of several lines, or one in brackets, says as YAML; JSON is YAML."""
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
    found: dict[str, Object] = {}
    for obj in _without_hashes(list(objects)):
        name = named(obj)
        if name in found:
            raise NamedTwice(f"{name} occurs twice in one render")
        found[name] = obj
    return found


def _without_hashes(objects: Sequence[Object]) -> list[Object]:
    """Puts ``<hash>`` for the hash in generated names, also where others name them."""
    names: dict[str, str] = {}
    for obj in objects:
        name = ObjectKey.of(obj).name
        if obj.get("kind") in HASHED_KINDS and _HASH.search(name):
            names[name] = _HASH.sub("<hash>", name)
    return [_renamed(obj, names) for obj in objects] if names else list(objects)


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return names.get(value, value)
    if isinstance(value, dict):
        return {key: _renamed(child, names) for key, child in cast(Object, value).items()}
    if isinstance(value, list):
        return [_renamed(child, names) for child in cast("list[Any]", value)]
    return value
