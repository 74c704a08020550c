"""The pod that hands sessions over, against moto's STS and Secrets Manager of two partitions."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from webhook import copy_job, sessions
from webhook.sessions import Handover

CHINA, ABROAD = "cn-north-1", "ap-southeast-1"
TOKEN = "header.claims.signature"
PUSH = Handover(
    purpose="push",
    session_role="arn:aws-cn:iam::123456789012:role/push",
    writer_role="arn:aws:iam::123456789012:role/push-writer",
    secret="kubeflow-image-mirror/cn-north-1",
    giver=CHINA,
    holder=ABROAD,
)
START = Handover(
    purpose="start",
    session_role="arn:aws:iam::123456789012:role/start",
    writer_role="arn:aws-cn:iam::123456789012:role/start-writer",
    secret="kubeflow/image-mirror/start-build",
    giver=ABROAD,
    holder=CHINA,
)


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Both accounts; the pod itself has no credential, and moto must not lend it one."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    client: Any = boto3.client
    with mock_aws():
        for each in (PUSH, START):
            client("secretsmanager", region_name=each.holder).create_secret(Name=each.secret)
        yield client


def stored(aws: Any, wanted: Handover) -> dict[str, str]:
    client = aws("secretsmanager", region_name=wanted.holder)
    return json.loads(client.get_secret_value(SecretId=wanted.secret)["SecretString"])


@pytest.mark.parametrize("wanted", [PUSH, START], ids=lambda each: each.purpose)
def test_a_session_of_one_side_is_in_the_secret_of_the_other(aws: Any, wanted: Handover) -> None:
    sessions.hand_over(wanted, TOKEN)
    assert set(stored(aws, wanted)) == {"accessKeyId", "secretAccessKey", "sessionToken"}
    assert stored(aws, wanted)["accessKeyId"].startswith("ASIA")


def test_each_side_is_asked_at_its_own_host_for_its_own_role(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[str, str]] = []
    real = sessions.service.client

    def client(service: str, config: Any, **arguments: str) -> Any:
        made = real(service, config, **arguments)
        asked.append((service, made.meta.endpoint_url))
        return made

    monkeypatch.setattr(sessions.service, "client", client)
    sessions.hand_over(PUSH, TOKEN)
    assert asked == [
        ("sts", "https://sts.cn-north-1.amazonaws.com.cn"),
        ("sts", "https://sts.ap-southeast-1.amazonaws.com"),
        ("secretsmanager", "https://secretsmanager.ap-southeast-1.amazonaws.com"),
    ]


def test_the_copier_uses_the_session_as_it_would_a_key(aws: Any) -> None:
    sessions.hand_over(START, TOKEN)
    client = aws("secretsmanager", region_name=CHINA)
    keys = copy_job.stored_credentials(client, START.secret)
    assert keys["aws_session_token"] == stored(aws, START)["sessionToken"]


def test_one_way_that_fails_does_not_stop_the_other_and_nothing_secret_is_logged(
    aws: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    absent = replace(PUSH, secret="absent")
    assert sessions.hand_all_over((absent, START), TOKEN) == 1
    session = stored(aws, START)
    assert "push: no session handed over (ResourceNotFoundException)" in caplog.text
    assert "start: a session until " in caplog.text
    for secret in (TOKEN, *session.values()):
        assert secret not in caplog.text


@pytest.mark.parametrize(("handovers", "status"), [([PUSH, START], 0), ([PUSH, None], 1)])
def test_the_pod_succeeds_only_when_all_is_handed_over(
    handovers: list[Handover | None],
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    listed = [vars(each or replace(START, secret="absent")) for each in handovers]
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    monkeypatch.setenv("SESSIONS_TOKEN", str(tmp_path / "token"))
    monkeypatch.setenv("SESSIONS_HANDOVERS", json.dumps(listed))
    assert sessions.main() == status
