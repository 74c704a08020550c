"""Quotas that would stop a first ``up``: a new VPC with its gateways, nodes, Lambda."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from components.mirror.events import EVENTS_AT_ONCE
from components.mirror.functions import ADMISSIONS_AT_ONCE
from ops.account_calls import CallFailed, Session, aws_call, client, cluster_of, quota_value
from ops.checks import Subject
from ops.findings import Finding, good, note, problem
from ops.pool_checks import STANDARD, STANDARD_QUOTA
from regions.region import Region
from settings import Settings
from settings.errors import full_key

ABOUT = "quotas"

_LEAST_UNRESERVED = 100
"""Of Lambda's concurrency, which AWS keeps for functions without a reservation
(https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html)."""


@dataclass(frozen=True)
class Quota:
    """A quota of Service Quotas (the same codes in every region).

    Attributes:
        service, code, name: of Service Quotas.
        used: counts what exists, by a client of EC2.
        needed: how many more a new stack takes.
    """

    service: str
    code: str
    name: str
    used: Callable[[Any], int]
    needed: Callable[[Settings], int]


def _gateways_of_fullest_zone(ec2: Any) -> int:
    states = [{"Name": "state", "Values": ["pending", "available"]}]
    gateways = ec2.describe_nat_gateways(Filter=states)["NatGateways"]
    if not gateways:
        return 0
    zones = {
        subnet["SubnetId"]: subnet["AvailabilityZone"]
        for subnet in ec2.describe_subnets()["Subnets"]
    }
    return max(Counter(zones[each["SubnetId"]] for each in gateways).values())


def _nat_gateways(settings: Settings) -> int:
    zones = settings.network.zones or Region.of(settings.region).cluster_zones
    return 1 if settings.network.nat == "single" else zones


QUOTAS = (
    Quota(
        *("vpc", "L-F678F1CE", "VPCs per Region"),
        used=lambda ec2: len(ec2.describe_vpcs()["Vpcs"]),
        needed=lambda _: 1,
    ),
    Quota(
        *("vpc", "L-A4707A72", "Internet gateways per Region"),
        used=lambda ec2: len(ec2.describe_internet_gateways()["InternetGateways"]),
        needed=lambda _: 1,
    ),
    Quota(
        *("ec2", "L-0263D0A3", "EC2-VPC Elastic IPs"),
        used=lambda ec2: len(ec2.describe_addresses()["Addresses"]),
        needed=_nat_gateways,
    ),
    Quota(
        *("vpc", "L-FE5A380F", "NAT gateways per Availability Zone"),
        used=_gateways_of_fullest_zone,
        needed=lambda _: 1,
    ),
)
"""Of a new VPC; names and codes: service-quotas ListServiceQuotas of `vpc` and `ec2`."""


def new_vpc_findings(stack: Subject, session: Session) -> Iterator[Finding]:
    """Whether the account's quotas leave room for the VPC that the first ``up`` makes."""
    settings = stack.settings
    if settings.network.vpc_id or cluster_of(settings, session):
        return
    ec2 = client(settings, session, "ec2")
    for quota in QUOTAS:
        try:
            value = quota_value(settings, session, quota.service, quota.code)
            with aws_call("ec2"):
                used = quota.used(ec2)
        except CallFailed as failure:
            yield note(ABOUT, f"the quota {quota.name} was not checked: {failure}")
            continue
        needed = quota.needed(settings)
        sentence = f"the quota {quota.name} ({quota.code}) is {value:g}, and {used} exist"
        if used + needed <= value:
            yield good(ABOUT, f"{sentence}: enough for {needed} more")
        else:
            way_out = f"ask for {used + needed} in Service Quotas, or delete unused ones"
            yield problem(ABOUT, f"{sentence}: the stack makes {needed} more: {way_out}")


def node_group_findings(stack: Subject, session: Session) -> Iterator[Finding]:
    """Whether the quota of On-Demand vCPUs allows the node group."""
    settings, group = stack.settings, stack.settings.node_group
    if not STANDARD.fullmatch(group.instance_type.partition(".")[0]):
        return
    with aws_call("ec2"):
        answer = client(settings, session, "ec2").describe_instance_types(
            InstanceTypes=[group.instance_type]
        )
    vcpus = int(answer["InstanceTypes"][0]["VCpuInfo"]["DefaultVCpus"])
    code, name = STANDARD_QUOTA
    value = quota_value(settings, session, "ec2", code)
    sentence = f"the quota {name} ({code}) is {value:g} vCPUs"
    for key, count, level in (
        ("nodeGroup.desired", group.desired, problem),
        ("nodeGroup.max", group.max, note),
    ):
        if count * vcpus > value:
            reason = f"{count} {group.instance_type} ({full_key(key)}) have {count * vcpus}"
            way_out = f"ask for {group.max * vcpus} in Service Quotas"
            yield level(ABOUT, f"{sentence}, and {reason}: {way_out}")
            return
    yield good(ABOUT, f"{sentence}, enough for the node group")


def lambda_findings(stack: Subject, session: Session) -> Iterator[Finding]:
    """Whether the account has concurrency to reserve for admissions behind an API Gateway."""
    settings, mirror = stack.settings, stack.mirror
    if not mirror.enabled or mirror.in_cluster or cluster_of(settings, session):
        return
    with aws_call("lambda"):
        answer = client(settings, session, "lambda").get_account_settings()
    free = int(answer["AccountLimit"]["UnreservedConcurrentExecutions"])
    own = ADMISSIONS_AT_ONCE + EVENTS_AT_ONCE
    needed = _LEAST_UNRESERVED + own
    sentence = f"Lambda has {free} concurrent executions that no function reserves"
    if free >= needed:
        yield good(ABOUT, sentence)
    else:
        yield problem(
            ABOUT,
            f"{sentence}, and the image mirror reserves {own} of at least {needed}: ask for more "
            "(Concurrent executions, L-B99A9384) in Service Quotas",
        )
