"""Statements of policies of resources in AWS, in every form that the service accepts.

IAM user guide, reference_policies_grammar.html: one statement needs no list, and a value of a
condition may be a text, a boolean or a list of one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Statement = Mapping[str, Any]


def statements_of(policy: str) -> list[Statement]:
    """The statements of a policy, which is JSON; of ``{}`` none."""
    found = json.loads(policy).get("Statement") or []
    return [found] if isinstance(found, dict) else found


def denies_plain(statement: Statement) -> bool:
    """Whether a statement denies everybody requests without TLS, whatever else it names."""
    (operator, keys), *others = list((statement.get("Condition") or {}).items()) or [("", {})]
    named = {str(key).lower(): value for key, value in keys.items()}
    secure = named.pop("aws:securetransport", None)
    values = secure if isinstance(secure, list) else [secure]
    return (
        statement["Effect"] == "Deny"
        and statement.get("Principal") in ("*", {"AWS": "*"}, {"AWS": ["*"]})
        and operator in ("Bool", "BoolIfExists")
        and not others
        and not named
        and [str(value).lower() for value in values] == ["false"]
    )
