"""The controller's rights against Karpenter's own list: nothing missing, nothing more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from components.gpu import policies
from regions.region import Region
from tests.harness import REGIONS

ACCOUNT, CLUSTER = "111122223333", "kubeflow"
FILE = Path(__file__).parent / "karpenter_published_rights.yaml"
PUBLISHED: dict[str, dict[str, Any]] = yaml.safe_load(FILE.read_text("utf-8"))

LEFT_OUT = {
    # The stack makes the one instance profile:
    # docs/decisions/0011-karpenter-gets-its-instance-profile.md
    "iam:CreateInstanceProfile",
    "iam:TagInstanceProfile",
    "iam:AddRoleToInstanceProfile",
    "iam:RemoveRoleFromInstanceProfile",
    "iam:DeleteInstanceProfile",
    # settings.enableZonalShift is off.
    "arc-zonal-shift:GetManagedResource",
}
PRICES = "pricing:GetProducts"
SPOT = "iam:CreateServiceLinkedRole"


class Right(NamedTuple):
    """One action on one resource, and the conditions it hangs on (JSON, keys sorted)."""

    action: str
    resource: str
    conditions: str


def _rights(actions: Any, resources: Any, conditions: dict[str, Any]) -> Iterator[Right]:
    for action in [actions] if isinstance(actions, str) else actions:
        for resource in [resources] if isinstance(resources, str) else resources:
            yield Right(action, resource, json.dumps(conditions, sort_keys=True))


def _node_role(region: Region) -> str:
    return region.arn("iam", "role/nodes", account=ACCOUNT, region="")


def _queue(region: Region) -> str:
    return region.arn("sqs", "interruption", account=ACCOUNT)


def ours(region: Region, *, spot: bool, prices: bool) -> set[Right]:
    documents = (
        policies.node_lifecycle_policy(region, CLUSTER),
        policies.node_identity_policy(region, ACCOUNT, _node_role(region), spot=spot),
        policies.cluster_discovery_policy(region, ACCOUNT, CLUSTER),
        policies.interruption_policy(_queue(region)),
        policies.resource_discovery_policy(region, ACCOUNT, asks_for_prices=prices),
    )
    return {
        right
        for document in documents
        for found in document["Statement"]
        for right in _rights(found["Action"], found["Resource"], found.get("Condition", {}))
    }


def published(region: Region) -> set[Right]:
    inserted = {
        "<partition>": region.partition,
        "<region>": region.name,
        "<account>": ACCOUNT,
        "<cluster>": CLUSTER,
        "<node role>": _node_role(region),
        "<queue>": _queue(region),
    }
    text = json.dumps(PUBLISHED)
    for placeholder, value in inserted.items():
        text = text.replace(placeholder, value)
    return {
        right
        for found in json.loads(text).values()
        for right in _rights(found["actions"], found["resources"], found["conditions"])
    }


def _in_its_partition(region: Region, rights: set[Right]) -> set[Right]:
    """EC2's second spelling exists in China only; elsewhere one is all that can ever match."""
    both = json.dumps(["ec2.amazonaws.com", "ec2.amazonaws.com.cn"])
    here = json.dumps(list(region.passed_to_ec2))
    return {right._replace(conditions=right.conditions.replace(both, here)) for right in rights}


@pytest.mark.parametrize("spot", [True, False])
@pytest.mark.parametrize("prices", [True, False])
@pytest.mark.parametrize("name", [*REGIONS, "us-gov-east-1"])
def test_action_by_action_karpenter_may_do_what_its_list_says(
    name: str, prices: bool, spot: bool
) -> None:
    region = Region.of(name)
    left_out = LEFT_OUT | (set() if prices else {PRICES})
    expected = {
        right
        for right in _in_its_partition(region, published(region))
        if right.action not in left_out
    }
    given = ours(region, spot=spot, prices=prices)
    assert expected - given == set()
    assert {right.action for right in given - expected} == ({SPOT} if spot else set())


def test_what_is_left_out_is_on_the_list() -> None:
    listed = {action for found in PUBLISHED.values() for action in found["actions"]}
    assert listed >= LEFT_OUT | {PRICES}
    assert SPOT not in listed


@pytest.mark.parametrize("name", ["cn-north-1", "cn-northwest-1"])
def test_in_china_the_node_role_goes_to_both_names_of_ec2_as_on_the_list(name: str) -> None:
    region = Region.of(name)
    (right,) = [r for r in published(region) if r.action == "iam:PassRole"]
    assert right in ours(region, spot=False, prices=True)
