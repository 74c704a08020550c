"""Checks the inputs of a resource against the types of the Pulumi SDKs that are installed.

A real provider refuses an unknown property, a missing one or a wrong type; so does a simulated one,
by the SDK's own argument classes (``rehearsal.sdk_schema``), and a value that cannot be
(``rehearsal.values``). Types without a class (custom resources, other packages) pass.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rehearsal import protocol
from rehearsal.resource_types import TABLES
from rehearsal.sdk_schema import Kind, ObjectShape, Shapes, shapes_of
from rehearsal.values import impossible


@dataclass(frozen=True, order=True)
class Failure:
    """One thing wrong with an input: ``path`` is the property (``spec.template.spec``)."""

    path: str
    reason: str


_NAMES = {"integer": "a whole number", "boolean": "true or false", "object": "an object"}
_CONTAINERS = {"list": list, "map": Mapping, "object": Mapping}


def check(type_: str, plain: Mapping[str, Any]) -> list[Failure]:
    """What is wrong with the plain inputs of a resource of this type; empty when nothing is.

    Args:
        type_: the resource's type token (``aws:iam/role:Role``, ``kubernetes:apps/v1:Deployment``).
        plain: decoded inputs, see ``rehearsal.protocol``.
    """
    shapes = shapes_of(type_)
    if shapes is None:
        return []
    checker = _Checker(shapes, strict=type_.startswith("kubernetes:"))
    if checker.strict and "status" in plain:
        # An API server ignores a status on creation, and manifests carry empty ones.
        plain = {key: value for key, value in plain.items() if key != "status"}
    failures = [*checker.object(shapes.objects[shapes.root], plain, "")]
    wrong = {failure.path for failure in failures}
    # A value of a wrong type is no value.
    values = [Failure(*each) for each in impossible(type_, plain) if each[0] not in wrong]
    return sorted(failures + values)


class _Checker:
    """Walks inputs along shapes.

    Args:
        strict: scalars must have their very type. The AWS provider's bridge converts between
            strings and others in both directions, an API server does not.
    """

    def __init__(self, shapes: Shapes, *, strict: bool) -> None:
        self.objects = shapes.objects
        self.strict = strict

    def object(self, shape: ObjectShape, value: Mapping[str, Any], at: str) -> Iterator[Failure]:
        properties = shape["properties"]
        quantities = TABLES["quantities"].get(shape["label"], [])
        for key, item in value.items():
            path = f"{at}.{key}" if at else key
            kind = properties.get(key)
            if kind is None:
                if not key.startswith("__"):
                    reason = f"is no property of {shape['label']}{_suggest(key, properties)}"
                    yield Failure(path, reason)
            else:
                yield from self.value(kind, item, path, lenient=key in quantities)
        for key in shape["required"]:
            if value.get(key) is None:
                yield Failure(f"{at}.{key}" if at else key, f"is required by {shape['label']}")

    def value(self, kind: Kind, value: Any, at: str, *, lenient: bool = False) -> Iterator[Failure]:
        if kind == "any" or value is None or value == protocol.UNKNOWN or _is_special(value):
            return
        row: tuple[str, Any] = (kind, None) if isinstance(kind, str) else next(iter(kind.items()))
        form, inner = row
        if form == "any of":
            yield from self._any_of(inner, value, at, lenient)
        elif not _fits(value, form, self.strict and not lenient):
            yield Failure(at, f"must be {_NAMES.get(form, f'a {form}')}, not {_shown(value)}")
        elif form == "object":
            yield from self.object(self.objects[inner], value, at)
        elif form in ("list", "map"):
            for place, item in enumerate(value) if form == "list" else value.items():
                yield from self.value(inner, item, f"{at}[{place}]", lenient=lenient)

    def _any_of(self, kinds: list[Kind], value: Any, at: str, lenient: bool) -> list[Failure]:
        attempts = [list(self.value(kind, value, at, lenient=lenient)) for kind in kinds]
        if not all(attempts):
            return []
        # The most specific complaint: one about something inside the value, if there is one.
        return max(attempts, key=lambda failures: len(failures[0].path))


def _suggest(key: str, properties: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(key, properties, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _is_special(value: Any) -> bool:
    """A resource reference or an asset, where its id or its content is meant."""
    return isinstance(value, Mapping) and protocol.SIGNATURE in value


def _fits(value: Any, kind: str, strict: bool) -> bool:
    if kind in _CONTAINERS or isinstance(value, (Mapping, list)):
        return isinstance(value, _CONTAINERS.get(kind, ()))
    if kind == "string":
        return isinstance(value, str) or not strict
    if isinstance(value, str):
        words = "true|false" if kind == "boolean" else r"-?\d+(\.\d+)?"
        return not strict and re.fullmatch(words, value) is not None
    if kind == "boolean":
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (kind == "number" and isinstance(value, float))


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list):
        return "a list"
    # Not the text of a string: it may be a secret.
    return "a string" if isinstance(value, str) else f"{value}".lower()
