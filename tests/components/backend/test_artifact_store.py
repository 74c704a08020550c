"""The bucket: private, encrypted, versioned, and what of it outlives the stack."""

from __future__ import annotations

from typing import Any

import pytest

from tests.components.backend.simulated_backend import ACCOUNT, arn, backend, document
from tests.harness import REGIONS, Recorded

BUCKET, KEY = "aws:s3/bucket:Bucket", "aws:kms/key:Key"
every_region = pytest.mark.parametrize("region", REGIONS)


# -- the bucket ------------------------------------------------------------------------------------


@every_region
def test_the_bucket_is_named_after_cluster_account_and_region(region: str) -> None:
    recorded = backend(region)
    assert recorded.only(BUCKET).inputs["bucket"] == f"kubeflow-{ACCOUNT}-{region}"
    assert recorded.exports["bucket"] == f"kubeflow-{ACCOUNT}-{region}"


def test_the_bucket_may_be_given_a_name() -> None:
    assert backend(artifacts={"bucket": "ours"}).only(BUCKET).inputs["bucket"] == "ours"


def test_nothing_in_the_bucket_can_become_public() -> None:
    recorded = backend()
    block = recorded.only("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock").inputs
    for key in (
        "blockPublicAcls",
        "blockPublicPolicy",
        "ignorePublicAcls",
        "restrictPublicBuckets",
    ):
        assert block[key] is True
    owner = recorded.only("aws:s3/bucketOwnershipControls:BucketOwnershipControls").inputs
    assert owner["rule"] == {"objectOwnership": "BucketOwnerEnforced"}


@every_region
def test_objects_are_encrypted_with_the_backends_key(region: str) -> None:
    encryption = "aws:s3/bucketServerSideEncryptionConfiguration"
    recorded = backend(region)
    found = recorded.only(f"{encryption}:BucketServerSideEncryptionConfiguration").inputs
    (rule,) = found["rules"]
    assert rule["bucketKeyEnabled"] is True
    default = rule["applyServerSideEncryptionByDefault"]
    assert default["sseAlgorithm"] == "aws:kms"
    assert default["kmsMasterKeyId"].startswith(arn(region, f"kms:{region}:{ACCOUNT}:key/"))


@every_region
def test_the_bucket_refuses_plain_http_and_foreign_keys(region: str) -> None:
    found = document(backend(region).only("aws:s3/bucketPolicy:BucketPolicy"))["Statement"]
    assert [statement["Effect"] for statement in found] == ["Deny"] * 3
    bucket = arn(region, f"s3:::kubeflow-{ACCOUNT}-{region}")
    assert found[0]["Resource"] == [bucket, f"{bucket}/*"]
    assert found[0]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


@pytest.mark.parametrize(
    ("later", "earlier"),
    [
        ("Policy", ("PublicAccessBlock", "private")),
        ("LifecycleConfiguration", ("Versioning", "versions")),
    ],
)
def test_calls_on_the_bucket_that_s3_refuses_at_once_follow_each_other(
    later: str, earlier: tuple[str, str]
) -> None:
    recorded, (kind, name) = backend(), earlier
    dependencies = recorded.dependencies_of(recorded.only(f"aws:s3/bucket{later}:Bucket{later}"))
    assert (f"aws:s3/bucket{kind}:Bucket{kind}", f"backend-artifacts-{name}") in dependencies


def test_old_versions_and_broken_uploads_go_and_artifacts_stay() -> None:
    recorded = backend(artifacts={"noncurrentDays": 5})
    versions = recorded.only("aws:s3/bucketVersioning:BucketVersioning").inputs
    assert versions["versioningConfiguration"] == {"status": "Enabled"}
    (rule,) = _lifecycle(recorded)
    assert rule["noncurrentVersionExpiration"] == {"noncurrentDays": 5}
    assert rule["abortIncompleteMultipartUpload"]["daysAfterInitiation"] == 7
    assert "expiration" not in rule


def test_artifacts_expire_below_their_prefix_with_expire_days() -> None:
    rules = _lifecycle(backend(artifacts={"expireDays": 90, "prefix": "runs"}))
    (expiring,) = [rule for rule in rules if "expiration" in rule]
    assert expiring["expiration"] == {"days": 90}
    assert expiring["filter"] == {"prefix": "runs/"}


def _lifecycle(recorded: Recorded) -> list[dict[str, Any]]:
    kind = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
    return recorded.only(kind).inputs["rules"]


# -- what outlives the stack -----------------------------------------------------------------------


def test_a_kept_bucket_keeps_everything_that_protects_it_and_its_key() -> None:
    recorded = backend()
    of_bucket = [r for r in recorded.all if r.type.startswith("aws:s3/")]
    assert len(of_bucket) == 7
    for resource in (*of_bucket, recorded.only(KEY)):
        assert resource.retain_on_delete, resource.name
    assert not recorded.only(BUCKET).inputs["forceDestroy"]


def test_a_bucket_without_retention_is_deleted_with_its_objects() -> None:
    recorded = backend(artifacts={"retainOnDelete": False})
    assert recorded.only(BUCKET).inputs["forceDestroy"] is True
    assert not any(r.retain_on_delete for r in recorded.all if r.type.startswith("aws:s3/"))


@pytest.mark.parametrize(
    ("keeps_bucket", "keeps_snapshot"), [(True, True), (True, False), (False, True), (False, False)]
)
def test_the_key_lives_as_long_as_what_it_encrypts(
    keeps_bucket: bool, keeps_snapshot: bool
) -> None:
    recorded = backend(
        artifacts={"retainOnDelete": keeps_bucket},
        database={"skipFinalSnapshot": not keeps_snapshot, "deletionProtection": False},
    )
    assert recorded.only(KEY).retain_on_delete is (keeps_bucket or keeps_snapshot)


@every_region
def test_an_existing_bucket_and_key_are_used_and_never_deleted(region: str) -> None:
    key = arn(region, f"kms:{region}:{ACCOUNT}:key/01234567-89ab-cdef-0123-456789abcdef")
    artifacts = {"existing": True, "kmsKeyArn": key, "bucket": "kept", "retainOnDelete": False}
    recorded = backend(region, artifacts=artifacts)
    assert recorded.none(BUCKET)
    assert recorded.none(KEY)
    assert recorded.none("aws:kms/alias:Alias")
    of_bucket = [r for r in recorded.all if r.type.startswith("aws:s3/")]
    assert len(of_bucket) == 6
    assert all(r.retain_on_delete and r.inputs["bucket"] == "kept" for r in of_bucket)
    statements = document(recorded.only("aws:s3/bucketPolicy:BucketPolicy"))["Statement"]
    assert statements[0]["Resource"] == [arn(region, "s3:::kept"), arn(region, "s3:::kept/*")]
    assert recorded.only("aws:rds/instance:Instance").inputs["kmsKeyId"] == key
    assert recorded.exports["bucket"] == "kept"


@every_region
def test_the_key_is_renewed_and_its_own_accounts(region: str) -> None:
    key = backend(region).only(KEY)
    assert key.inputs["enableKeyRotation"] is True
    assert key.inputs["deletionWindowInDays"] == 30
    statements = document(key)["Statement"]
    root = arn(region, f"iam::{ACCOUNT}:root")
    assert all(statement["Principal"] == {"AWS": root} for statement in statements)
    # KMS refuses a key whose policy would lock its account out; RDS has its grant from the account.
    allowed = {action for statement in statements for action in statement["Action"]}
    assert {"kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:DescribeKey"} <= allowed
    assert {"kms:CreateGrant", "kms:Decrypt", "kms:GenerateDataKey*"} <= allowed
    assert not {"*", "kms:*"} & allowed
