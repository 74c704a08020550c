"""Trust policies of roles, as data: of AWS services, and of the service accounts of pods.

IRSA works in every partition, EKS Pod Identity does not (docs.amazonaws.cn, pod-identities.html).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from components.aws.documents import Document, document
from regions.region import Region

ServiceAccount = tuple[str, str]
"""Namespace and name of a Kubernetes service account."""
POD_IDENTITY_AGENT = "eks-pod-identity-agent"
"""The add-on that gives pods credentials, on every node (EKS user guide, pod-id-agent)."""


def service_trust(region: Region, service: str, *, account: str | None = None) -> Document:
    """The trust policy of a role that one AWS service assumes, for instance ``ec2``.

    Args:
        region: gives the service's principal.
        service: as in the principal's name.
        account: the only account on whose behalf the service assumes the role; None: any, for
            services whose first call names no account (Lambda).
    """
    both = service == "ec2" and len(region.ec2_principals) > 1
    principal = list(region.ec2_principals) if both else region.service_principal(service)
    equal = {} if account is None else {"aws:SourceAccount": account}
    return _trust({"Service": principal}, "sts:AssumeRole", equal)


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
    equal = {
        f"{issuer}:aud": region.oidc_audience,
        f"{issuer}:sub": names[0] if len(names) == 1 else names,
    }
    return _trust({"Federated": oidc_provider_arn}, "sts:AssumeRoleWithWebIdentity", equal)


def pod_identity_trust(
    region: Region, cluster_name: str, service_account: ServiceAccount
) -> Document:
    """The trust policy of a role for one service account of one cluster.

    EKS adds the three tags to every session (EKS user guide, pod-id-abac); the condition on them
    excludes other associations of the account (pod-id-role, "Setting Conditions").
    """
    namespace, name = service_account
    tags = {
        "eks-cluster-name": cluster_name,
        "kubernetes-namespace": namespace,
        "kubernetes-service-account": name,
    }
    return _trust(
        {"Service": region.service_principal("pods.eks")},
        ["sts:AssumeRole", "sts:TagSession"],
        {f"aws:RequestTag/{tag}": value for tag, value in tags.items()},
    )


def _trust(
    principal: Mapping[str, Any], action: str | Sequence[str], equal: Mapping[str, Any]
) -> Document:
    condition = {"Condition": {"StringEquals": equal}} if equal else {}
    return document({"Effect": "Allow", "Principal": principal, "Action": action, **condition})
