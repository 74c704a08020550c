"""An account on moto for ./kf doctor and leftovers, with answers that moto does not have."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse

from ops.checks import Subject
from ops.findings import Finding, Level
from regions.region import Region
from settings import from_mapping

VPC = "vpc-0123456789abcdef0"
GROUP = "sg-0123456789abcdef0"
KEYS = "aws_access_key_id = testing\naws_secret_access_key = testing\n"
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "sts:AssumeRole",
                "Principal": {"Service": "lambda.amazonaws.com"},
            }
        ],
    }
)
Answers = Mapping[str, Any]
"""``eks.DescribeClusterVersions`` -> its answer, or the code of its error."""


def with_two_profiles(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials of the stack's account and of the profile of the build account; no others."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    (folder / "credentials").write_text(f"[default]\n{KEYS}[kubeflow-build]\n{KEYS}")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(folder / "config"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def subject(region: str = "us-west-2", file: Path | None = None, **sections: Any) -> Subject:
    return Subject(from_mapping({"region": region, **sections}), Region.of(region), file)


def session(answers: Answers | None = None, *, latency: float = 0) -> Any:
    """A boto3 session.

    Args:
        answers: to some operations; moto has the others.
        latency: of each call, in seconds.
    """
    made: Any = boto3.Session()
    made.events.register_first("before-call", lambda **_: time.sleep(latency))  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    for operation, answer in (answers or {}).items():
        made.events.register(
            f"before-call.{operation}".removesuffix(".*"), partial(_answered, answer)
        )
    return made


def _answered(answer: Any, params: dict[str, Any], **_: Any) -> tuple[AWSResponse, Any]:
    if callable(answer):
        answer = answer(params)
    status, parsed = (200, answer)
    if isinstance(answer, str):
        status, parsed = 400, {"Error": {"Code": answer, "Message": "it says too much"}}
    return AWSResponse("", status, {}, None), parsed


def quotas(**values: float) -> Answers:
    """The answer of Service Quotas: code, with _ for -, -> value; others do not exist."""

    def quota(params: dict[str, Any]) -> Any:
        code = json.loads(params["body"])["QuotaCode"]
        value = values.get(code.replace("-", "_"))
        return "NoSuchResourceException" if value is None else {"Quota": {"Value": value}}

    return {"service-quotas.GetServiceQuota": quota}


CLUSTER = {"eks.DescribeCluster": {"cluster": {"name": "kubeflow"}}}


def told(findings: Any, level: Level) -> list[str]:
    found: list[Finding] = list(findings)
    return [each.sentence for each in found if each.level is level]


def problems(findings: Any) -> list[str]:
    return told(findings, Level.PROBLEM)


def notes(findings: Any) -> list[str]:
    return told(findings, Level.NOTE)
