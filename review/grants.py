"""What IAM documents allow, and whether one allows what another does not.

A document is any value of an AWS resource that has statements: ``policy``, ``assumeRolePolicy``,
the policies of buckets, keys, queues, repositories and endpoints. A grant is one action on one
resource for one principal under a condition. It is new where no statement of the older side covers
it: patterns cover patterns (``s3:Get*`` covers ``s3:GetObject``), a condition covers one that is
narrower. What cannot be compared that way (``NotAction``, ``NotResource``, ``NotPrincipal``, policy
variables inside patterns) is to be compared by hand, and never taken for harmless.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from policies.documents import narrows_nothing
from review.changes import is_document, key_path, parsed

_NOT = ("NotAction", "NotResource", "NotPrincipal")
# Operators of which more values mean that less is let through.
_NEGATED = re.compile(r"(^|:)(StringNot|NumericNot|DateNot|ArnNot|NotIpAddress)")


@dataclass(frozen=True, order=True)
class Grant:
    """One action on one resource for one principal; ``condition`` is JSON, empty without one."""

    action: str
    resource: str
    principal: str
    condition: str

    @property
    def conditions(self) -> dict[tuple[str, str], frozenset[str]]:
        """Operator and key to the values, of each condition."""
        return held_conditions(self.condition)


@cache
def held_conditions(text: str) -> dict[tuple[str, str], frozenset[str]]:
    """Operator and key to the values, of a condition as JSON; empty for an empty text."""
    tests: dict[str, dict[str, Any]] = json.loads(text) if text else {}
    return {
        (operator, key.lower()): frozenset(map(_text, as_list(values)))
        for operator, keys in tests.items()
        for key, values in keys.items()
    }


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def as_list(value: Any) -> list[Any]:
    """The items of a list, or what stands in place of one: documents may leave the brackets out."""
    return cast("list[Any]", value) if isinstance(value, list) else [value]


@dataclass(frozen=True)
class Document:
    """A policy document: grants of Allow and of Deny, and statements that cannot be compared."""

    allows: frozenset[Grant] = frozenset()
    denies: frozenset[Grant] = frozenset()
    opaque: frozenset[str] = frozenset()


def document_of(value: Any) -> Document | None:
    """The document that a text or a mapping stands for; None where it is none."""
    data = parsed(value) if isinstance(value, str) else value
    if not is_document(data):
        return None
    allows: set[Grant] = set()
    denies: set[Grant] = set()
    opaque: set[str] = set()
    for statement in as_list(cast("Mapping[str, Any]", data)["Statement"]):
        if not isinstance(statement, Mapping):
            opaque.add(json.dumps(statement, sort_keys=True))
            continue
        each = cast("Mapping[str, Any]", statement)
        if any(key in each for key in _NOT) or each.get("Effect") not in ("Allow", "Deny"):
            readable = {key: value for key, value in each.items() if key != "Sid"}
            opaque.add(json.dumps(readable, sort_keys=True))
            continue
        (allows if each["Effect"] == "Allow" else denies).update(_grants(each))
    return Document(frozenset(allows), frozenset(denies), frozenset(opaque))


def _grants(statement: Mapping[str, Any]) -> Iterator[Grant]:
    condition = statement.get("Condition") or {}
    text = json.dumps(condition, sort_keys=True) if condition else ""
    for action in as_list(statement.get("Action", "*")):
        for resource in as_list(statement.get("Resource", "-")):
            for principal in _principals(statement.get("Principal", "-")):
                yield Grant(str(action), str(resource), principal, text)


def _principals(value: Any) -> list[str]:
    if not isinstance(value, Mapping):
        return [str(value)]
    kinds = cast("Mapping[str, Any]", value)
    return [
        "*" if each == "*" and kind == "AWS" else f"{kind}: {each}"
        for kind, held in sorted(kinds.items())
        for each in map(str, as_list(held))
    ]


@cache
def _pattern(text: str, fold: bool) -> re.Pattern[str]:
    parts = (
        ".*" if part == "*" else "[^*]" if part == "?" else re.escape(part)
        for part in re.split(r"([*?])", text)
    )
    return re.compile("".join(parts), re.DOTALL | (re.IGNORECASE if fold else re.NOFLAG))


def covers(wide: Grant, narrow: Grant) -> bool:
    """Whether everything that ``narrow`` lets through, ``wide`` does too."""
    return (
        _pattern(wide.action, True).fullmatch(narrow.action) is not None
        and _pattern(wide.resource, False).fullmatch(narrow.resource) is not None
        and (wide.principal in ("*", narrow.principal))
        and all(
            _narrower(key, values, narrow.conditions.get(key))
            for key, values in wide.conditions.items()
        )
    )


def _narrower(key: tuple[str, str], wide: frozenset[str], narrow: frozenset[str] | None) -> bool:
    if narrow is None:
        return False
    if wide == narrow:
        return True
    operator = key[0]
    if operator.startswith(("ForAllValues", "ForAnyValue")) or operator.endswith("IfExists"):
        return False
    if _NEGATED.search(operator):
        return wide <= narrow
    if operator.startswith(("StringLike", "ArnLike", "ArnEquals")):
        return all(any(_pattern(each, False).fullmatch(value) for each in wide) for value in narrow)
    return operator.startswith(("StringEquals", "Bool", "NumericEquals")) and narrow <= wide


def beyond(grants: Iterable[Grant], others: Iterable[Grant]) -> tuple[Grant, ...]:
    """The grants that none of the others covers."""
    held = list(others)
    return tuple(sorted(g for g in grants if not any(covers(other, g) for other in held)))


def documents(inputs: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Every policy document inside the inputs of a resource, with its path."""
    for key, value in sorted(inputs.items()):
        place = key_path(path, key)
        if document_of(value) is not None:
            yield place, value
        elif isinstance(value, Mapping):
            yield from documents(cast("Mapping[str, Any]", value), place)
        elif isinstance(value, list):
            for index, item in enumerate(cast("list[Any]", value)):
                if isinstance(item, Mapping):
                    yield from documents(cast("Mapping[str, Any]", item), f"{place}[{index}]")


def is_admin(grant: Grant) -> bool:
    """Whether a grant is every action, or every action of a service, on every resource."""
    # In a policy of a resource, "*" is that resource alone.
    own = grant.resource == "*" and grant.principal == "-"
    return own and (grant.action == "*" or grant.action.endswith(":*"))


def is_public(grant: Grant) -> bool:
    """Whether a grant is for everybody, with no condition about who asks or from where."""
    if grant.principal != "*":
        return False
    narrowing = ("principal", "source", "vpc", "userid", "calleraccount", "viaservice")
    return not any(
        any(word in key for word in narrowing)
        and not _NEGATED.search(operator)
        and not operator.startswith("Null")
        and not any(map(narrows_nothing, values))
        for (operator, key), values in grant.conditions.items()
    )
