"""How one copy is started: a build, and no secret in it."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError

from images.reference import InvalidReference, parse
from webhook.claims import Claims
from webhook.copy_job import CopyJob, overrides, stored_credentials
from webhook.copy_reasons import CopyReason

ECR = "111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn"
SHA = "sha256:" + "0123456789abcdef" * 4


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "AKIASECRET"}}, "Call")


@dataclass
class Aws:
    """Records every call of every client; raises what ``errors`` holds for an operation."""

    errors: dict[str, Exception] = field(default_factory=dict[str, Exception])
    calls: list[tuple[str, dict[str, Any]]] = field(
        default_factory=list[tuple[str, dict[str, Any]]]
    )

    def _call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        self.calls.append((operation, request))
        if operation in self.errors:
            raise self.errors[operation]
        return {"build": {"id": "copier:1"}}

    def start_build(self, **request: Any) -> dict[str, Any]:
        return self._call("start_build", request)

    def update_item(self, **request: Any) -> dict[str, Any]:
        return self._call("update_item", request)

    def of(self, operation: str) -> list[dict[str, Any]]:
        return [request for name, request in self.calls if name == operation]


def job(aws: Aws) -> CopyJob:
    return CopyJob(
        builds=lambda: aws,
        claims=Claims(aws, "in-flight", 3600, lambda: 1000.0),
        project="copier",
        registry=f"{ECR}/kubeflow",
    )


def test_a_copy_starts_one_build_with_source_and_target() -> None:
    aws = Aws()
    assert job(aws).start("python:3.9") == "copier:1"
    (build,) = aws.of("start_build")
    assert build["projectName"] == "copier"
    pair = f"docker.io/library/python:3.9 {ECR}/kubeflow/docker.io/library/python:3.9"
    assert build["environmentVariablesOverride"] == [
        {"name": "IMAGES", "value": pair, "type": "PLAINTEXT"}
    ]


def test_the_same_image_has_the_same_token_so_codebuild_deduplicates_too() -> None:
    aws = Aws()
    job(aws).start("python:3.9")
    job(aws).start("docker.io/library/python:3.9")
    job(aws).start("python:3.10")
    first, second, other = (build["idempotencyToken"] for build in aws.of("start_build"))
    assert first == second != other


def test_a_failure_releases_the_claim_with_a_reason_and_no_secret(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    aws = Aws({"start_build": refused("AccessDeniedException")})
    with pytest.raises(ClientError):
        job(aws).start("quay.io/a/b:1")
    attempt, row = aws.of("update_item")
    assert "ADD attempts" in attempt["UpdateExpression"]
    assert row["ExpressionAttributeValues"][":reason"] == {"S": CopyReason.NOT_STARTED}
    assert "expires" in row["UpdateExpression"]
    assert "AccessDeniedException" in caplog.text
    assert "AKIASECRET" not in caplog.text + json.dumps(row)


@pytest.mark.parametrize("code", ["AccountLimitExceededException", "ThrottlingException"])
def test_an_image_that_has_to_wait_for_aws_is_not_recorded_as_failed(code: str) -> None:
    aws = Aws({"start_build": refused(code)})
    with pytest.raises(ClientError):
        job(aws).start("quay.io/a/b:1")
    assert aws.of("update_item") == []


def test_a_later_claim_of_an_image_gets_a_build_of_its_own() -> None:
    aws = Aws()
    job(aws).start("python:3.9", asked=1000)
    job(aws).start("python:3.9", asked=1120)
    first, second = (build["idempotencyToken"] for build in aws.of("start_build"))
    assert first != second


def test_a_build_is_told_whose_bytes_it_copies() -> None:
    aws = Aws()
    job(aws).start("python:3.9", namespace="team")
    (build,) = aws.of("start_build")
    assert build["environmentVariablesOverride"][1:] == [
        {"name": "NAMESPACE", "value": "team", "type": "PLAINTEXT"}
    ]


def test_a_started_copy_holds_its_claim() -> None:
    aws = Aws()
    job(aws).start("quay.io/a/b:1")
    (row,) = aws.of("update_item")
    assert row["ExpressionAttributeValues"][":end"] == {"N": "4600"}
    # An attempt is counted by the build, once it has a machine.
    assert (
        row["UpdateExpression"]
        == "SET expires = :end, claimant = :namespace REMOVE waiting, reason"
    )


def test_nothing_is_called_for_what_is_no_image() -> None:
    aws = Aws()
    with pytest.raises(InvalidReference):
        job(aws).start("quay.io/a/b:1; rm -rf /")
    assert aws.calls == []


def test_several_images_are_a_line_each_and_a_digest_names_the_target() -> None:
    images = [parse(f"quay.io/a/b:1@{SHA}"), parse("quay.io/a/b:2")]
    (variable,) = overrides(images, f"{ECR}/kubeflow")
    assert variable["value"].splitlines() == [
        f"quay.io/a/b:1@{SHA} {ECR}/kubeflow/quay.io/a/b:digest-sha256-{SHA[7:]}",
        f"quay.io/a/b:2 {ECR}/kubeflow/quay.io/a/b:2",
    ]


class Secrets:
    def __init__(self, text: str) -> None:
        self.text = text

    def get_secret_value(self, **_request: Any) -> dict[str, str]:
        return {"SecretString": self.text}


def test_stored_credentials_become_client_arguments() -> None:
    text = '{"accessKeyId": "AKIA", "secretAccessKey": "s"}'
    assert stored_credentials(Secrets(text), "name") == {
        "aws_access_key_id": "AKIA",
        "aws_secret_access_key": "s",
    }


@pytest.mark.parametrize("text", ["", "AKIASECRET", "[]", '{"accessKeyId": "AKIASECRET"}'])
def test_a_secret_of_another_shape_is_not_quoted(text: str) -> None:
    with pytest.raises(ValueError, match="accessKeyId") as wrong:
        stored_credentials(Secrets(text), "name")
    assert "AKIASECRET" not in str(wrong.value)
    assert wrong.value.__suppress_context__
