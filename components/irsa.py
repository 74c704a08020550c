"""IAM roles for service accounts: who may assume a role that belongs to pods.

Pure data, no Pulumi. IRSA works in every partition; EKS Pod Identity does not (docs.amazonaws.cn,
pod-identities.html), so every role of this project that pods use is built from this policy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from components.region import Region

ServiceAccount = tuple[str, str]
"""Namespace and name of a Kubernetes service account; either may hold ``*``."""


def irsa_trust(
    region: Region,
    oidc_provider_arn: str,
    oidc_issuer: str,
    subjects: Sequence[ServiceAccount],
) -> dict[str, Any]:
    """The trust policy of a role for the given service accounts of one cluster.

    Args:
        region: gives the audience; it is the same in China (eksctl pkg/iam/oidc/api.go).
        oidc_provider_arn: the cluster's IAM OIDC provider.
        oidc_issuer: the cluster's issuer, with or without ``https://``.
        subjects: namespaces and names; ``*`` matches any run of characters, as in IAM.

    Returns:
        A policy document. Exact subjects and patterns are two statements: within one they would all
        be matched as patterns, and a condition block joins its operators by AND.

    Raises:
        ValueError: no subject, or one so wide that any pod of the cluster could take the role.
    """
    if not subjects:
        raise ValueError("A role for service accounts needs at least one namespace and name.")
    for namespace, name in subjects:
        if not namespace.strip("*") and not name.strip("*"):
            raise ValueError("A role for service accounts cannot be open to every service account.")

    issuer = oidc_issuer.removeprefix("https://")
    names = [f"system:serviceaccount:{namespace}:{name}" for namespace, name in subjects]
    exact = sorted({name for name in names if "*" not in name})
    patterns = sorted({name for name in names if "*" in name})

    statements: list[dict[str, Any]] = []
    for operator, values in (("StringEquals", exact), ("StringLike", patterns)):
        if not values:
            continue
        condition: dict[str, dict[str, str | list[str]]] = {
            "StringEquals": {f"{issuer}:aud": region.oidc_audience}
        }
        subject = values[0] if len(values) == 1 else values
        condition.setdefault(operator, {})[f"{issuer}:sub"] = subject
        statements.append(
            {
                "Effect": "Allow",
                "Principal": {"Federated": oidc_provider_arn},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": condition,
            }
        )
    return {"Version": "2012-10-17", "Statement": statements}
