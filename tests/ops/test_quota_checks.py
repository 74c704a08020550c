"""Quotas of a first `up`: what moto's account has already, and Service Quotas' answers."""

from __future__ import annotations

from typing import Any

import boto3
import pytest

from ops.findings import Level
from ops.quota_checks import (
    QUOTAS,
    lambda_findings,
    new_vpc_findings,
    node_group_findings,
)
from tests.ops.account import CLUSTER, VPC, notes, problems, quotas, session, subject, told

pytestmark = pytest.mark.usefixtures("aws")

PLENTY = {quota.code.replace("-", "_"): 100.0 for quota in QUOTAS}


def findings(code: str = "", value: float = 0, region: str = "us-west-2", **sections: Any) -> Any:
    values = PLENTY | ({code: value} if code else {})
    return list(new_vpc_findings(subject(region, **sections), session(quotas(**values))))


def taken(region: str = "us-west-2") -> None:
    """Two NAT gateways in one zone, with an address each; moto has one VPC to begin with."""
    make: Any = boto3.client
    ec2 = make("ec2", region_name=region)
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    for _ in range(2):
        address = ec2.allocate_address(Domain="vpc")["AllocationId"]
        ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address)


@pytest.mark.parametrize("region", ["us-west-2", "cn-north-1"])
def test_a_new_vpc_that_quotas_allow_is_good(region: str) -> None:
    found = findings(region=region)
    assert [each.level for each in found] == [Level.GOOD] * 4


@pytest.mark.parametrize(
    ("code", "enough", "sections", "sentence"),
    [
        (
            "L_F678F1CE",
            2,
            {},
            "VPCs per Region (L-F678F1CE) is 1, and 1 exist: the stack makes 1 more",
        ),
        ("L_A4707A72", 1, {}, "Internet gateways per Region (L-A4707A72) is 0, and 0 exist"),
        ("L_0263D0A3", 5, {}, "Elastic IPs (L-0263D0A3) is 4, and 2 exist: the stack makes 3 more"),
        ("L_0263D0A3", 3, {"nat": "single"}, "Elastic IPs (L-0263D0A3) is 2, and 2 exist"),
        ("L_0263D0A3", 4, {"zones": 2}, "Elastic IPs (L-0263D0A3) is 3, and 2 exist"),
        ("L_FE5A380F", 3, {}, "per Availability Zone (L-FE5A380F) is 2, and 2 exist"),
    ],
)
def test_a_quota_that_is_used_up_is_a_problem(
    code: str, enough: int, sections: dict[str, Any], sentence: str
) -> None:
    taken()
    assert problems(findings(code, enough, network=sections)) == []
    (found,) = problems(findings(code, enough - 1, network=sections))
    assert sentence in found
    assert f"ask for {enough} in Service Quotas, or delete unused ones" in found


def test_a_vpc_that_exists_or_a_cluster_needs_no_quota() -> None:
    existing = {
        "vpcId": VPC,
        "privateSubnetIds": ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
    }
    assert findings(network=existing) == []
    assert list(new_vpc_findings(subject(), session({**CLUSTER, **quotas()}))) == []


def test_a_quota_that_aws_does_not_answer_is_a_note_and_the_others_are_checked() -> None:
    values = {code: value for code, value in PLENTY.items() if code != "L_0263D0A3"}
    found = list(new_vpc_findings(subject(), session(quotas(**values))))
    assert [each.level for each in found].count(Level.GOOD) == 3
    (sentence,) = notes(found)
    assert sentence.startswith("the quota EC2-VPC Elastic IPs was not checked: servicequotas:Get")
    denied = {**quotas(**PLENTY), "ec2.DescribeAddresses": "UnauthorizedOperation"}
    (sentence,) = notes(new_vpc_findings(subject(), session(denied)))
    assert "was not checked: the right ec2:DescribeAddresses is missing (Unauthorized" in sentence


@pytest.mark.parametrize(
    ("value", "level", "sentence"),
    [
        (32, Level.GOOD, "is 32 vCPUs, enough for the node group"),
        (31, Level.NOTE, "and 8 m5.xlarge (kubeflow:nodeGroup.max) have 32: ask for 32"),
        (16, Level.NOTE, "and 8 m5.xlarge"),
        (15, Level.PROBLEM, "and 4 m5.xlarge (kubeflow:nodeGroup.desired) have 16: ask for 32"),
    ],
)
def test_the_node_group_fits_its_quota(value: float, level: Level, sentence: str) -> None:
    (found,) = node_group_findings(subject(), session(quotas(L_1216C47A=value)))
    assert found.level is level
    assert sentence in found.sentence


def test_a_family_of_another_quota_is_not_compared() -> None:
    stack = subject(nodeGroup={"instanceType": "x2idn.16xlarge"})
    assert list(node_group_findings(stack, session(quotas()))) == []


@pytest.mark.parametrize(("free", "level"), [(124, Level.GOOD), (123, Level.PROBLEM)])
def test_lambda_has_concurrency_for_admissions(free: int, level: Level) -> None:
    limit = {"AccountLimit": {"UnreservedConcurrentExecutions": free}}
    stack = subject(imageMirror={"enabled": True})
    (found,) = lambda_findings(stack, session({"lambda.GetAccountSettings": limit}))
    assert found.level is level
    assert f"Lambda has {free} concurrent executions that no function reserves" in found.sentence


def test_without_admissions_by_lambda_nobody_asks_for_concurrency() -> None:
    refused = session({"lambda.GetAccountSettings": "AccessDeniedException", **CLUSTER})
    for stack in (subject("cn-north-1"), subject(), subject(imageMirror={"enabled": True})):
        assert told(lambda_findings(stack, refused), Level.GOOD) == []
