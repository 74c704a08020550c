"""What an IAM document allows: explicit denials first, then allowances, else nothing.

IAM user guide, "Policy evaluation logic", for the operators of this project's own documents.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

Document = Mapping[str, Any]
Keys = Mapping[str, str]
_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": str.__eq__,
    "StringLike": fnmatchcase,
    "Bool": lambda value, wanted: value.lower() == wanted,
}


def allowed(document: Document, action: str, resource: str, **keys: str) -> bool:
    """Whether a request is allowed; ``__`` in the name of a key stands for a colon."""
    request = {name.replace("__", ":"): value for name, value in keys.items()}
    effects = {
        statement["Effect"]
        for statement in document["Statement"]
        if _matches(statement["Action"], action)
        and _matches(statement["Resource"], resource)
        and _holds(statement.get("Condition", {}), request)
    }
    return effects == {"Allow"}


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _matches(patterns: Any, value: str) -> bool:
    return any(fnmatchcase(value, pattern) for pattern in _listed(patterns))


def _holds(condition: Mapping[str, Mapping[str, Any]], request: Keys) -> bool:
    # A key that a request lacks matches nothing.
    return all(
        key in request and any(_OPERATORS[operator](request[key], each) for each in _listed(values))
        for operator, wanted in condition.items()
        for key, values in wanted.items()
    )
