"""Trust policies of roles for service accounts."""

from __future__ import annotations

import pytest

from components.irsa import irsa_trust
from components.region import Region
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


def test_a_pattern_does_not_loosen_how_exact_names_are_compared() -> None:
    subjects = [("*", "default-editor"), ("kubeflow", "a"), ("kubeflow", "b")]
    exact, pattern = irsa_trust(Region.of("cn-north-1"), PROVIDER, ISSUER, subjects)["Statement"]
    audience = {f"{ISSUER}:aud": "sts.amazonaws.com"}
    accounts = ["system:serviceaccount:kubeflow:a", "system:serviceaccount:kubeflow:b"]
    assert exact["Condition"] == {"StringEquals": {**audience, f"{ISSUER}:sub": accounts}}
    assert pattern["Condition"] == {
        "StringEquals": audience,
        "StringLike": {f"{ISSUER}:sub": "system:serviceaccount:*:default-editor"},
    }


def test_the_order_of_subjects_does_not_change_the_policy() -> None:
    region, subjects = Region.of("cn-north-1"), [("a", "x"), ("b", "y"), ("*", "z")]
    forward = irsa_trust(region, PROVIDER, ISSUER, subjects)
    assert irsa_trust(region, PROVIDER, ISSUER, subjects[::-1]) == forward


@pytest.mark.parametrize("subjects", [[], [("*", "*")], [("kubeflow", "a"), ("*", "**")]])
def test_a_role_is_never_open_to_every_service_account(subjects: list[tuple[str, str]]) -> None:
    with pytest.raises(ValueError, match="service account"):
        irsa_trust(Region.of("cn-north-1"), PROVIDER, ISSUER, subjects)
