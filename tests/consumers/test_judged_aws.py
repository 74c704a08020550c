"""The judge stands between a client and moto as IAM stands before S3."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.consumers.access_decisions import UnknownConstruct
from tests.consumers.aws_requests import UnknownRequest
from tests.consumers.judged_aws import JudgedAws, judged_aws
from tests.consumers.stack import PROFILES, roles_of, stack
from tests.judges.plans import PLANS, recorded

MINE, OTHERS = PROFILES


@pytest.fixture
def judged(tmp_path: Path) -> Generator[JudgedAws]:
    with judged_aws(stack(), tmp_path) as running:
        yield running


def assumed(judged: JudgedAws, role: str, subject: tuple[str, str]) -> dict[str, str]:
    """The credentials of a role for the pods of a service account."""
    answer = judged.aws.client("sts", "nobody").assume_role_with_web_identity(
        RoleArn=role,
        RoleSessionName="test",
        WebIdentityToken=judged.stack.token(subject).written(),
    )
    return answer["Credentials"]


def s3_of(judged: JudgedAws, profile: str = MINE) -> Any:
    """S3 as the editor of a profile."""
    role = judged.stack.profiles[profile]
    return judged.aws.client(
        "s3", assumed(judged, role, (profile, "default-editor"))["AccessKeyId"]
    )


def key(judged: JudgedAws, profile: str = MINE) -> str:
    return f"{judged.stack.values['bucket.prefix']}/{profile}/a"


def code_of(failure: pytest.ExceptionInfo[ClientError]) -> str:
    return failure.value.response["Error"]["Code"]


def test_an_upload_in_the_buckets_encryption_is_allowed_and_in_another_denied(
    judged: JudgedAws,
) -> None:
    """The bucket's own policy denies what the role allows."""
    s3, bucket = s3_of(judged), judged.stack.bucket
    s3.put_object(Bucket=bucket, Key=key(judged), Body=b"a")
    own = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": judged.stack.key_arn}
    s3.put_object(Bucket=bucket, Key=key(judged), Body=b"a", **own)
    assert judged.denied() == []
    other_key = judged.stack.key_arn[:-1] + "0"
    for more in ({"ServerSideEncryption": "AES256"}, {**own, "SSEKMSKeyId": other_key}):
        with pytest.raises(ClientError) as refused:
            s3.put_object(Bucket=bucket, Key=key(judged), Body=b"b", **more)
        assert code_of(refused) == "AccessDenied"
    assert s3.get_object(Bucket=bucket, Key=key(judged))["Body"].read() == b"a"


def test_objects_of_another_profile_are_not_deleted(judged: JudgedAws) -> None:
    bucket, object_ = judged.stack.bucket, key(judged)
    s3_of(judged).put_object(Bucket=bucket, Key=object_, Body=b"a")
    many = {"Objects": [{"Key": object_}]}
    answer = s3_of(judged, OTHERS).delete_objects(Bucket=bucket, Delete=many)
    assert [each["Code"] for each in answer["Errors"]] == ["AccessDenied"]
    assert "Errors" not in s3_of(judged).delete_objects(Bucket=bucket, Delete=many)


def test_a_deletion_of_which_a_part_is_allowed_is_outside_the_table(tmp_path: Path) -> None:
    with (
        pytest.raises(UnknownRequest, match="some may be deleted"),
        judged_aws(stack(), tmp_path) as judged,
        pytest.raises(ClientError),
    ):
        s3_of(judged).delete_objects(
            Bucket=judged.stack.bucket,
            Delete={"Objects": [{"Key": key(judged, profile)} for profile in PROFILES]},
        )


@pytest.mark.parametrize(
    ("role", "subject"),
    [
        ("mine", (OTHERS, "default-editor")),
        ("mine", (MINE, "default-viewer")),
        ("unknown", (MINE, "default-editor")),
    ],
)
def test_a_role_is_assumed_by_nobody_else(
    judged: JudgedAws, role: str, subject: tuple[str, str]
) -> None:
    mine = judged.stack.profiles[MINE]
    with pytest.raises(ClientError) as refused:
        assumed(judged, {"mine": mine, "unknown": f"{mine}-unknown"}[role], subject)
    assert code_of(refused) == "AccessDenied"


def test_a_token_of_another_cluster_is_refused(judged: JudgedAws) -> None:
    token = judged.stack.token((MINE, "default-editor"))
    foreign = type(token)(f"{token.issuer}D", token.subject, token.audiences)
    assert judged.stack.federated(foreign).principals == {}
    with pytest.raises(ClientError) as refused:
        judged.aws.client("sts", "nobody").assume_role_with_web_identity(
            RoleArn=judged.stack.profiles[MINE],
            RoleSessionName="test",
            WebIdentityToken=foreign.written(),
        )
    assert code_of(refused) == "AccessDenied"


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("list_buckets", {}),
        ("get_bucket_acl", {"Bucket": stack().bucket}),
        ("head_bucket", {"Bucket": "another-bucket"}),
    ],
)
def test_a_request_outside_the_table_fails_the_test(
    operation: str, arguments: dict[str, str], tmp_path: Path
) -> None:
    with (
        pytest.raises(UnknownRequest, match=r"S3: GET|of the bucket "),
        judged_aws(stack(), tmp_path) as judged,
        pytest.raises(ClientError),
    ):
        getattr(s3_of(judged), operation)(**arguments)


def test_a_document_that_is_not_covered_fails_the_test(tmp_path: Path) -> None:
    planned = stack()
    bucket = planned.buckets[planned.bucket]
    denial = {
        **{"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*"},
        "Condition": {"Bool": {"aws:ViaAWSService": "false"}},
    }
    policy = {"Version": "2012-10-17", "Statement": [denial]}
    changed = replace(planned, buckets={planned.bucket: replace(bucket, policy=policy)})
    with (
        pytest.raises(UnknownRequest, match="ViaAWSService"),
        judged_aws(changed, tmp_path) as judged,
        pytest.raises(ClientError),
    ):
        s3_of(judged).get_object(Bucket=planned.bucket, Key=key(judged))


def test_a_key_that_is_no_buckets_is_used_by_nobody(judged: JudgedAws) -> None:
    bucket = replace(judged.stack.buckets[judged.stack.bucket], policy=None)
    unprotected = replace(judged.stack, buckets={bucket.name: bucket})
    assert unprotected.policy(bucket, "kms:Decrypt", bucket.key_arn) == bucket.key_policy
    assert unprotected.policy(bucket, "kms:Decrypt", f"{bucket.key_arn}0") is None
    assert unprotected.policy(bucket, "s3:GetObject", "") is None


def test_a_key_that_no_role_has_is_outside_the_table(tmp_path: Path) -> None:
    with (
        pytest.raises(UnknownRequest, match="signed by no role"),
        judged_aws(stack(), tmp_path) as judged,
        pytest.raises(ClientError),
    ):
        judged.aws.client("s3", "AKIASTATIC").head_bucket(Bucket=judged.stack.bucket)


def test_a_role_whose_boundary_nobody_knows_is_judged_by_nobody() -> None:
    """The plan has the boundary's name alone, and a boundary takes rights away."""
    with pytest.raises(UnknownConstruct, match="permissionsBoundary"):
        roles_of(recorded(PLANS["a company's account"]))
