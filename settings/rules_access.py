"""Rules over access to the API server: whoever deploys reaches it and may use it.

They are for the stack file as a whole: nothing is created before the first object, which needs
both.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network

from settings.errors import full_key, refusal
from settings.facts import Facts
from settings.field_types import network_of
from settings.principals import is_listed
from settings.rule_frame import Rules
from settings.sections import Settings

RULES = Rules[Facts]()
PAGE = "docs/reach-the-api-server.md"
EXAMPLE_ACCOUNT = "111122223333"
"""In the stack files of this project, as in AWS's documentation."""
_EXAMPLE_RANGES = tuple(map(IPv4Network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")))
"""For documentation only (RFC 5737)."""


def problems_of_caller(settings: Settings, caller: str) -> list[str]:
    """Why a deployment by this caller would end at its first object, one sentence each.

    Args:
        settings: of the stack.
        caller: the ARN in the answer of sts:GetCallerIdentity.
    """
    problems: list[str] = []
    if not is_listed(caller, settings.cluster.admins):
        problems.append(
            f"{full_key('cluster.admins')} does not list {caller}, which runs this, so the cluster "
            "would refuse it: add the ARN of that IAM role or user, or choose another AWS_PROFILE."
        )
    for index, cidr in enumerate(settings.cluster.public_access_cidrs):
        example = any(network_of(cidr).subnet_of(each) for each in _EXAMPLE_RANGES)
        if example and caller.split(":")[4] != EXAMPLE_ACCOUNT:
            reason = "this is the example's address, which no machine has: write your own"
            problems.append(refusal(("cluster", "publicAccessCidrs", index), cidr, reason))
    return problems


@RULES.reads("cluster.publicAccessCidrs", "cluster.apiAccess", "network.vpcId")
def _somebody_reaches_the_api_server(f: Facts) -> Iterator[str]:
    cluster, vpc = f.settings.cluster, f.settings.network.vpc_id
    access = cluster.api_access
    if cluster.public_access_cidrs or access.cidrs or access.security_groups:
        return
    private = full_key("cluster.apiAccess")
    if vpc:
        inside = f"list the machine's range or security group in {private}"
    else:
        inside = f"deploy from an existing VPC ({full_key('network.vpcId')} and {private})"
    yield refusal(
        "cluster.publicAccessCidrs",
        [],
        "no machine outside the cluster reaches its API server, not even the one that deploys: "
        f"list your own address here, or {inside}; {PAGE} has both ways",
    )


@RULES.reads("cluster.admins", "region")
def _somebody_administers_the_cluster(f: Facts) -> Iterator[str]:
    if not f.settings.cluster.admins:
        example = f.region.arn("iam", "role/platform-admin", account=EXAMPLE_ACCOUNT, region="")
        yield refusal(
            "cluster.admins",
            [],
            "nobody could use the cluster, not even whoever deploys: list the ARN of each IAM role "
            f"or user that runs `pulumi up` or kubectl, such as {example}",
        )
