"""No role of a pod has a right that no program, document or decision explains."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.consumers import rights
from tests.consumers.rights import (
    PAGE,
    Names,
    Right,
    allowed,
    explained,
    requested,
    rights_of,
    table,
    written,
)
from tests.consumers.stack import planned, stack


@pytest.fixture(scope="module")
def used() -> dict[Right, list[str]]:
    """What each program of the tier uses; none of them was denied what it needs."""
    return requested()


def test_every_right_is_used_or_explained(used: dict[Right, list[str]]) -> None:
    assert len(allowed()) > 80
    assert allowed() - used.keys() - {right for right, _ in explained()} == set()


def test_no_row_explains_what_no_role_has_or_a_program_uses(used: dict[Right, list[str]]) -> None:
    assert {right for right, _ in explained()} - (allowed() - used.keys()) == set()


def test_no_right_is_explained_twice() -> None:
    explanations = [right for right, _ in explained()]
    assert len(explanations) == len({*explanations})


def test_every_right_that_a_program_uses_is_one_of_the_plan(used: dict[Right, list[str]]) -> None:
    assert used.keys() <= allowed()
    assert {consumer for names in used.values() for consumer in names} == {*rights.CONSUMERS}


def test_every_role_of_pods_is_in_the_table() -> None:
    """Those of shared files too, which the stack `cn-north-1` does not have."""
    assert {role for role, _, _ in allowed()} == {
        *("database-clients", "database-init", "gpu-controller", "kubeflow-image-reader"),
        *("mirror-pods-role", "ml-pipeline", "profile", "shared-files-driver"),
    }


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("iam:CreateUser", "*"),
        ("s3:*", "{bucket}/private-artifacts/{profile}/*"),
        ("s3:GetObject", "{bucket}/*"),
        ("s3:GetObject", "{bucket}/private-artifacts/{profile}*"),
        ("s3:GetObject", "{bucket}/private-artifacts/team-b/*"),
        ("s3:GetObject", "{bucket}*/private-artifacts/{profile}/*"),
        ("s3:GetObject", "arn:aws-cn:s3:::*"),
        ("s3:GetObject", "*"),
        ("s3:PutObject", "arn:aws-cn:s3:::models-of-the-team/llm/*"),
        ("kms:Decrypt", "arn:aws-cn:kms:cn-north-1:111122223333:key/*"),
    ],
)
def test_a_further_action_or_a_wider_resource_is_a_right_of_its_own(
    action: str, resource: str
) -> None:
    bucket = f"arn:aws-cn:s3:::{stack().bucket}"
    profile, arn = next(iter(stack().profiles.items()))
    allow: dict[str, Any] = {"Effect": "Allow", "Action": action}
    allow["Resource"] = resource.format(bucket=bucket, profile=profile)
    document = {"Version": "2012-10-17", "Statement": [allow]}
    role = replace(stack().roles[arn], documents=(document,))
    (right,) = rights_of(role, Names.of(planned("cn-north-1")))
    assert right not in allowed()


def test_the_page_has_the_table(used: dict[Right, list[str]]) -> None:
    """`.venv/bin/python -m tests.consumers.rights` writes it."""
    assert written(PAGE.read_text()) == table(used)
