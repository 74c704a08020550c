"""The AWS account of a verification: that of the stack and of the kubeconfig, or none."""

from __future__ import annotations

from typing import Any

import pytest

from ops import targets
from ops.cli_errors import Refused
from ops.verification.live_platform import AccountClients
from settings import Settings

ACCOUNT = "123456789012"
"""Of moto."""


def settings(stack: str = "cn-north-1", **changes: Any) -> Settings:
    return targets.settings_of(stack).model_copy(update=changes)


@pytest.mark.parametrize("stack", ["cn-north-1", "us-gov-west-1", "us-west-2"])
@pytest.mark.parametrize("account", ["", ACCOUNT])
def test_a_client_is_of_the_stacks_region(aws: None, stack: str, account: str) -> None:
    clients = AccountClients(settings(stack), account)
    assert clients("rds").meta.region_name == stack
    assert clients.account == ACCOUNT


def test_a_client_has_the_url_of_the_stack_file(aws: None) -> None:
    own = settings(endpoints={"rds": "https://rds.internal.example"})
    assert AccountClients(own)("rds").meta.endpoint_url == "https://rds.internal.example"


@pytest.mark.parametrize(
    ("changes", "cluster", "reason"),
    [
        ({"account_id": "210987654321"}, "", "kubeflow:accountId is 210987654321"),
        ({}, "210987654321", "the kubeconfig's cluster is of account 210987654321"),
    ],
)
def test_credentials_of_another_account_are_refused_in_one_sentence(
    aws: None, changes: dict[str, Any], cluster: str, reason: str
) -> None:
    clients = AccountClients(settings(**changes), cluster)
    sentence = f"the credentials are of account {ACCOUNT} and {reason}: choose another AWS_PROFILE"
    for _ in range(2):
        with pytest.raises(Refused, match=sentence):
            clients("rds")


def test_without_credentials_the_ways_to_some_are_named(
    aws: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/none")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/none")
    with pytest.raises(Refused, match="set AWS_PROFILE or run `aws configure`"):
        AccountClients(settings())("rds")
