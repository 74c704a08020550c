"""What both transports of the handler share: the environment, and replies to bodies."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tests.webhook.copies_table import create_table
from webhook import service
from webhook.claims import Claims
from webhook.copy_reasons import CopyReason
from webhook.rules import WhenAbsent
from webhook.service import Environment, failure_of_copy, reply

VARIABLES = {
    "MIRROR_REGISTRY": "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/kubeflow",
    "MIRROR_TABLE": "in-flight",
    "MIRROR_IN_FLIGHT_SECONDS": "3600",
}


def allowed(body: Any, _deadline: float) -> dict[str, Any]:
    return {"response": {"uid": body["request"]["uid"], "allowed": True}}


def test_the_environment_is_read_and_typed() -> None:
    read = Environment.read(VARIABLES | {"MIRROR_WHEN_ABSENT": "keep"})
    assert read.cached == ()
    assert read.when_absent is WhenAbsent.KEEP
    assert read.in_flight_seconds == 3600


@pytest.mark.parametrize("name", VARIABLES)
def test_a_missing_variable_is_named(name: str) -> None:
    with pytest.raises(KeyError, match=name):
        Environment.read({each: value for each, value in VARIABLES.items() if each != name})


@pytest.mark.parametrize(
    "change", [{"MIRROR_IN_FLIGHT_SECONDS": "soon"}, {"MIRROR_WHEN_ABSENT": "perhaps"}]
)
def test_a_value_of_the_wrong_kind_is_refused(change: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"soon|perhaps"):
        Environment.read(VARIABLES | change)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("", id="nothing"),
        pytest.param("{", id="cut off"),
        pytest.param(b"\xff", id="bytes of no text"),
        pytest.param("[" * sys.getrecursionlimit() * 20, id="nested too deep"),
        pytest.param("9" * 5000, id="a number too long"),
    ],
)
def test_a_body_that_cannot_be_read_is_http_400_and_judged_by_nobody(body: bytes | str) -> None:
    def untouched(_: object, _deadline: float) -> dict[str, Any]:
        raise AssertionError("judged")

    status, review = reply(body, untouched)
    assert (status, review["response"]["allowed"]) == (400, False)


def test_one_line_is_logged_and_nothing_else_that_a_pod_holds(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    pod = {"spec": {"containers": [{"env": [{"name": "KEY", "value": "AKIASECRET"}]}]}}
    request = {"uid": "u", "namespace": "team", "name": ["AKIASECRET"], "object": pod}
    assert reply(json.dumps({"request": request}), allowed)[0] == 200
    (record,) = caplog.records
    assert json.loads(record.getMessage()) == {
        "uid": "u",
        "namespace": "team",
        "name": None,
        "operation": None,
        "allowed": True,
        "patched": False,
        "warnings": [],
    }


def test_a_copy_is_under_way_has_failed_or_is_nothing_to_wait_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "cn-north-1")
    image = "quay.io/a/b:1"
    with mock_aws():
        client: Any = boto3.client("dynamodb")
        failure = failure_of_copy(Environment.read(VARIABLES))
        assert failure is not None
        assert failure(image, "team") == ""  # a table that does not answer tells nothing
        create_table(client, "in-flight")
        assert failure(image, "team") is None
        claims = Claims(client, "in-flight", 3600)
        claims.take(image, namespace="team")
        assert failure(image, "team") == ""
        claims.fail(image, CopyReason.NOT_FOUND)
        assert failure(image, "team") == (
            f"{image} could not be copied to this account's registry: its registry has no such "
            "image"
        )


def test_where_ecr_copies_nothing_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "client", None)
    assert failure_of_copy(Environment.read(VARIABLES | {"MIRROR_CACHED": "quay.io"})) is None
