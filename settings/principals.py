"""IAM principals: the one that runs a program, and those that a stack file lists."""

from __future__ import annotations

from collections.abc import Iterable


def is_listed(caller: str, principals: Iterable[str]) -> bool:
    """Whether a caller is one of these principals.

    An assumed role is named by its session, without the path of the role (IAM user guide,
    reference_identifiers.html#identifiers-arns): its account and name identify it.

    Args:
        caller: the ARN in the answer of sts:GetCallerIdentity.
        principals: ARNs of IAM roles and users.
    """
    return _identity(caller) in map(_identity, principals)


def _identity(arn: str) -> tuple[str, ...]:
    _, partition, _, _, account, resource = (*arn.split(":", 5), *[""] * 6)[:6]
    kind, *path = resource.split("/")
    if kind == "assumed-role" and path:
        return partition, account, "role", path[0]
    return partition, account, kind, *(path[-1:] if kind == "role" else path)
