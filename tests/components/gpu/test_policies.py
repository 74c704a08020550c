"""The controller's rights against Karpenter's own list: nothing missing, nothing more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from components.gpu import policies
from regions.region import Region, known_regions
from tests.harness import REGIONS

ACCOUNT, CLUSTER = "111122223333", "kubeflow"
FILE = Path(__file__).parent / "karpenter_published_rights.yaml"
PUBLISHED: dict[str, dict[str, Any]] = yaml.safe_load(FILE.read_text("utf-8"))
# Characters of a managed policy, white space not counted:
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
LONGEST_POLICY = 6144

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
    """One action on one resource, and its conditions (JSON, keys sorted)."""

    action: str
    resource: str
    conditions: str


def _rights(actions: Any, resources: Any, conditions: dict[str, Any]) -> Iterator[Right]:
    for action in [actions] if isinstance(actions, str) else actions:
        for resource in [resources] if isinstance(resources, str) else resources:
            yield Right(action, resource, json.dumps(conditions, sort_keys=True))


def _node_role(region: Region) -> str:
    return region.arn("iam", "role/" + "r" * 64, account=ACCOUNT, region="")


def _queue(region: Region) -> str:
    return region.arn("sqs", "q" * 80, account=ACCOUNT)


def documents(
    region: Region, *, cluster: str = CLUSTER, spot: bool = True, prices: bool = True
) -> dict[str, str]:
    """The policies as JSON; a policy without outputs among its values is plain text."""
    texts = policies.controller_policies(
        region,
        account_id=ACCOUNT,
        cluster_name=cluster,
        node_role_arn=_node_role(region),
        queue_arn=_queue(region),
        spot=spot,
        asks_for_prices=prices,
    )
    return {part: text for part, text in texts.items() if isinstance(text, str)}


def statements(region: Region, *, spot: bool = True, prices: bool = True) -> list[dict[str, Any]]:
    texts = documents(region, spot=spot, prices=prices).values()
    return [statement for text in texts for statement in json.loads(text)["Statement"]]


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
        for statement in json.loads(text).values()
        for right in _rights(statement["actions"], statement["resources"], statement["conditions"])
    }


def _in_its_partition(region: Region, rights: set[Right]) -> set[Right]:
    """EC2's second spelling exists in China only; elsewhere one is all that can ever match."""
    both = json.dumps(["ec2.amazonaws.com", "ec2.amazonaws.com.cn"])
    own = json.dumps(list(region.ec2_principals))
    return {right._replace(conditions=right.conditions.replace(both, own)) for right in rights}


@pytest.mark.parametrize("spot", [True, False])
@pytest.mark.parametrize("prices", [True, False])
@pytest.mark.parametrize("name", [*REGIONS, "us-gov-east-1"])
def test_the_controllers_rights_are_those_of_the_published_list(
    name: str, prices: bool, spot: bool
) -> None:
    region = Region.of(name)
    left_out = LEFT_OUT | (set() if prices else {PRICES})
    expected = {
        right
        for right in _in_its_partition(region, published(region))
        if right.action not in left_out
    }
    allowing = statements(region, spot=spot, prices=prices)
    assert {statement["Effect"] for statement in allowing} == {"Allow"}
    actual = {
        right
        for statement in allowing
        for right in _rights(
            statement["Action"], statement["Resource"], statement.get("Condition", {})
        )
    }
    assert expected - actual == set()
    assert {right.action for right in actual - expected} == ({SPOT} if spot else set())


def test_what_is_left_out_is_on_the_list() -> None:
    listed = {action for statement in PUBLISHED.values() for action in statement["actions"]}
    assert listed >= LEFT_OUT | {PRICES}
    assert SPOT not in listed


@pytest.mark.parametrize("name", REGIONS)
def test_ec2s_own_role_for_spot_is_the_only_one_that_the_controller_creates(name: str) -> None:
    region = Region.of(name)
    (creating,) = [statement for statement in statements(region) if statement["Action"] == SPOT]
    assert creating["Condition"] == {"StringEquals": {"iam:AWSServiceName": "spot.amazonaws.com"}}
    role = "role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot"
    assert creating["Resource"] == f"arn:{region.partition}:iam::{ACCOUNT}:{role}"


@pytest.mark.parametrize("name", [max(known_regions(), key=len), *REGIONS])
def test_every_policy_fits_iam_with_the_longest_names_there_are(name: str) -> None:
    texts = documents(Region.of(name), cluster="c" * 100)
    assert len(texts) == 5
    for part, text in texts.items():
        assert len(json.dumps(json.loads(text), separators=(",", ":"))) <= LONGEST_POLICY, part


def test_statement_ids_are_unique() -> None:
    for text in documents(Region.of("cn-north-1")).values():
        sids = [statement["Sid"] for statement in json.loads(text)["Statement"]]
        assert len(sids) == len(set(sids))
        assert all(sid.isalnum() for sid in sids)


@pytest.mark.parametrize("name", REGIONS)
def test_events_may_write_to_the_queue_and_plain_http_may_not(name: str) -> None:
    allow, deny = policies.queue_policy(Region.of(name), "arn:of:queue")["Statement"]
    assert allow["Principal"] == {"Service": ["events.amazonaws.com", "sqs.amazonaws.com"]}
    assert allow["Action"] == "sqs:SendMessage"
    assert deny["Effect"] == "Deny"
    assert deny["Principal"] == "*"
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert allow["Resource"] == deny["Resource"] == "arn:of:queue"
