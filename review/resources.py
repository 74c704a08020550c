"""Rows of two plans in pairs: what happens to each resource, and what is different in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from review.changes import ABSENT, Change, changes
from review.sides import SECRET, Row, Side

OPERATIONS = ("create", "update", "replace", "delete")
"""Those that change something, in the order in which a reader meets them."""

_COMPONENT = re.compile(r"\bkubeflow:platform:(\w+)")
_ABSTRACT = ("kubeflow:platform:", "eks:index:", "pulumi:providers:", "pulumi:pulumi:")
# The engine's own name for a resource without one: the Pulumi name and seven or more hex digits.
_GIVEN_NAME = re.compile(r"-[0-9a-f]{7,}$")
_SECRET_TYPE, _SECRET_DATA = "kubernetes:core/v1:Secret", ("data", "stringData")
_PHYSICAL = ("identifier", "bucket", "principalArn", "name", "addonName", "namePrefix", "registry")


@dataclass(frozen=True)
class Resource:
    """One resource on both sides.

    Args:
        urn: the engine's name.
        row: of the head; of the base when the resource is deleted.
        operation: ``create``, ``update``, ``replace``, ``delete`` or ``same``.
        before: inputs of the base; empty when it is created.
        after: inputs of the head; empty when it is deleted.
        changes: differences between the two, empty when it is created or deleted.
        protected: the engine refuses to delete or replace it.
        retained: it stays in the cloud when the stack no longer has it.
        was: ``protect`` and ``retain`` of the base; None where they are unknown.
    """

    urn: str
    row: Row
    operation: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    changes: tuple[Change, ...]
    protected: bool
    retained: bool
    was: tuple[bool, bool] | None

    @property
    def type(self) -> str:
        """The type token."""
        return self.row["type"]

    @property
    def inputs(self) -> Mapping[str, Any]:
        """Of the side that has the resource; the head's where both do."""
        return self.after or self.before

    @property
    def kubernetes(self) -> bool:
        """Whether it is an object in the cluster."""
        return self.type.startswith("kubernetes:")

    @property
    def component(self) -> str:
        """The outermost component that it belongs to."""
        found = _COMPONENT.search(self.urn)
        return found[1] if found else "stack"

    @property
    def parts(self) -> tuple[str, ...]:
        """Every component that it belongs to, from the outermost."""
        return tuple(_COMPONENT.findall(self.urn))

    @property
    def kind(self) -> str:
        """``Deployment``, or ``rds Instance``: short, and unique among what a reader meets."""
        package, _, rest = self.type.partition(":")
        module, _, name = rest.rpartition(":")
        module = module.partition("/")[0]
        return f"{module} {name}" if package == "aws" else name

    @property
    def label(self) -> str:
        """Its name where it exists, or else the one of Pulumi."""
        if self.kubernetes and "metadata" in self.inputs:
            metadata = self.inputs["metadata"]
            name = metadata.get("name") or metadata.get("generateName") or self.row["name"]
            return f"{metadata['namespace']}/{name}" if "namespace" in metadata else str(name)
        return str(self.row["name"])

    @property
    def object_name(self) -> str:
        """``Deployment.apps kubeflow/ml-pipeline``, of objects in the cluster; else empty."""
        if not self.kubernetes:
            return ""
        group = self.type.partition(":")[2].partition("/")[0]
        return f"{self.kind}{'' if group == 'core' else f'.{group}'} {self.label}"

    @property
    def physical(self) -> str:
        """The name that the inputs of the older side give it, or else the one of Pulumi."""
        if self.kubernetes:
            return self.label
        inputs = self.before or self.after
        for key in _PHYSICAL:
            if isinstance(inputs.get(key), str) and inputs[key]:
                return inputs[key]
        return str(self.row["name"])

    @property
    def replacing(self) -> tuple[str, ...]:
        """Property paths that force the replacement."""
        return tuple(self.row.get("replacing") or ())

    @property
    def concrete(self) -> bool:
        """Whether it is something that exists by itself: no component and no provider."""
        return not self.type.startswith(_ABSTRACT)


def paired(base: Side, head: Side) -> dict[str, Resource]:
    """URN to resource, of every row of either side, by URN."""
    old = {row["urn"]: row for row in base.rows}
    new = {row["urn"]: row for row in head.rows if row.get("operation") != "delete"}
    gone = {row["urn"]: row for row in head.rows if row.get("operation") == "delete"}
    pairs: dict[str, Resource] = {}
    # A row of the base that the head neither has nor deletes has another name there (an alias).
    for urn in sorted({*new, *gone}):
        pairs[urn] = _pair(urn, old.get(urn), new.get(urn), gone.get(urn), base.from_state)
    return pairs


def _pair(
    urn: str, before: Row | None, after: Row | None, gone: Row | None, from_state: bool
) -> Resource:
    row = after or gone or {}
    operation = _operation(before, after)
    old: dict[str, Any] = dict((before or {}).get("inputs") or row.get("before") or {})
    new: dict[str, Any] = dict((after or {}).get("inputs") or {})
    found: tuple[Change, ...] = ()
    if after and operation not in ("create", "same"):
        if from_state or before is None:
            old = {key: value for key, value in old.items() if not _given(key, value, new)}
        found = tuple(changes(old, new))
        if not found and operation in ("update", "replace") and "before" in after:
            engines = cast("Mapping[str, Any]", after["before"])
            old = {key: value for key, value in engines.items() if not _given(key, value, new)}
            found = tuple(changes(old, new))
    if row.get("type") == _SECRET_TYPE:
        found = tuple(map(_hidden, found))
        old, new = _without_data(old), _without_data(new)
    known = bool(before and after and "protect" in before and "protect" in after)
    return Resource(
        urn=urn,
        row=row,
        operation=operation,
        before=old,
        after=new,
        changes=found,
        protected=bool(row.get("protect")),
        retained=bool(row.get("retain")),
        was=_flags(before) if known else None,
    )


def _hidden(change: Change) -> Change:
    """The change of a Secret object without the values."""
    sides = (change.old, change.new)
    if change.path.split(".")[0].partition("[")[0] not in _SECRET_DATA:
        return change
    return Change(change.path, *(each if each is ABSENT else SECRET for each in sides))


def _without_data(inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {key: SECRET if key in _SECRET_DATA else value for key, value in inputs.items()}


def _flags(row: Row | None) -> tuple[bool, bool]:
    return bool((row or {}).get("protect")), bool((row or {}).get("retain"))


def _operation(before: Row | None, after: Row | None) -> str:
    if after is None:
        return "delete"
    said = str(after.get("operation") or ("same" if before else "create"))
    return said if said in OPERATIONS else "same"


def _given(key: str, value: Any, new: Mapping[str, Any]) -> bool:
    """Whether the engine, not the program, gave an input of a state its value."""
    if key in new:
        return False
    named = isinstance(value, str) and bool(_GIVEN_NAME.search(value))
    return key.startswith("__") or key == "version" or named or value in ({}, [])
