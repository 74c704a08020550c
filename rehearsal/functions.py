"""What Lambda and EC2 refuse of a function in a network.

The errors are those of the services (hashicorp/terraform-provider-aws #10329 of deletions).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from rehearsal.account import Account, RefusedByAws

FUNCTION, RIGHTS = "aws:lambda/function:Function", "aws:iam/rolePolicy:RolePolicy"
GROUP, SUBNET = "aws:ec2/securityGroup:SecurityGroup", "aws:ec2/subnet:Subnet"
_TAKES = (
    "ec2:CreateNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DeleteNetworkInterface",
)


def check_creation(account: Account, region: str, plain: Mapping[str, Any]) -> None:
    """Checks a function that is made or changed.

    Args:
        account: has roles' policies, subnets and security groups.
        region: of the function.
        plain: its inputs.

    Raises:
        RefusedByAws: its role may not make interfaces, or groups and subnets are of two VPCs.
    """
    network = plain.get("vpcConfig") or {}
    subnets, groups = network.get("subnetIds") or [], network.get("securityGroupIds") or []
    if not subnets:
        return
    allowed = list(_allowed(account, region, str(plain["role"]).rpartition("/")[2]))
    for action in _TAKES:
        if not any(fnmatchcase(action, each) for each in allowed):
            name = action.partition(":")[2]
            raise RefusedByAws(
                "InvalidParameterValueException: The provided execution role does not have "
                f"permissions to call {name} on EC2"
            )
    if not groups:
        raise RefusedByAws("InvalidParameterValueException: Security Group Ids can not be empty")
    made = account.inputs_of(SUBNET, region) | account.inputs_of(GROUP, region)
    networks = {made[each]["vpcId"] for each in (*subnets, *groups) if each in made}
    if len(networks) > 1:
        raise RefusedByAws(
            "InvalidParameterValueException: Security Groups are required to be in the same VPC."
        )


def _allowed(account: Account, region: str, role: str) -> Iterator[str]:
    """The actions that a role's inline policies allow on everything, as Lambda tries them."""
    for policy in account.inputs_of(RIGHTS, region).values():
        if policy["role"] != role:
            continue
        for statement in json.loads(policy["policy"])["Statement"]:
            if statement["Effect"] == "Allow" and statement["Resource"] in ("*", ["*"]):
                actions = statement["Action"]
                yield from [actions] if isinstance(actions, str) else actions


def check_deletion(account: Account, region: str, type_: str, identifier: str) -> None:
    """Checks that no function is in a subnet or has a security group.

    Raises:
        RefusedByAws: one is or has.
    """
    if type_ not in (GROUP, SUBNET):
        return
    for function in account.inputs_of(FUNCTION, region).values():
        network = function.get("vpcConfig") or {}
        used = [*(network.get("subnetIds") or ()), *(network.get("securityGroupIds") or ())]
        if identifier in used:
            raise RefusedByAws(f"DependencyViolation: resource {identifier} has a dependent object")
