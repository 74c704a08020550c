"""Whether this machine reaches the API server, as far as that can be seen from it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from ipaddress import IPv4Address
from urllib.parse import urlsplit

from ops.account_calls import Session, aws_call, client, cluster_of
from ops.checks import Subject
from ops.findings import Finding, good, note, problem
from settings.errors import full_key
from settings.field_types import network_of
from settings.rules_access import PAGE

ABOUT = "API server"

_SECONDS = 5
_ELSEWHERE = ("192.0.2.1", 9)
"""An address for documentation (RFC 5737); connecting a UDP socket sends nothing."""


def reach_findings(stack: Subject, session: Session) -> Iterator[Finding]:
    """Connects to the API server, or before it exists compares this machine with the settings."""
    cluster = cluster_of(stack.settings, session)
    if cluster and "endpoint" in cluster:
        yield _connected(str(urlsplit(cluster["endpoint"]).hostname))
    elif (address := own_address()) is not None:
        yield _expected(stack, session, address)


def _connected(host: str) -> Finding:
    try:
        with socket.create_connection((host, 443), timeout=_SECONDS):
            return good(ABOUT, f"{host} is reached from this machine")
    except OSError as error:
        reason = f"{host} is not reached from this machine ({type(error).__name__})"
        return problem(ABOUT, f"{reason}: {PAGE} has the ways there")


def own_address() -> IPv4Address | None:
    """The address of this machine in its own network; None where it has none."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(_ELSEWHERE)
            return IPv4Address(probe.getsockname()[0])
    except OSError:
        return None


def _expected(stack: Subject, session: Session, address: IPv4Address) -> Finding:
    cluster = stack.settings.cluster
    public, private = full_key("cluster.publicAccessCidrs"), full_key("cluster.apiAccess")
    inside = [cidr for cidr in cluster.api_access.cidrs if address in network_of(cidr)]
    # No machine is in a VPC that does not exist yet.
    inside += _groups(stack, session, address) if stack.settings.network.vpc_id else []
    if inside:
        return good(ABOUT, f"{private} admits this machine, {address}, by {inside[0]}")
    admitted = [cidr for cidr in cluster.public_access_cidrs if address in network_of(cidr)]
    if admitted:
        return good(ABOUT, f"{public} admits this machine, {address}, by {admitted[0]}")
    if cluster.public_access_cidrs and not address.is_global:
        return note(
            ABOUT,
            f"the internet address of this machine, {address} in its own network, cannot be seen "
            f"from it: compare it with {public}",
        )
    return problem(
        ABOUT,
        f"neither {public} nor {private} admits this machine, {address}, so `pulumi up` would end "
        f"at its first object: {PAGE} has the ways there",
    )


def _groups(stack: Subject, session: Session, address: IPv4Address) -> list[str]:
    """The admitted security groups of this machine, where it is in the stack's VPC."""
    filters = [
        {"Name": "vpc-id", "Values": [stack.settings.network.vpc_id]},
        {"Name": "addresses.private-ip-address", "Values": [str(address)]},
    ]
    with aws_call("ec2"):
        ec2 = client(stack.settings, session, "ec2")
        interfaces = ec2.describe_network_interfaces(Filters=filters)["NetworkInterfaces"]
    own = {group["GroupId"] for each in interfaces for group in each["Groups"]}
    return [each for each in stack.settings.cluster.api_access.security_groups if each in own]
