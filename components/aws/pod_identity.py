"""EKS Pod Identity: roles for pods without the cluster's OIDC provider, where a region has it.

Pure data, no Pulumi. In other regions a role for pods has the trust policy of ``irsa``.
"""

from __future__ import annotations

from components.aws.documents import Document, document
from components.aws.irsa import ServiceAccount
from regions.region import Region

AGENT = "eks-pod-identity-agent"
"""The add-on that gives pods credentials, on every node (EKS user guide, pod-id-agent)."""


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
    return document(
        {
            "Effect": "Allow",
            "Principal": {"Service": region.service_principal("pods.eks")},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
            "Condition": {
                "StringEquals": {f"aws:RequestTag/{tag}": value for tag, value in tags.items()}
            },
        }
    )
