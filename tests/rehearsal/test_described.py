"""Clusters and OIDC providers of a simulated account: found where they exist, nowhere else."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rehearsal.account import Account
from rehearsal.protocol import properties, to_struct
from rehearsal.providers import OIDC_PROVIDER, SimulatedProvider, Simulation
from rehearsal.sample_outputs.eks import CLUSTER

REGIONS = ["cn-north-1", "us-west-2", "us-gov-west-1"]
GET_CLUSTER = "aws:eks/getCluster:getCluster"
GET_OIDC = "aws:iam/getOpenIdConnectProvider:getOpenIdConnectProvider"


def asked(account: Account, region: str, token: str, **args: str) -> Any:
    provider = SimulatedProvider(Simulation(region), account)
    context = SimpleNamespace(peer=lambda: "")
    return provider.Invoke(SimpleNamespace(tok=token, args=to_struct(args)), context)


def found(answer: Any) -> dict[str, Any]:
    assert not answer.failures
    return properties(getattr(answer, "return"))


@pytest.mark.parametrize("region", REGIONS)
def test_what_exists_is_described(region: str) -> None:
    account = Account()
    account.create(CLUSTER, region, lambda _: ("research", {}))
    cluster = found(asked(account, region, GET_CLUSTER, name="research"))
    issuer = cluster["identities"][0]["oidcs"][0]["issuer"]
    assert cluster["arn"].endswith(":cluster/research")
    arn = f"{cluster['arn'].split(':eks:')[0]}:iam::{cluster['arn'].split(':')[4]}:oidc-provider/"
    arn += issuer.removeprefix("https://")
    account.create(OIDC_PROVIDER, region, lambda _: (arn, {}))
    assert found(asked(account, region, GET_OIDC, url=issuer))["arn"] == arn


@pytest.mark.parametrize("region", REGIONS)
def test_what_does_not_exist_is_refused(region: str) -> None:
    (cluster,) = asked(Account(), region, GET_CLUSTER, name="research").failures
    assert cluster.reason == "reading EKS Cluster (research): couldn't find resource"
    (provider,) = asked(Account(), region, GET_OIDC, url="https://oidc.test/id/A").failures
    assert provider.reason == "finding IAM OIDC Provider by url (https://oidc.test/id/A): not found"
