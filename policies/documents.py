"""The policy documents among the inputs of AWS resources."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from policies.model import Resource


def listed(value: Any) -> list[Any]:
    """A list as it is, nothing as no items, everything else as the only item."""
    return value if isinstance(value, list) else [] if value is None else [value]


def statements(resource: Resource) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The property and each statement of every policy document; unreadable ones are left out."""
    for key, value in resource.inputs.items():
        if isinstance(value, str) and '"Statement"' in value:
            try:
                document = json.loads(value)
            except ValueError:
                continue
            for statement in listed(document.get("Statement")):
                yield key, statement


def everybody(statement: Mapping[str, Any]) -> bool:
    """Whether the principal of a statement is every account."""
    principal = statement.get("Principal")
    return principal == "*" or (
        isinstance(principal, Mapping) and "*" in listed(principal.get("AWS"))
    )
