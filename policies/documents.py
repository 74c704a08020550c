"""The policy documents among the inputs of AWS resources."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from policies.model import Resource


def listed(value: Any) -> list[Any]:
    """A list as it is, nothing as no items, everything else as the only item."""
    return value if isinstance(value, list) else [] if value is None else [value]


def statements(resource: Resource) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The property and each statement of every policy document; unreadable ones are left out."""
    for key, value in _documents(resource.inputs, ""):
        try:
            document = json.loads(value)
        except ValueError:
            continue
        for statement in listed(document.get("Statement")):
            yield key, statement


def _documents(inputs: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    """Among the inputs themselves, and in lists of documents such as a role's inline policies."""
    for key, value in inputs.items():
        if isinstance(value, str) and '"Statement"' in value:
            yield f"{prefix}{key}", value
        elif isinstance(value, list) and not prefix:
            for index, item in enumerate(value):
                if isinstance(item, dict):
                    yield from _documents(item, f"{key}.{index}.")


def everybody(statement: Mapping[str, Any]) -> bool:
    """Whether the principal of a statement is every account, or every one but some."""
    principal = statement.get("Principal")
    if isinstance(principal, Mapping):
        principal = principal.get("AWS")
    return "*" in listed(principal) or "NotPrincipal" in statement


# The keys that hold a statement to accounts, networks or callers, as S3 decides what is public
# (https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html,
# "The meaning of public"), and those of the callers that other services name.
_NARROWING = re.compile(
    r"aws:(?:sourceip|sourcevpc|sourcevpce|vpcsourceip|sourcearn|sourceaccount|sourceowner"
    r"|sourceorgid|sourceorgpaths|userid|username|principalarn|principalaccount|principalorgid"
    r"|principalorgpaths|principaltag/.+|principaltype|principalservicename|calledvia"
    r"|principalisawsservice)|s3:dataaccesspoint\w+|kms:(?:calleraccount|viaservice)"
    r"|lambda:functionurlauthtype|saml:.+|.+:(?:sub|aud)",
    re.IGNORECASE,
)
_POSITIVE = re.compile(
    r"(?:for(?:any|all)values?:)?(?:string(?:equals|equalsignorecase|like)|arn(?:equals|like)"
    r"|ipaddress|bool)",
    re.IGNORECASE,
)
_EVERY_CALLER = re.compile(r"|\*|0\.0\.0\.0/0|::/0|arn:(\*|[^:]*(:\*)+|\*:\*:\*:\*:\*.*)")


def narrowed(statement: Mapping[str, Any]) -> bool:
    """Whether a condition holds a statement to some callers or networks."""
    return any(
        _POSITIVE.fullmatch(operator)
        and _NARROWING.fullmatch(key)
        and not any(narrows_nothing(value) for value in listed(values))
        for operator, tests in (statement.get("Condition") or {}).items()
        for key, values in tests.items()
    )


def narrows_nothing(value: Any) -> bool:
    """Whether every caller meets a condition with this value, in every partition."""
    return bool(_EVERY_CALLER.fullmatch(str(value)))
