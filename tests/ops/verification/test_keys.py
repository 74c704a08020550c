"""State and rotation of the stack's KMS keys, on moto."""

from __future__ import annotations

from typing import Any

import boto3
import pytest

from ops.account_calls import CallFailed
from ops.findings import Level
from ops.verification.checks.keys import key_of, kms_keys
from ops.verification.platform import Platform
from tests.ops.verification.storage import found, passes, sentences, storage

pytestmark = pytest.mark.usefixtures("aws")
OWN, CLUSTER = "alias/kubeflow/kubeflow", "alias/eks/kubeflow/secrets"


def kms(region: str = "cn-north-1") -> Any:
    make: Any = boto3.client
    return make("kms", region_name=region)


def keys(region: str = "cn-north-1", *names: str) -> list[dict[str, Any]]:
    """Keys that are renewed, each with an alias."""
    made: list[dict[str, Any]] = []
    for name in names or (OWN, CLUSTER):
        key = kms(region).create_key()["KeyMetadata"]
        kms(region).create_alias(AliasName=name, TargetKeyId=key["KeyId"])
        kms(region).enable_key_rotation(KeyId=key["KeyId"])
        made.append(key)
    return made


@pytest.mark.check("kms-keys", broken=False)
@pytest.mark.parametrize("region", ["cn-north-1", "us-west-2", "us-gov-west-1"])
def test_enabled_keys_that_are_renewed_pass(region: str) -> None:
    keys(region)
    findings = found(kms_keys, storage(region).platform)
    assert passes(findings)
    assert [each.about for each in findings] == [f"key {OWN}", f"key {CLUSTER}"]


@pytest.mark.check("kms-keys", broken=True)
def test_keys_that_are_missing_disabled_or_deleted_are_named() -> None:
    (own,) = keys("cn-north-1", OWN)
    (missing,) = sentences(found(kms_keys, storage().platform))
    assert missing.startswith(f"key {CLUSTER}: is not in KMS, and encrypts Kubernetes' Secrets")
    kms().disable_key(KeyId=own["KeyId"])
    disabled = sentences(found(kms_keys, storage().platform))[0]
    assert (
        "is Disabled, so that artifacts, database and secrets cannot be read: `aws kms" in disabled
    )
    kms().schedule_key_deletion(KeyId=own["KeyId"], PendingWindowInDays=7)
    deleted = sentences(found(kms_keys, storage().platform))[0]
    assert "is deleted on 20" in deleted
    assert f"`aws kms cancel-key-deletion --key-id {own['KeyId']}`" in deleted


@pytest.mark.check("kms-keys", broken=True)
def test_a_key_of_the_stack_that_is_not_renewed_is_a_problem_and_an_existing_one_is_none() -> None:
    own, _ = keys()
    kms().disable_key_rotation(KeyId=own["KeyId"])
    (problem,) = sentences(found(kms_keys, storage().platform))
    assert problem.endswith("and is never renewed: `pulumi up --refresh`")
    existing = storage(artifacts={"kmsKeyArn": own["Arn"]})
    findings = found(kms_keys, existing.platform)
    assert passes(findings)
    assert findings[0].about == f"key {own['Arn']}"
    assert "its rotation is up to its owner" in findings[0].sentence


def test_without_the_right_to_describe_keys_nothing_is_known() -> None:
    keys()
    denied = {"kms.DescribeKey": "AccessDeniedException"}
    with pytest.raises(CallFailed, match="the right kms:DescribeKey is missing"):
        found(kms_keys, storage(answers=denied).platform)


def test_a_key_that_may_not_be_described_beside_another_is_a_note(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys()

    def described(platform: Platform, named: str | None = None) -> dict[str, Any] | None:
        if named == CLUSTER:
            raise CallFailed("the right kms:DescribeKey is missing.")
        return key_of(platform, named)

    monkeypatch.setattr("ops.verification.checks.keys.key_of", described)
    (told,) = sentences(found(kms_keys, storage().platform), Level.NOTE)
    assert told == f"key {CLUSTER}: not checked: the right kms:DescribeKey is missing"


def test_a_rotation_that_may_not_be_read_is_a_note() -> None:
    keys()
    denied = {"kms.GetKeyRotationStatus": "AccessDeniedException"}
    notes = sentences(found(kms_keys, storage(answers=denied).platform), Level.NOTE)
    assert len(notes) == 2
    assert all("rotation not checked: the right kms:GetKeyRotationStatus" in each for each in notes)
