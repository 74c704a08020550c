"""The simulated Lambda, EC2 and EKS refuse what theirs refuse of a function in a network."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rehearsal import functions
from rehearsal.account import Account, RefusedByAws
from rehearsal.api_servers import check_entry
from rehearsal.sample_outputs.eks import CLUSTER

REGION = "us-gov-west-1"
ROLE = "arn:aws-us-gov:iam::111122223333:role/of/company/events"
NETWORK = {"subnetIds": ["subnet-1"], "securityGroupIds": ["sg-1"]}
TAKES = ["ec2:CreateNetworkInterface", "ec2:Delete*", "ec2:DescribeNetworkInterfaces"]


def account(actions: list[str], resource: str = "*", effect: str = "Allow") -> Account:
    """With a role that has this right, and a group and subnets in two networks."""
    made = Account()

    def exists(type_: str, identifier: str, inputs: dict[str, Any]) -> None:
        made.create(type_, REGION, lambda _: (identifier, {}))
        made.remember(type_, REGION, identifier, inputs)

    statement = {"Effect": effect, "Action": actions, "Resource": resource}
    policy = json.dumps({"Statement": [statement]})
    exists(functions.RIGHTS, "events:events", {"role": "events", "policy": policy})
    exists(functions.GROUP, "sg-1", {"vpcId": "vpc-1"})
    exists(functions.SUBNET, "subnet-1", {"vpcId": "vpc-1"})
    exists(functions.SUBNET, "subnet-2", {"vpcId": "vpc-2"})
    return made


def function(**network: list[str]) -> dict[str, Any]:
    return {"role": ROLE, "vpcConfig": {**NETWORK, **network}}


def test_a_role_with_the_rights_puts_its_function_into_a_network() -> None:
    functions.check_creation(account(TAKES), REGION, function())
    functions.check_creation(account([]), REGION, {"role": ROLE})


@pytest.mark.parametrize(
    "rights",
    [
        (TAKES[1:], "*", "Allow"),
        (TAKES[:2], "*", "Allow"),
        (TAKES, "*", "Deny"),
        (TAKES, "x", "Allow"),
    ],
)
def test_a_role_without_one_of_the_rights_is_refused(rights: tuple[list[str], str, str]) -> None:
    with pytest.raises(RefusedByAws, match="does not have permissions to call"):
        functions.check_creation(account(*rights), REGION, function())


def test_a_network_has_a_group_in_the_same_vpc() -> None:
    with pytest.raises(RefusedByAws, match="in the same VPC"):
        functions.check_creation(account(TAKES), REGION, function(subnetIds=["subnet-2"]))
    with pytest.raises(RefusedByAws, match="can not be empty"):
        functions.check_creation(account(TAKES), REGION, function(securityGroupIds=[]))


@pytest.mark.parametrize(
    ("type_", "identifier"), [(functions.GROUP, "sg-1"), (functions.SUBNET, "subnet-1")]
)
def test_what_a_function_uses_is_not_deleted(type_: str, identifier: str) -> None:
    made = account(TAKES)
    functions.check_deletion(made, REGION, type_, identifier)
    made.create(functions.FUNCTION, REGION, lambda _: ("events", {}))
    made.remember(functions.FUNCTION, REGION, "events", function())
    with pytest.raises(RefusedByAws, match=rf"DependencyViolation: resource {identifier}"):
        functions.check_deletion(made, REGION, type_, identifier)
    functions.check_deletion(made, REGION, functions.SUBNET, "subnet-2")


def cluster(mode: str) -> Account:
    made = Account()
    made.create(CLUSTER, REGION, lambda _: ("research", {}))
    access = {"authenticationMode": mode, "bootstrapClusterCreatorAdminPermissions": False}
    made.remember(CLUSTER, REGION, "research", {"accessConfig": access})
    return made


def entry(*groups: str) -> dict[str, Any]:
    return {"clusterName": "research", "principalArn": ROLE, "kubernetesGroups": list(groups)}


@pytest.mark.parametrize("mode", ["API", "API_AND_CONFIG_MAP"])
def test_a_cluster_with_access_entries_takes_one(mode: str) -> None:
    check_entry(cluster(mode), REGION, entry("image-mirror:event-writer"))


def test_a_cluster_without_access_entries_takes_none() -> None:
    with pytest.raises(RefusedByAws, match="authentication mode must be set to one of"):
        check_entry(cluster("CONFIG_MAP"), REGION, entry())


@pytest.mark.parametrize("group", ["system:masters", "eks:x", "aws:x", "amazon:x", "iam:x"])
def test_the_groups_of_kubernetes_and_of_aws_are_no_users(group: str) -> None:
    with pytest.raises(RefusedByAws, match="cannot start with"):
        check_entry(cluster("API"), REGION, entry("ok", group))
