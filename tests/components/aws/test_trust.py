"""Trust policies of roles for service accounts, by IRSA or by EKS Pod Identity."""

from __future__ import annotations

import pytest

from components.aws.trust import irsa_trust, pod_identity_trust
from regions.region import Region
from tests.harness import REGIONS

PROVIDER = "arn:aws-cn:iam::111122223333:oidc-provider/oidc.example/id/0123"
ISSUER = "oidc.example/id/0123"


@pytest.mark.parametrize("region", REGIONS)
def test_one_service_account_may_take_the_role_and_no_other(region: str) -> None:
    trust = irsa_trust(Region.of(region), PROVIDER, ISSUER, [("kubeflow", "ml-pipeline")])
    assert trust == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Federated": PROVIDER},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {
                    "StringEquals": {
                        f"{ISSUER}:aud": "sts.amazonaws.com",
                        f"{ISSUER}:sub": "system:serviceaccount:kubeflow:ml-pipeline",
                    }
                },
            }
        ],
    }


def test_the_scheme_of_an_issuer_is_no_part_of_a_condition_key() -> None:
    plain = irsa_trust(Region.of("us-west-2"), PROVIDER, ISSUER, [("a", "b")])
    assert irsa_trust(Region.of("us-west-2"), PROVIDER, f"https://{ISSUER}", [("a", "b")]) == plain


def test_several_service_accounts_are_compared_by_their_full_names() -> None:
    subjects = [("kubeflow", "b"), ("kubeflow", "a"), ("kubeflow", "a")]
    (statement,) = irsa_trust(Region.of("cn-north-1"), PROVIDER, ISSUER, subjects)["Statement"]
    accounts = ["system:serviceaccount:kubeflow:a", "system:serviceaccount:kubeflow:b"]
    assert statement["Condition"] == {
        "StringEquals": {f"{ISSUER}:aud": "sts.amazonaws.com", f"{ISSUER}:sub": accounts}
    }


@pytest.mark.parametrize(
    "subjects", [[], [("*", "*")], [("kubeflow", "a"), ("*", "b")], [("kubeflow", "a-*")]]
)
def test_a_role_is_open_to_named_service_accounts_only(subjects: list[tuple[str, str]]) -> None:
    with pytest.raises(ValueError, match="service account"):
        irsa_trust(Region.of("cn-north-1"), PROVIDER, ISSUER, subjects)


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
