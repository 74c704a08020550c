"""Who may touch artifacts, secrets and their key: exactly this, in every partition."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from components.backend import policies
from regions.region import Region
from settings.users import TeamBucket
from tests.consumers.access_decisions import allowed
from tests.harness import REGIONS

ACCOUNT = "111122223333"
PARTITIONS = {
    "cn-north-1": "aws-cn",
    "cn-northwest-1": "aws-cn",
    "us-west-2": "aws",
    "us-gov-west-1": "aws-us-gov",
}
every_region = pytest.mark.parametrize("name", REGIONS)


def bucket(name: str = "cn-north-1") -> str:
    return f"arn:{PARTITIONS[name]}:s3:::artifacts"


def key(name: str = "cn-north-1") -> str:
    return f"arn:{PARTITIONS[name]}:kms:{name}:{ACCOUNT}:key/k"


def secret(name: str = "cn-north-1") -> str:
    return f"arn:{PARTITIONS[name]}:secretsmanager:{name}:{ACCOUNT}:secret:database-AbCdEf"


def access(*prefixes: str, write: bool = True, name: str = "cn-north-1") -> dict[str, Any]:
    found = policies.artifact_access(bucket(name), key(name), prefixes, write=write)
    return {statement["Sid"]: statement for statement in found["Statement"]}


def documents(name: str) -> Iterator[dict[str, Any]]:
    yield policies.bucket_policy(bucket(name), key(name))
    yield policies.artifact_access(bucket(name), key(name), ["a/team"], write=True)
    yield policies.artifact_access(bucket(name), key(name), [], write=False)
    yield policies.api_server_access(bucket(name), key(name), "a")
    yield policies.secret_reading([secret(name)], key(name))


# -- the bucket's own policy ----------------------------------------------------------------------


@every_region
def test_the_bucket_answers_over_tls_only(name: str) -> None:
    tls = policies.bucket_policy(bucket(name), key(name))["Statement"][0]
    assert tls == {
        "Sid": "DenyInsecureTransport",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [bucket(name), f"{bucket(name)}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


@every_region
def test_the_bucket_refuses_other_encryption_than_its_own_key(name: str) -> None:
    _, algorithm, other_key = policies.bucket_policy(bucket(name), key(name))["Statement"]
    for statement in (algorithm, other_key):
        assert statement["Effect"] == "Deny"
        assert statement["Action"] == "s3:PutObject"
        assert statement["Resource"] == f"{bucket(name)}/*"
    header = "s3:x-amz-server-side-encryption"
    assert algorithm["Condition"]["StringNotEquals"] == {header: "aws:kms"}
    assert other_key["Condition"]["StringNotEquals"] == {f"{header}-aws-kms-key-id": key(name)}


def test_an_upload_that_names_no_encryption_gets_the_buckets_own() -> None:
    # Argo and KFP send no header. StringNotEquals is true of a missing key, so without Null: false
    # the policy would refuse exactly the uploads that the bucket's default encrypts.
    for statement in policies.bucket_policy(bucket(), key())["Statement"][1:]:
        named = next(iter(statement["Condition"]["StringNotEquals"]))
        assert statement["Condition"]["Null"] == {named: "false"}


def test_the_bucket_policy_only_denies() -> None:
    effects = {s["Effect"] for s in policies.bucket_policy(bucket(), key())["Statement"]}
    assert effects == {"Deny"}


# -- artifacts ------------------------------------------------------------------------------------


@every_region
def test_a_reader_and_writer_gets_exactly_these_rights(name: str) -> None:
    arn = bucket(name)
    assert access("private-artifacts/team", name=name) == {
        "FindBucket": {
            "Sid": "FindBucket",
            "Effect": "Allow",
            "Action": ["s3:GetBucketLocation"],
            "Resource": arn,
        },
        "ListArtifacts": {
            "Sid": "ListArtifacts",
            "Effect": "Allow",
            "Action": ["s3:ListBucket"],
            "Resource": arn,
            "Condition": {
                "StringLike": {
                    "s3:prefix": ["private-artifacts/team", "private-artifacts/team/*"],
                }
            },
        },
        "Artifacts": {
            "Sid": "Artifacts",
            "Effect": "Allow",
            "Action": [
                "s3:GetObject",
                "s3:GetObjectVersion",
                "s3:PutObject",
                "s3:DeleteObject",
                "s3:AbortMultipartUpload",
                "s3:ListMultipartUploadParts",
            ],
            "Resource": [f"{arn}/private-artifacts/team/*"],
        },
        "ArtifactKey": {
            "Sid": "ArtifactKey",
            "Effect": "Allow",
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
            "Resource": key(name),
        },
    }


def test_a_reader_can_neither_write_nor_make_data_keys() -> None:
    found = access("private-artifacts", write=False)
    assert found["Artifacts"]["Action"] == ["s3:GetObject", "s3:GetObjectVersion"]
    assert found["ArtifactKey"]["Action"] == ["kms:Decrypt"]


def test_a_namespace_does_not_match_one_whose_name_only_begins_alike() -> None:
    found = access("private-artifacts/team")
    patterns = found["ListArtifacts"]["Condition"]["StringLike"]["s3:prefix"]
    for pattern in (*patterns, *found["Artifacts"]["Resource"]):
        assert pattern.endswith(("/team", "/team/*"))


def test_several_prefixes_are_all_there_is() -> None:
    found = access("private-artifacts", "pipelines")
    expected = [f"{bucket()}/private-artifacts/*", f"{bucket()}/pipelines/*"]
    assert found["Artifacts"]["Resource"] == expected


def test_no_prefix_opens_one_bucket_and_no_other() -> None:
    found = access()
    assert found["Artifacts"]["Resource"] == [f"{bucket()}/*"]
    assert found["ListArtifacts"]["Resource"] == bucket()
    assert "Condition" not in found["ListArtifacts"]


# -- secrets ----------------------------------------------------------------------------------


@every_region
def test_a_reader_of_secrets_reads_these_and_no_others(name: str) -> None:
    reading, decrypting = policies.secret_reading([secret(name)], key(name))["Statement"]
    assert reading["Resource"] == [secret(name)]
    assert reading["Action"] == ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"]
    assert (decrypting["Action"], decrypting["Resource"]) == (["kms:Decrypt"], key(name))


# -- all of them ----------------------------------------------------------------------------------


@every_region
def test_no_document_allows_everything_or_names_another_partition(name: str) -> None:
    others = {*PARTITIONS.values()} - {PARTITIONS[name]}
    for document in documents(name):
        assert not [other for other in others if f"arn:{other}:" in json.dumps(document)]
        for statement in document["Statement"]:
            assert statement["Resource"] != "*"
            if statement["Effect"] == "Allow":
                assert not {"*", "s3:*", "kms:*", "secretsmanager:*"} & {*statement["Action"]}


# -- buckets of the team --------------------------------------------------------------------------

OTHER_KEY = "arn:{}:kms:{}:444455556666:key/01234567-89ab-cdef-0123-456789abcdef"


def of_profile(name: str, *buckets: dict[str, Any]) -> dict[str, Any]:
    own = policies.artifact_access(bucket(name), key(name), ["a/team"], write=True)
    given = [TeamBucket.model_validate(each) for each in buckets]
    return policies.with_team_buckets(own, Region.of(name), given)


@every_region
def test_a_profile_reads_and_writes_what_is_listed_and_no_more(name: str) -> None:
    encrypted = OTHER_KEY.format(PARTITIONS[name], name)
    arn = f"arn:{PARTITIONS[name]}:s3:::"
    document = of_profile(
        name,
        {"bucket": "team-data", "prefixes": ["raw", "shared/eu"]},
        {"bucket": f"{arn}team-models", "prefixes": ["llm"], "write": True, "kmsKeyArn": encrypted},
        {"bucket": "everything"},
    )
    rows: list[tuple[str, str, dict[str, str], bool]] = [
        ("s3:GetObject", f"{arn}team-data/raw/day.csv", {}, True),
        ("s3:GetObject", f"{arn}team-data/shared/eu/day.csv", {}, True),
        ("s3:GetObject", f"{arn}team-data/raw2/day.csv", {}, False),
        ("s3:GetObject", f"{arn}team-data/shared/day.csv", {}, False),
        ("s3:PutObject", f"{arn}team-data/raw/day.csv", {}, False),
        ("s3:DeleteObject", f"{arn}team-data/raw/day.csv", {}, False),
        ("s3:ListBucket", f"{arn}team-data", {"s3:prefix": "raw/"}, True),
        ("s3:ListBucket", f"{arn}team-data", {"s3:prefix": "raw2/"}, False),
        ("s3:ListBucket", f"{arn}team-data", {}, False),
        ("s3:PutObject", f"{arn}team-models/llm/weights", {}, True),
        ("s3:PutObject", f"{arn}team-models/other/weights", {}, False),
        ("s3:GetObject", f"{arn}everything/a", {}, True),
        ("s3:ListBucket", f"{arn}everything", {}, True),
        ("s3:PutObject", f"{arn}everything/a", {}, False),
        ("s3:GetObject", f"{arn}everything-else/a", {}, False),
        ("kms:GenerateDataKey", encrypted, {}, True),
        ("kms:Decrypt", encrypted.replace("0123", "9999"), {}, False),
        # Its own artifacts, and nobody else's, as without any bucket.
        ("s3:PutObject", f"{bucket(name)}/a/team/x", {}, True),
        ("s3:GetObject", f"{bucket(name)}/a/other/x", {}, False),
    ]
    for action, resource, keys, expected in rows:
        assert allowed(document, action, resource, keys) is expected, (action, resource, keys)


def test_a_reader_of_an_encrypted_bucket_decrypts_and_no_more() -> None:
    encrypted = OTHER_KEY.format("aws-cn", "cn-north-1")
    document = of_profile("cn-north-1", {"bucket": "team-data", "kmsKeyArn": encrypted})
    assert allowed(document, "kms:Decrypt", encrypted)
    assert not allowed(document, "kms:GenerateDataKey", encrypted)


def test_without_buckets_a_profile_has_its_artifacts_alone() -> None:
    own = policies.artifact_access(bucket(), key(), ["a/team"], write=True)
    assert of_profile("cn-north-1") == own


def test_no_two_statements_share_a_name() -> None:
    document = of_profile("cn-north-1", {"bucket": "one-a"}, {"bucket": "two-b"})
    names = [statement["Sid"] for statement in document["Statement"] if "Sid" in statement]
    assert len(names) == len(set(names)) == 4


# -- shared files ---------------------------------------------------------------------------------


@every_region
def test_only_the_driver_mounts_and_only_an_access_point(name: str) -> None:
    start = f"arn:{PARTITIONS[name]}:elasticfilesystem:{name}:{ACCOUNT}:"
    files, point = f"{start}file-system/fs-0", f"{start}access-point/fsap-0"
    driver = policies.shared_file_driver(files, f"{start}access-point/*")
    mount = "elasticfilesystem:ClientMount"
    through = {"elasticfilesystem:AccessPointArn": point}
    assert allowed(driver, mount, files, through)
    assert allowed(driver, "elasticfilesystem:ClientWrite", files, through)
    assert not allowed(driver, mount, files)
    assert not allowed(driver, mount, f"{files}1", through)
    assert not allowed(driver, "elasticfilesystem:ClientRootAccess", files, through)
    profile = of_profile(name, {"bucket": "everything", "write": True})
    assert not allowed(profile, mount, files, through)


@every_region
def test_the_driver_ends_no_access_point_but_those_it_made(name: str) -> None:
    start = f"arn:{PARTITIONS[name]}:elasticfilesystem:{name}:{ACCOUNT}:"
    files, points = f"{start}file-system/fs-0", f"{start}access-point/*"
    driver, tag = policies.shared_file_driver(files, points), "efs.csi.aws.com/cluster"
    make, end = "elasticfilesystem:CreateAccessPoint", "elasticfilesystem:DeleteAccessPoint"
    assert allowed(driver, make, files, {f"aws:RequestTag/{tag}": "true"})
    assert not allowed(driver, make, files)
    assert not allowed(driver, make, f"{files}1", {f"aws:RequestTag/{tag}": "true"})
    point = f"{start}access-point/fsap-0"
    assert allowed(driver, end, point, {f"aws:ResourceTag/{tag}": "true"})
    assert not allowed(driver, end, point)
    tagging = "elasticfilesystem:TagResource"
    action = {"elasticfilesystem:CreateAction": "CreateAccessPoint"}
    assert allowed(driver, tagging, point, action)
    assert not allowed(driver, tagging, point)
    assert not allowed(driver, "elasticfilesystem:DeleteFileSystem", files)
