"""A kept secret: encrypted by our key, recoverable, and named to nobody before it has a value."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pytest

from components.aws.managed_secret import RECOVERY_DAYS, managed_secret
from tests.components.backend.simulated_backend import SECRET, SECRET_TEXT
from tests.harness import MASKED, Recorded, run

READER = "kubernetes:core/v1:ConfigMap"


def program() -> dict[str, Any]:
    kept = managed_secret(
        "login",
        prefix="ml/login-",
        description="A login",
        values={"user": "ann", "password": pulumi.Output.secret("hunter2")},
        key_arn="arn:of:key",
        tags={"platform": "kubeflow"},
        opts=pulumi.ResourceOptions(),
    )
    pulumi.CustomResource(READER, "reader", {"data": {"key": kept.name}})
    secret = pulumi.Output.from_input(kept.name.is_secret())
    return {"arn": kept.arn, "name": kept.name, "name_is_secret": secret}


@pytest.fixture(scope="module")
def made() -> Recorded:
    return run(program)


def test_the_values_are_one_secret_json_object(made: Recorded) -> None:
    text = made.only(SECRET_TEXT, "login")
    assert json.loads(text.inputs["secretString"]) == {"user": "ann", "password": "hunter2"}
    assert text.visible["secretString"] == MASKED
    assert text.inputs["secretId"] == made.exports["arn"]


def test_the_secret_has_our_key_and_tags_and_can_be_brought_back(made: Recorded) -> None:
    inputs = made.only(SECRET, "login").inputs
    assert inputs["kmsKeyId"] == "arn:of:key"
    assert inputs["tags"] == {"platform": "kubeflow"}
    assert inputs["recoveryWindowInDays"] == RECOVERY_DAYS >= 7


def test_a_second_life_of_the_stack_finds_a_free_name(made: Recorded) -> None:
    # A deleted secret keeps its name for as long as it can be brought back.
    inputs = made.only(SECRET, "login").inputs
    assert inputs["namePrefix"] == "ml/login-"
    assert "name" not in inputs
    assert made.exports["name"].startswith("ml/login-")


def test_a_reader_of_the_name_waits_for_the_value(made: Recorded) -> None:
    assert (SECRET_TEXT, "login") in made.dependencies_of(made.only(READER))
    assert made.exports["name_is_secret"] is False
