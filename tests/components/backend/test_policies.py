"""Who may touch artifacts, secrets and their key: exactly this, in every partition."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from components.backend import policies
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
    yield policies.api_server_access(bucket(name), key(name), ["a", "b"])
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
