"""The bucket of artifacts, and the bucket and key of the state, in moto's S3 and KMS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3
import pytest

from ops.account_calls import CallFailed
from ops.bucket_checks import BACKEND, bucket_findings, state_findings
from ops.findings import Level
from tests.ops.account import CLUSTER, notes, problems, session, subject, told

pytestmark = pytest.mark.usefixtures("aws")

REGION, NAME = "cn-north-1", "kubeflow-123456789012-cn-north-1"


def client(service: str) -> Any:
    make: Any = boto3.client
    return make(service, region_name=REGION)


def bucket(name: str) -> None:
    place = {"LocationConstraint": REGION}
    client("s3").create_bucket(Bucket=name, CreateBucketConfiguration=place)


def test_a_free_name_is_good() -> None:
    found = bucket_findings(subject(REGION), session())
    assert told(found, Level.GOOD) == [f"the name {NAME} is free"]


def test_a_bucket_without_its_cluster_is_told_with_both_ways_out() -> None:
    bucket(NAME)
    (sentence,) = problems(bucket_findings(subject(REGION), session()))
    assert sentence.startswith(f"the bucket {NAME} exists and the cluster does not")
    assert "set kubeflow:artifacts.existing" in sentence
    assert "or another name in kubeflow:artifacts.bucket" in sentence
    found = bucket_findings(subject(REGION), session(CLUSTER))
    assert told(found, Level.GOOD) == [f"the bucket {NAME} exists, as the cluster does"]


def test_a_bucket_that_the_stack_takes_over_must_exist() -> None:
    key = "arn:aws-cn:kms:cn-north-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef"
    stack = subject(REGION, artifacts={"existing": True, "kmsKeyArn": key})
    (sentence,) = problems(bucket_findings(stack, session()))
    assert sentence.startswith(f"kubeflow:artifacts.existing is true: S3 answers 404 for {NAME}")
    bucket(NAME)
    found = bucket_findings(stack, session())
    assert told(found, Level.GOOD) == [f"the bucket {NAME} exists and will be used"]


@pytest.mark.parametrize("code", ["403", "301"])
def test_a_name_that_somebody_else_has_is_a_problem(code: str) -> None:
    stack = subject(REGION, artifacts={"bucket": "theirs"})
    (sentence,) = problems(bucket_findings(stack, session({"s3.HeadBucket": code})))
    assert sentence == (
        f"kubeflow:artifacts.bucket is theirs: S3 answers {code}: the name is taken, in another "
        "account or region: set another"
    )


def test_another_error_of_s3_says_nothing_about_the_name() -> None:
    with pytest.raises(CallFailed, match=r"s3:ListBucket fails \(500\)"):
        list(bucket_findings(subject(REGION), session({"s3.HeadBucket": "500"})))


def state(tmp_path: Path, url: str, provider: str = "", answers: Any = None) -> list[Any]:
    file = tmp_path / "Pulumi.cn-north-1.yaml"
    file.write_text(f"secretsprovider: {provider}\n" if provider else "config: {}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(BACKEND, url)
        return list(state_findings(subject(REGION, file), session(answers)))


URL = "s3://my-state/folder?region=cn-north-1"


def test_a_bucket_with_versions_and_a_key_is_good(tmp_path: Path) -> None:
    bucket("my-state")
    client("s3").put_bucket_versioning(
        Bucket="my-state", VersioningConfiguration={"Status": "Enabled"}
    )
    key = client("kms").create_key()["KeyMetadata"]
    client("kms").create_alias(AliasName="alias/state", TargetKeyId=key["KeyId"])
    for name in ("alias/state", key["KeyId"], f"/{key['Arn']}"):
        found = state(tmp_path, URL, f"awskms://{name}?region=cn-north-1")
        assert told(found, Level.GOOD) == [
            "the bucket my-state exists and keeps former versions",
            f"the key {name.strip('/')} encrypts its secrets",
        ]
    client("kms").disable_key(KeyId=key["KeyId"])
    (sentence,) = problems(state(tmp_path, URL, "awskms://alias/state?region=cn-north-1"))
    assert "the key alias/state, which encrypts its secrets, is Disabled" in sentence


def test_what_is_missing_is_told_with_the_way_out(tmp_path: Path) -> None:
    absent, key = problems(state(tmp_path, URL, "awskms://alias/none?region=cn-north-1"))
    assert absent == "the bucket my-state does not exist: create it in cn-north-1"
    assert key.startswith("the key alias/none, which encrypts its secrets, is absent: create or")
    bucket("my-state")
    versions, key = notes(state(tmp_path, URL))
    assert "`aws s3api put-bucket-versioning --bucket my-state" in versions
    assert "no KMS key encrypts its secrets" in key
    (sentence,) = problems(state(tmp_path, URL, answers={"s3.HeadBucket": "403"}))
    assert sentence.startswith("S3 answers 403 for the bucket my-state")


def test_other_backends_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (found,) = state(tmp_path, "https://api.example.com")
    assert (found.level, found.sentence) == (Level.GOOD, "it is in https://api.example.com")
    (found,) = state(tmp_path, "file://~")
    assert found.level is Level.NOTE
    assert "on this machine alone" in found.sentence
    monkeypatch.delenv(BACKEND, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert list(state_findings(subject(REGION), session())) == []
    cli = tmp_path / "pulumi"
    cli.write_text("#!/bin/sh\necho 'error: no login' >&2\nexit 1\n")
    cli.chmod(0o755)
    (found,) = state_findings(subject(REGION), session())
    assert (found.level, found.sentence.split(": ")[1]) == (Level.NOTE, "`pulumi login`")
    cli.write_text('#!/bin/sh\necho \'{"url": "https://api.example.com"}\'\n')
    (found,) = state_findings(subject(REGION), session())
    assert found.sentence == "it is in https://api.example.com"
