"""Rights name what they allow."""

from __future__ import annotations

import re
from collections.abc import Iterator

from policies.documents import listed, statements
from policies.model import Stack, Violation, policy

_EVERYTHING = re.compile(r"(?:\*|[\w-]+:\*)")
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
                if _EVERYTHING.fullmatch(action):
                    yield resource.finding(
                        f"{path} Action", "it allows everything; name the actions.", value=action
                    )
            # In a document of a resource itself (a key, a queue), "*" is that resource.
            if resource.type.startswith("aws:iam/") and "*" in listed(statement.get("Resource")):
                actions = ", ".join(listed(statement.get("Action")))
                yield resource.finding(
                    f"{path} Resource",
                    f"{actions} of everything in the account; name the resources, or a reason in "
                    "policies/exemptions.yaml.",
                    value="*",
                )
    for attachment in stack.of("aws:iam/"):
        for arn in [
            attachment.inputs.get("policyArn"),
            *listed(attachment.inputs.get("managedPolicyArns")),
        ]:
            if str(arn).rpartition("/")[2] in _ADMINISTRATORS:
                yield attachment.finding(
                    "policyArn", "it allows nearly everything; write a policy.", value=arn
                )
