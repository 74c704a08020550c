"""Roles that pods get by EKS Pod Identity."""

from __future__ import annotations

import pytest

from components.aws.pod_identity import pod_identity_trust
from regions.region import Region
from tests.harness import REGIONS


@pytest.mark.parametrize("name", REGIONS)
def test_one_service_account_of_one_cluster_takes_the_role(name: str) -> None:
    trust = pod_identity_trust(Region.of(name), "kubeflow", ("kube-system", "karpenter"))
    (statement,) = trust["Statement"]
    assert statement["Effect"] == "Allow"
    assert statement["Principal"] == {"Service": "pods.eks.amazonaws.com"}
    assert statement["Action"] == ["sts:AssumeRole", "sts:TagSession"]
    assert statement["Condition"] == {
        "StringEquals": {
            "aws:RequestTag/eks-cluster-name": "kubeflow",
            "aws:RequestTag/kubernetes-namespace": "kube-system",
            "aws:RequestTag/kubernetes-service-account": "karpenter",
        }
    }
