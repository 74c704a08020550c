"""The rules of ``dangers.yaml``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import yaml

KINDS = {
    "data": "data is lost",
    "left": "data is left behind",
    "outage": "something stops",
    "open": "opens access",
    "guard": "a safeguard goes",
}


@dataclass(frozen=True)
class Rule:
    """One row of ``dangers.yaml``; its head explains the fields."""

    rank: int
    kind: str
    what: str
    avoid: str
    types: tuple[str, ...] = ()
    named: str = ""
    narrows: str = ""
    apart: str = ""
    happens: str = ""
    replace: str = ""
    delete: str = ""
    lost: str = ""
    retained: str = ""
    avoid_delete: str = ""
    unlock: str = ""
    settings: tuple[str, ...] = ()
    own: bool = False
    path: str = ""
    when: tuple[Any, ...] = ()
    created: bool = False
    doable: bool = False

    def is_about(self, type_: str) -> bool:
        """Whether the rule is about resources of a type."""
        return any(fnmatchcase(type_, each) for each in self.types)

    def has_name(self, label: str) -> bool:
        """Whether the rule is about a resource of that name, among those of its types."""
        return not self.named or re.fullmatch(self.named, label) is not None


@dataclass(frozen=True)
class _Table:
    resources: tuple[Rule, ...]
    changes: tuple[Rule, ...]
    others: Mapping[str, Rule]
    settings: tuple[Rule, ...]
    unlock: str


@cache
def table() -> _Table:
    """The rules, as the data file has them."""
    # libyaml's reader, wherever wheels are: 0.2 s less.
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = Path(__file__).with_name("dangers.yaml").read_bytes()
    data: Any = yaml.load(text, Loader=loader)  # noqa: S506 a safe one
    return _Table(
        tuple(_rule(row) for row in data["resources"]),
        tuple(_rule(row) for row in data["changes"]),
        {name: _rule(row) for name, row in data["others"].items()},
        tuple(_rule(row) for row in data["settings"]),
        data["unlock"],
    )


@cache
def rules_of(type_: str) -> tuple[tuple[Rule, ...], tuple[Rule, ...]]:
    """The rules about resources of a type, and about changes in them."""
    both = table().resources, table().changes
    resources, properties = (tuple(r for r in rules if r.is_about(type_)) for rules in both)
    return resources, properties


def _rule(row: Mapping[str, Any]) -> Rule:
    fields: dict[str, Any] = dict(row)
    for key in ("types", "settings", "when"):
        value = fields.get(key, ())
        fields[key] = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    return Rule(**fields)
