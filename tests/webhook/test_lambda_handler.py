"""The Lambda transport: HTTP in, HTTP out, and never a reason for a pod to fail."""

from __future__ import annotations

import base64
import json
import threading
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from benchmarks.certificates import self_signed
from components.mirror.api import TIMEOUT_SECONDS
from regions.region import Region
from tests.webhook.copies_table import create_table
from tests.webhook.eks_authenticator import Authenticator
from tests.webhook.hostile_clients import bomb, large
from tests.webhook.reviews import patched, pod, review_of
from tests.webhook.serving import decide
from tests.webhook.test_events import FakeApi, report
from webhook import lambda_handler, service
from webhook.claims import Claims, Taken
from webhook.cluster_api import CallRefused
from webhook.event_notices import Limits, Notice
from webhook.event_request import EventRequest
from webhook.events import Reporter
from webhook.outcomes import Outcome

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
    for each in ("_environment", "_decision", "_notices", "_reporter"):
        getattr(lambda_handler, each).cache_clear()


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


# -- Events ---------------------------------------------------------------------------------------


EVENTS = "research-image-events"


class Invocation:
    """What Lambda hands to a handler beside its event."""

    seconds = 60.0

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds * 1000)


@dataclass
class Functions:
    """Lambda, as ``invoke`` of its client: what each function was given.

    Attributes:
        failure: of each call for Events.
        hanging: each call for Events waits for it.
    """

    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list[tuple[str, Any]])
    failure: Exception | None = None
    hanging: threading.Event | None = None

    def invoke(self, **request: Any) -> None:
        assert request["InvocationType"] == "Event"
        if request["FunctionName"] == EVENTS:
            if self.hanging:
                self.hanging.wait(60)
            if self.failure:
                raise self.failure
        self.asked.append((request["FunctionName"], json.loads(request["Payload"])))


@pytest.fixture
def functions(monkeypatch: pytest.MonkeyPatch) -> Functions:
    made = Functions()
    given = lambda_handler.service.client

    def client(service: str, *arguments: Any, **more: Any) -> Any:
        return made if service == "lambda" else given(service, *arguments, **more)

    monkeypatch.setattr(lambda_handler.service, "client", client)
    monkeypatch.setenv("MIRROR_EVENTS", EVENTS)
    fresh = EventRequest(lambda_handler._queue)  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(lambda_handler, "_EVENTS", fresh)
    # However busy the machine is: what is asked for at once is asked for in time.
    monkeypatch.setattr(lambda_handler, "_ASKING_SECONDS", 60)
    monkeypatch.setattr(lambda_handler, "_ANSWER_SECONDS", 60)
    return made


def told(functions: Functions) -> list[Any]:
    return [event for name, event in functions.asked if name == EVENTS]


def test_a_review_with_something_to_tell_asks_for_its_events(functions: Functions) -> None:
    given = lambda_handler.admit({"body": BODY}, None)
    assert json.loads(given["body"])["response"]["allowed"]
    (event,) = told(functions)
    assert (event["review"], event["namespace"]) == ("u-1", "team")
    assert list(event["messages"]) == ["ImageCopying"]


@pytest.mark.parametrize(
    "silent",
    [
        {**REVIEW, "request": {**REVIEW["request"], "dryRun": True}},
        review_of(pod(f"{ECR}/own:1"), namespace="team"),
        {},
    ],
)
def test_a_review_with_nothing_to_tell_asks_for_none(functions: Functions, silent: Any) -> None:
    lambda_handler.admit({"body": json.dumps(silent)}, None)
    assert not told(functions)


def test_without_a_function_of_events_none_is_asked_for(
    functions: Functions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MIRROR_EVENTS")
    lambda_handler.admit({"body": BODY}, None)
    assert [name for name, _ in functions.asked] == ["copier"]


def test_no_failure_of_that_call_changes_the_answer(
    functions: Functions, caplog: pytest.LogCaptureFixture
) -> None:
    calm = lambda_handler.admit({"body": BODY}, None)
    functions.failure = RuntimeError("AKIASECRET")
    again = lambda_handler.admit({"body": BODY}, None)
    assert again == calm
    assert len(told(functions)) == 1
    assert "a review got no Event: RuntimeError" in caplog.text
    assert "AKIASECRET" not in caplog.text


def test_no_delay_of_that_call_changes_the_answer(
    functions: Functions, monkeypatch: pytest.MonkeyPatch
) -> None:
    calm = lambda_handler.admit({"body": BODY}, None)
    functions.hanging = threading.Event()
    monkeypatch.setattr(lambda_handler, "_ASKING_SECONDS", 0.01)
    assert lambda_handler.admit({"body": BODY}, None) == calm
    assert len(told(functions)) == 1, "the answer came before the call had ended"
    functions.hanging.set()


def test_the_answer_leaves_the_api_server_time() -> None:
    """Before the API gives the function up, and before the API server gives up the API."""
    asking, answer = lambda_handler._ASKING_SECONDS, lambda_handler._ANSWER_SECONDS  # pyright: ignore[reportPrivateUsage]
    assert service.REVIEW_SECONDS < answer < TIMEOUT_SECONDS - 0.5
    assert asking < answer


def test_no_repetition_that_admissions_tell_is_left_out_where_it_is_posted() -> None:
    """Both count by clocks of their own, and the queue between them takes its time."""
    of_admissions, own = Limits(), lambda_handler._LIMITS  # pyright: ignore[reportPrivateUsage]
    assert own.repeat_seconds <= of_admissions.repeat_seconds - 60


def test_a_review_that_took_its_time_asks_for_no_event(
    functions: Functions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lambda_handler, "_ANSWER_SECONDS", -1)
    assert lambda_handler.admit({"body": BODY}, None)["statusCode"] == 200
    assert not told(functions)


NOTICE = Notice.of(report(created=False, name="web-0", uid="u")).as_json()


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> FakeApi:
    """The API server behind a new reporter of each container."""
    api = FakeApi()
    reporters = cache(lambda: Reporter(api, EVENTS))
    monkeypatch.setattr(lambda_handler, "_reporter", reporters)
    return api


def test_a_notice_becomes_events(cluster: FakeApi) -> None:
    lambda_handler.post_events(NOTICE, Invocation())
    (event,) = cluster.events
    assert (event["involvedObject"]["name"], event["reason"]) == ("web-0", "ImageCopying")
    assert event["reportingInstance"] == EVENTS


@pytest.mark.parametrize("event", [{}, {"image": "x"}, {**NOTICE, "messages": {"Deleted": []}}])
def test_what_is_no_notice_ends_without_a_word_of_it(
    cluster: FakeApi, caplog: pytest.LogCaptureFixture, event: Any
) -> None:
    with caplog.at_level("DEBUG"):
        lambda_handler.post_events(event, Invocation())
    assert not cluster.events
    assert "Deleted" not in caplog.text


@pytest.mark.parametrize(
    "failure",
    [TimeoutError("AKIASECRET"), CallRefused("503"), CallRefused("401"), KeyError("AKIASECRET")],
)
def test_what_was_not_posted_is_tried_again_by_the_queue(
    cluster: FakeApi, caplog: pytest.LogCaptureFixture, failure: Exception
) -> None:
    refused = Notice.of(report(outcome=Outcome.REFUSED, name="alone")).as_json()
    cluster.failure = failure
    with pytest.raises(lambda_handler.EventsNotPosted) as raised:
        lambda_handler.post_events(refused, Invocation())
    told = "".join(traceback.format_exception(raised.value)) + caplog.text
    assert "AKIASECRET" not in told
    cluster.failure = None
    lambda_handler.post_events(refused, Invocation())
    assert len(cluster.events) == 1


def test_an_invocation_ends_before_lambda_ends_it(cluster: FakeApi) -> None:
    """A pod that never comes is given up while there is time for all calls under way."""
    invocation = Invocation()
    invocation.seconds = lambda_handler._LAST_CALLS_SECONDS + 0.01  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(lambda_handler.EventsNotPosted):
        lambda_handler.post_events(Notice.of(report()).as_json(), invocation)
    assert not cluster.events


def test_an_api_server_is_what_eks_describes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authority = self_signed(tmp_path).certificate.read_bytes()
    variables = {
        "AWS_REGION": "cn-north-1",
        "AWS_ACCESS_KEY_ID": "ASIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "session",
        "MIRROR_CLUSTER": "research",
        "MIRROR_API_SERVER": "https://ABC.gr7.cn-north-1.eks.amazonaws.com.cn",
        "MIRROR_API_AUTHORITY": base64.b64encode(authority).decode(),
        "MIRROR_STS_HOST": Region.of("cn-north-1").service_host("sts"),
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    api: Any = lambda_handler._reporter().api  # pyright: ignore[reportPrivateUsage]
    keys = {"ASIAEXAMPLE": "secret session"}
    judge = Authenticator("research", Region.of("cn-north-1"), keys)
    assert judge.caller(api._token()) == "ASIAEXAMPLE"
    assert api._address == ("abc.gr7.cn-north-1.eks.amazonaws.com.cn", 443)
    assert len(api._trust().get_ca_certs()) == 1
