"""IAM roles for service accounts (IRSA): the trust policy of a role that pods assume.

Pure data, no Pulumi. IRSA works in every partition, EKS Pod Identity does not (docs.amazonaws.cn,
pod-identities.html).
"""

from __future__ import annotations

from collections.abc import Sequence

from components.aws.documents import Document, document
from regions.region import Region

ServiceAccount = tuple[str, str]
"""Namespace and name of a Kubernetes service account."""


def irsa_trust(
    region: Region,
    oidc_provider_arn: str,
    oidc_issuer: str,
    subjects: Sequence[ServiceAccount],
) -> Document:
    """The trust policy of a role for the given service accounts of one cluster.

    Args:
        region: gives the audience, the same in every partition (eksctl pkg/iam/oidc/api.go).
        oidc_provider_arn: the cluster's IAM OIDC provider.
        oidc_issuer: the cluster's issuer, with or without ``https://``.
        subjects: namespaces and names, in full.

    Returns:
        A policy document, the same for any order of the subjects.

    Raises:
        ValueError: there is no subject, or one contains ``*``.
    """
    if not subjects:
        raise ValueError("A role for service accounts needs at least one namespace and name.")
    names = sorted({f"system:serviceaccount:{namespace}:{name}" for namespace, name in subjects})
    if any("*" in name for name in names):
        raise ValueError("A role for service accounts needs their namespaces and names in full.")
    issuer = oidc_issuer.removeprefix("https://")
    return document(
        {
            "Effect": "Allow",
            "Principal": {"Federated": oidc_provider_arn},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {
                "StringEquals": {
                    f"{issuer}:aud": region.oidc_audience,
                    f"{issuer}:sub": names[0] if len(names) == 1 else names,
                }
            },
        }
    )
