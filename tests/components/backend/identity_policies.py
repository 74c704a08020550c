"""Whether an IAM role may do something, judged by its own policy document.

The part of the IAM user guide's evaluation logic that our documents use
(reference_policies_evaluation-logic.html, reference_policies_elements_condition_operators.html): a
denial wins, what no statement allows is denied, `*` and `?` in actions, resources and StringLike.
An operator that is not here is an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any


def allowed(
    document: Mapping[str, Any], action: str, resource: str, context: Mapping[str, str]
) -> bool:
    """Whether ``action`` on ``resource`` is allowed to whoever has this policy and no other.

    Args:
        document: the policy.
        action: such as ``s3:GetObject``.
        resource: the ARN.
        context: the condition keys that the request has.
    """
    effects = {
        statement["Effect"]
        for statement in document["Statement"]
        if _matches(statement["Action"], action)
        and _matches(statement["Resource"], resource)
        and _holds(statement.get("Condition", {}), context)
    }
    return effects == {"Allow"}


def _matches(patterns: str | Sequence[str], text: str) -> bool:
    several = [patterns] if isinstance(patterns, str) else patterns
    return any(
        re.fullmatch(re.escape(each).replace(r"\*", ".*").replace(r"\?", "."), text)
        for each in several
    )


def _holds(condition: Mapping[str, Mapping[str, Any]], context: Mapping[str, str]) -> bool:
    assert set(condition) <= {"StringLike", "Null"}, f"{set(condition)} is not judged"
    return all(
        key in context and _matches(values, context[key])
        for key, values in condition.get("StringLike", {}).items()
    ) and all(
        (value == "true") == (key not in context)
        for key, value in condition.get("Null", {}).items()
    )
