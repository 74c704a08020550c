"""The Lambda transport: HTTP in, HTTP out, and never a reason for a pod to fail."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tests.webhook.copies_table import create_table
from tests.webhook.hostile_clients import bomb, large
from tests.webhook.reviews import patched, pod, review_of
from tests.webhook.serving import decide
from webhook import lambda_handler
from webhook.claims import Claims, Taken

ECR = "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn"
VARIABLES = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "cn-north-1",
    "MIRROR_REGISTRY": f"{ECR}/kubeflow",
    "MIRROR_TABLE": "in-flight",
    "MIRROR_IN_FLIGHT_SECONDS": "3600",
    "MIRROR_COPIER": "copier",
    "MIRROR_PROJECT": "project",
    "MIRROR_BUILD_REGION": "ap-southeast-1",
    "MIRROR_CREDENTIALS_SECRET": "start-build",
}
MANIFEST = '{"mediaType": "application/vnd.oci.image.manifest.v1+json"}'
IMAGE = "docker.io/library/python:3.9"
REVIEW = review_of(pod("python:3.9"), namespace="team")


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    _forget()
    with mock_aws():
        client: Any = boto3.client
        create_table(client("dynamodb"), "in-flight")
        yield client
    _forget()


def _forget() -> None:
    lambda_handler._environment.cache_clear()  # pyright: ignore[reportPrivateUsage]
    lambda_handler._decision.cache_clear()  # pyright: ignore[reportPrivateUsage]


BODY = json.dumps(REVIEW)


def encoded(body: str) -> dict[str, Any]:
    return {"body": body, "isBase64Encoded": True}


@pytest.mark.parametrize(
    "event", [{"body": BODY}, encoded(base64.b64encode(BODY.encode()).decode())]
)
def test_a_present_image_is_rewritten_over_http(aws: Any, event: dict[str, Any]) -> None:
    ecr, name = aws("ecr"), "kubeflow/docker.io/library/python"
    ecr.create_repository(repositoryName=name)
    ecr.put_image(repositoryName=name, imageTag="3.9", imageManifest=MANIFEST)
    given = lambda_handler.admit(event, None)
    response = json.loads(given["body"])["response"]
    assert (given["statusCode"], response["uid"], response["allowed"]) == (200, "u-1", True)
    assert list(patched(response).values()) == [f"{ECR}/{name}:3.9"]


def test_a_copy_that_cannot_be_requested_does_not_stop_the_pod(aws: Any) -> None:
    # There is no function "copier" in this account, so the invocation fails.
    given = lambda_handler.admit({"body": BODY}, None)
    response = json.loads(given["body"])["response"]
    assert response["allowed"]
    assert "could not be requested" in response["warnings"][0]


# Texts that are no review: tests/webhook/test_service.py.
@pytest.mark.parametrize(
    "event", [{}, {"body": None}, {"body": "[]"}, *map(encoded, ("%%%", "/w=="))]
)
def test_what_is_no_review_is_http_400_so_that_failure_policy_applies(event: Any) -> None:
    given = lambda_handler.admit(event, None)
    assert given["statusCode"] == 400
    assert json.loads(given["body"])["response"]["allowed"] is False


def test_an_unforeseen_error_is_http_500_and_tells_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> Any:
        raise RuntimeError("AKIASECRET")

    monkeypatch.setattr(lambda_handler, "_decision", broken)
    monkeypatch.setattr(broken, "cache_clear", lambda: None, raising=False)
    given = lambda_handler.admit({"body": BODY}, None)
    assert given["statusCode"] == 500
    assert "AKIASECRET" not in given["body"] + caplog.text
    monkeypatch.undo()


def test_a_copy_is_started_with_the_stored_credentials_of_the_other_side(
    aws: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws("secretsmanager").create_secret(
        Name="start-build", SecretString='{"accessKeyId": "AKIAOTHER", "secretAccessKey": "s"}'
    )
    clients: dict[str, Any] = {}

    class Builds:
        def start_build(self, **request: Any) -> dict[str, Any]:
            return {"build": {"id": f"{request['projectName']}:1"}}

    def client(service: str, **arguments: Any) -> Any:
        clients[service] = arguments
        return Builds() if service == "codebuild" else aws(service, **arguments)

    monkeypatch.setattr(boto3, "client", client)
    # Lambda's own event has one image, EventBridge's none.
    assert lambda_handler.start_copy({"detail-type": "Scheduled Event"}, None)["begun"] == 0
    claims = Claims(aws("dynamodb"), "in-flight", 3600)
    assert isinstance(claims.take(IMAGE, namespace="team"), Taken)
    assert lambda_handler.start_copy({"image": IMAGE}, None) == {"begun": 1, "waiting": 0}
    assert clients["codebuild"]["region_name"] == "ap-southeast-1"
    assert clients["codebuild"]["aws_access_key_id"] == "AKIAOTHER"
    assert aws("ecr").describe_repositories()["repositories"] == []


def test_json_that_would_fill_the_functions_memory_is_refused_before_it_is_read() -> None:
    given = lambda_handler.admit({"body": bomb(6 << 20).decode()}, None)
    answered = json.loads(given["body"])["response"]["status"]
    assert (given["statusCode"], answered["code"]) == (413, 413)
    assert answered["message"] == "image-mirror: the object is too large to be judged"


def test_a_large_object_is_judged_by_the_function_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lambda_handler, "_decide", decide)
    given = lambda_handler.admit({"body": large(5 << 20).decode()}, None)
    assert (given["statusCode"], len(patched(json.loads(given["body"])["response"]))) == (200, 1)
