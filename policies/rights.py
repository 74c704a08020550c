"""Rights name what they allow."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from policies.documents import listed, statements
from policies.model import Resource, Stack, Violation, policy

# As IAM matches: "*" any number of characters, "?" one. A service and a word of its actions count.
_EVERYTHING = re.compile(r"[*?]+|[^:]*[*?][^:]*:.*|[\w-]+:[*?]+")
_ANY = re.compile(r"[*?]+")
_ADMINISTRATORS = ("AdministratorAccess", "PowerUserAccess", "IAMFullAccess")


@policy("iam-wildcard", severity="high")
def iam_wildcard(stack: Stack) -> Iterator[Violation]:
    """No right is for every action of a service, or for every resource."""
    for resource in stack.of("aws:"):
        for path, statement in statements(resource):
            if statement.get("Effect") != "Allow":
                continue
            sid = statement.get("Sid") or listed(statement.get("Action"))[:1]
            if "NotAction" in statement:
                yield resource.finding(
                    path, "NotAction allows every other action; name the actions.", value=sid
                )
            for action in listed(statement.get("Action")):
                if _EVERYTHING.fullmatch(str(action)):
                    yield resource.finding(
                        f"{path} Action", "it allows everything; name the actions.", value=action
                    )
            # In a document of a resource itself (a key, a queue), "*" is that resource.
            if resource.type.startswith("aws:iam/"):
                yield from _resources(resource, path, statement)
    for attachment in stack.of("aws:iam/"):
        for arn in [
            attachment.inputs.get("policyArn"),
            *listed(attachment.inputs.get("managedPolicyArns")),
        ]:
            if str(arn).rpartition("/")[2] in _ADMINISTRATORS:
                yield attachment.finding(
                    "policyArn", "it allows nearly everything; write a policy.", value=arn
                )


def _resources(resource: Resource, path: str, statement: Mapping[str, Any]) -> Iterator[Violation]:
    actions = ", ".join(map(str, listed(statement.get("Action"))))
    keys = sorted({key for each in (statement.get("Condition") or {}).values() for key in each})
    under = f" under {', '.join(keys)}" if keys else ""
    if "NotResource" in statement:
        yield resource.finding(
            f"{path} NotResource",
            f"{actions} of everything else in the account{under}; name the resources.",
            value=statement["NotResource"],
        )
    for name in map(str, listed(statement.get("Resource"))):
        if _everything(name):
            yield resource.finding(
                f"{path} Resource",
                f"{actions} of everything in the account{under}; name the resources, or a reason "
                "in policies/exemptions.yaml.",
                value=name,
            )


def _everything(resource: str) -> bool:
    """Whether a pattern of ARNs names nothing within its service, or no service."""
    return _ANY.fullmatch(resource.split(":", 5)[-1]) is not None
