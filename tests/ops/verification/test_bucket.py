"""Settings of the bucket, on moto, written as components/backend/artifact_store.py writes them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from components.backend.policies import bucket_policy
from ops.account_calls import CallFailed
from ops.findings import Finding, Level
from ops.rights import rights_table
from ops.verification.checks.bucket import bucket_settings
from tests.ops.verification.storage import ACCOUNT, found, passes, sentences, storage

pytestmark = pytest.mark.usefixtures("aws")
REGIONS = {"cn-north-1": "aws-cn", "us-west-2": "aws", "us-gov-west-1": "aws-us-gov"}


def client(service: str, region: str) -> Any:
    make: Any = boto3.client
    return make(service, region_name=region)


def name_of(region: str) -> str:
    return f"kubeflow-{ACCOUNT}-{region}"


def bucket(region: str = "cn-north-1", days: int = 30) -> Any:
    """The bucket as the stack makes it; returns the client of S3."""
    kms, s3, name = client("kms", region), client("s3", region), name_of(region)
    key = kms.create_key()["KeyMetadata"]["Arn"]
    kms.create_alias(AliasName="alias/kubeflow/kubeflow", TargetKeyId=key)
    place = {"LocationConstraint": region}
    s3.create_bucket(Bucket=name, CreateBucketConfiguration=place)
    s3.put_public_access_block(
        Bucket=name,
        PublicAccessBlockConfiguration={
            "BlockPublicAcls": True,
            "BlockPublicPolicy": True,
            "IgnorePublicAcls": True,
            "RestrictPublicBuckets": True,
        },
    )
    encryption(s3, name, key)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    lifecycle(s3, name, days)
    policy = bucket_policy(f"arn:{REGIONS[region]}:s3:::{name}", key)
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps(policy))
    ownership(s3, name, "BucketOwnerEnforced")
    return s3


def encryption(s3: Any, name: str, key: str) -> None:
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key} if key else None
    rule = {"ApplyServerSideEncryptionByDefault": default or {"SSEAlgorithm": "AES256"}}
    s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})


def lifecycle(s3: Any, name: str, days: int, expire: int = 0) -> None:
    rules: list[dict[str, Any]] = [
        {
            "ID": "old-versions",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "NoncurrentVersionExpiration": {"NoncurrentDays": days},
        }
    ]
    if expire:
        rules.append(
            {
                "ID": "old-artifacts",
                "Status": "Enabled",
                "Filter": {"Prefix": "private-artifacts/"},
                "Expiration": {"Days": expire},
            }
        )
    s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": rules})


def ownership(s3: Any, name: str, kind: str) -> None:
    controls = {"Rules": [{"ObjectOwnership": kind}]}
    s3.put_bucket_ownership_controls(Bucket=name, OwnershipControls=controls)


def examined(region: str = "cn-north-1", **more: Any) -> list[Finding]:
    return found(bucket_settings, storage(region, **more).platform)


@pytest.mark.check("bucket-settings", broken=False)
@pytest.mark.parametrize("region", REGIONS)
def test_a_bucket_as_the_stack_makes_it_passes(region: str) -> None:
    bucket(region)
    findings = examined(region)
    assert passes(findings), sentences(findings)
    assert [each.sentence for each in findings][:2] == [
        f"is in {region}",
        "can never become public",
    ]
    assert "denies every request without TLS" in [each.sentence for each in findings]


def test_an_existing_bucket_and_one_that_expires_pass_by_their_settings() -> None:
    s3 = bucket(days=9)
    lifecycle(s3, name_of("cn-north-1"), 9, expire=90)
    key = "arn:aws-cn:kms:cn-north-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef"
    section = {"existing": True, "kmsKeyArn": key, "noncurrentDays": 9, "expireDays": 90}
    findings = examined(artifacts=section)
    assert "existed before the stack and is never deleted by it" in findings[0].sentence
    assert sentences(findings) == []


@pytest.mark.check("bucket-settings", broken=True)
@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("404", "does not exist: `pulumi up --refresh` makes it"),
        ("403", "is another account's: name another one in kubeflow:artifacts.bucket"),
        ("301", "is in another region"),
    ],
)
def test_a_bucket_that_s3_does_not_give_is_told(code: str, sentence: str) -> None:
    (problem,) = sentences(examined(answers={"s3.HeadBucket": code}))
    assert problem.startswith(f"bucket {name_of('cn-north-1')}: {sentence}")


@pytest.mark.parametrize(
    ("denied", "right"),
    [({}, "s3:ListBucket"), ({"s3.ListBuckets": "AccessDenied"}, "s3:ListAllMyBuckets")],
)
def test_a_reader_without_rights_in_s3_has_not_checked_the_bucket(
    denied: dict[str, str], right: str
) -> None:
    bucket()
    with pytest.raises(CallFailed, match=f"the right {right} is missing"):
        examined(answers={"s3.HeadBucket": "403", **denied})


Change = Callable[[Any, str], object]
"""Takes the client of S3 and the bucket's name."""
BROKEN: dict[str, tuple[Change, str]] = {
    "public": (
        lambda s3, name: s3.delete_public_access_block(Bucket=name),
        "may become public (BlockPublicAcls, BlockPublicPolicy, IgnorePublicAcls and Restrict",
    ),
    "algorithm": (lambda s3, name: encryption(s3, name, ""), "encrypts new objects by AES256"),
    "no encryption": (
        lambda s3, name: s3.delete_bucket_encryption(Bucket=name),
        "and not with KMS: `pulumi up --refresh`",
    ),
    "another key": (
        lambda s3, name: encryption(s3, name, "arn:other"),
        "encrypts new objects with arn:other, and not arn:aws-cn:kms:",
    ),
    "versions": (
        lambda s3, name: s3.put_bucket_versioning(
            Bucket=name, VersioningConfiguration={"Status": "Suspended"}
        ),
        "keeps no former versions (versioning is Suspended)",
    ),
    "days": (
        lambda s3, name: lifecycle(s3, name, 365),
        "and kubeflow:artifacts.noncurrentDays is 30",
    ),
    "expiry": (
        lambda s3, name: lifecycle(s3, name, 30, expire=5),
        "artifacts expire after 5 days, and kubeflow:artifacts.expireDays is 0",
    ),
    "no lifecycle": (
        lambda s3, name: s3.delete_bucket_lifecycle(Bucket=name),
        "ends no former versions after that",
    ),
    "no policy": (
        lambda s3, name: s3.delete_bucket_policy(Bucket=name),
        "answers requests without TLS",
    ),
    "ownership": (
        lambda s3, name: ownership(s3, name, "ObjectWriter"),
        "has ACLs (its ownership is ObjectWriter)",
    ),
    "no ownership": (
        lambda s3, name: s3.delete_bucket_ownership_controls(Bucket=name),
        "has ACLs (its ownership is not set)",
    ),
}


@pytest.mark.check("bucket-settings", broken=True)
@pytest.mark.parametrize("name", BROKEN)
def test_a_setting_that_somebody_changed_is_named(name: str) -> None:
    change, sentence = BROKEN[name]
    change(bucket(), name_of("cn-north-1"))
    (problem,) = sentences(examined())
    assert sentence in problem


def policy(**changes: Any) -> str:
    """The statement that denies plain requests, changed."""
    name = name_of("cn-north-1")
    arn = f"arn:aws-cn:s3:::{name}"
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        **changes,
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.mark.check("bucket-settings", broken=True)
@pytest.mark.parametrize(
    "changes",
    [
        {"Effect": "Allow"},
        {"Principal": {"AWS": "arn:aws-cn:iam::123456789012:root"}},
        {"Action": "s3:GetObject"},
        {"Resource": f"arn:aws-cn:s3:::kubeflow-{ACCOUNT}-cn-north-1/*"},
        {"Condition": {"Bool": {"aws:SecureTransport": "true"}}},
    ],
)
def test_a_policy_that_denies_less_is_a_problem(changes: dict[str, Any]) -> None:
    s3, name = bucket(), name_of("cn-north-1")
    s3.put_bucket_policy(Bucket=name, Policy=policy())
    assert passes(examined())
    s3.put_bucket_policy(Bucket=name, Policy=policy(**changes))
    (problem,) = sentences(examined())
    assert "answers requests without TLS" in problem


@pytest.mark.parametrize(
    "conditions",
    [
        {"Bool": {"aws:SecureTransport": False}},
        {"Bool": {"aws:SecureTransport": ["false"]}},
        {"BoolIfExists": {"aws:securetransport": "false"}},
    ],
)
def test_the_same_denial_in_another_form_passes(conditions: dict[str, Any]) -> None:
    s3, name = bucket(), name_of("cn-north-1")
    document = json.loads(policy(Condition=conditions))
    (statement,) = document["Statement"]
    apart = [{**statement, "Resource": resource} for resource in statement["Resource"]]
    for statements in (statement, apart):
        text = json.dumps({**document, "Statement": statements})
        s3.put_bucket_policy(Bucket=name, Policy=text)
        assert passes(examined())


def test_a_rule_that_ends_markers_alone_ends_no_artifacts() -> None:
    s3, name = bucket(), name_of("cn-north-1")
    rules = s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
    markers = {
        "ID": "markers",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "Expiration": {"ExpiredObjectDeleteMarker": True},
    }
    s3.put_bucket_lifecycle_configuration(
        Bucket=name, LifecycleConfiguration={"Rules": [*rules, markers]}
    )
    assert passes(examined())


def test_pages_that_may_read_it_are_a_note() -> None:
    s3, name = bucket(), name_of("cn-north-1")
    rule = {"AllowedMethods": ["GET"], "AllowedOrigins": ["https://example.com"]}
    s3.put_bucket_cors(Bucket=name, CORSConfiguration={"CORSRules": [rule]})
    (note,) = sentences(examined(), Level.NOTE)
    assert "lets pages of https://example.com read it (CORS)" in note


RIGHTS = {
    "s3.GetBucketLocation": "s3:GetBucketLocation",
    "s3.GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
    "s3.GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "s3.GetBucketVersioning": "s3:GetBucketVersioning",
    "s3.GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "s3.GetBucketPolicy": "s3:GetBucketPolicy",
    "s3.GetBucketOwnershipControls": "s3:GetBucketOwnershipControls",
    "s3.GetBucketCors": "s3:GetBucketCORS",
    "kms.DescribeKey": "kms:DescribeKey",
}


@pytest.mark.parametrize("call", RIGHTS)
def test_a_missing_right_leaves_the_rest_checked(call: str) -> None:
    bucket()
    findings = examined(answers={call: "AccessDenied"})
    assert sentences(findings) == []
    (note,) = sentences(findings, Level.NOTE)
    assert f"not checked: the right {RIGHTS[call]} is missing (AccessDenied)" in note
    assert len(findings) > 6


def test_without_any_right_nothing_is_known() -> None:
    bucket()
    with pytest.raises(CallFailed, match="the right s3:GetBucketLocation is missing"):
        examined(answers=dict.fromkeys(RIGHTS, "AccessDenied"))


def test_every_right_is_one_of_the_deployers() -> None:
    text = json.dumps(rights_table())
    assert all(f'"{right}"' in text for right in RIGHTS.values())


def test_a_rule_that_ends_markers_alone_is_no_end_of_artifacts() -> None:
    s3, name = bucket(), name_of("cn-north-1")
    rules = s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
    marker: dict[str, Any] = {"ID": "markers", "Status": "Enabled", "Filter": {"Prefix": ""}}
    marker["Expiration"] = {"ExpiredObjectDeleteMarker": True}
    s3.put_bucket_lifecycle_configuration(
        Bucket=name, LifecycleConfiguration={"Rules": [*rules, marker]}
    )
    assert passes(found(bucket_settings, storage().platform))


def test_a_policy_of_one_statement_is_read_as_one() -> None:
    s3, name = bucket(), name_of("cn-north-1")
    arn = f"arn:aws-cn:s3:::{name}"
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": ["false"]}},
    }
    policy = {"Version": "2012-10-17", "Statement": statement}
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps(policy))
    assert passes(found(bucket_settings, storage().platform))
