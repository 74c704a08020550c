"""An existing VPC of a simulated account, as data sources of the AWS provider describe it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rehearsal.sample_outputs.resource import SimulatedResource

Network = Mapping[str, Mapping[str, Any]]
"""ID of a VPC or subnet that exists -> what differs from the defaults below. A subnet's keys beside
AWS's: ``routes``, of its route table. A VPC's: ``endpoints``, names of services."""

_NAT = {"cidrBlock": "0.0.0.0/0", "natGatewayId": "nat-0123456789abcdef0"}
_VPC = {
    "enableDnsSupport": True,
    "enableDnsHostnames": True,
    "cidrBlock": "10.20.0.0/16",
    # The first one too, as of AWS.
    "cidrBlockAssociations": [
        {"associationId": f"vpc-cidr-assoc-{number}", "cidrBlock": block, "state": "associated"}
        for number, block in enumerate(("10.20.0.0/16", "100.70.0.0/16"))
    ],
}


def network_of(region: str, vpc_id: str | None, subnet_ids: list[str]) -> dict[str, Any]:
    """A VPC that holds any stack, with its subnets in the zones a, b, c."""
    zones = {subnet: f"{region}{'abc'[at % 3]}" for at, subnet in enumerate(subnet_ids)}
    subnets = {
        subnet: {"vpcId": vpc_id, "availabilityZone": zone} for subnet, zone in zones.items()
    }
    return {vpc_id: {}, **subnets} if vpc_id else {}


def _named(call: SimulatedResource, name: str) -> list[str]:
    return [
        value for each in call.inputs["filters"] if each["name"] == name for value in each["values"]
    ]


def _present(filter_name: str) -> Callable[[SimulatedResource, Network], dict[str, Any]]:
    return lambda call, network: {
        "ids": [each for each in _named(call, filter_name) if each in network]
    }


def _subnet(call: SimulatedResource, network: Network) -> dict[str, Any]:
    own = network[call.inputs["id"]]
    zone_id = f"{call.region.name}-az{own['availabilityZone'][-1:]}"
    defaults = {"availabilityZoneId": zone_id, "availableIpAddressCount": 4091}
    return {"mapPublicIpOnLaunch": False, **defaults, **own}


def _tables(call: SimulatedResource, network: Network) -> dict[str, Any]:
    subnets = [each for each in _named(call, "association.subnet-id") if each in network]
    return {"ids": [each.replace("subnet-", "rtb-") for each in subnets]}


def _table(call: SimulatedResource, network: Network) -> dict[str, Any]:
    subnet = network[call.inputs["routeTableId"].replace("rtb-", "subnet-")]
    return {"routes": subnet.get("routes", [_NAT])}


def _endpoint(call: SimulatedResource, network: Network) -> dict[str, Any]:
    if call.inputs["serviceName"] not in network[call.inputs["vpcId"]].get("endpoints", ()):
        raise LookupError("no matching EC2 VPC Endpoint found")
    return {"serviceName": call.inputs["serviceName"]}


INVOKES: dict[str, Callable[[SimulatedResource, Network], dict[str, Any]]] = {
    "aws:ec2/getVpcs:getVpcs": _present("vpc-id"),
    "aws:ec2/getVpc:getVpc": lambda call, network: {**_VPC, **network[call.inputs["id"]]},
    "aws:ec2/getSubnets:getSubnets": _present("subnet-id"),
    "aws:ec2/getSubnet:getSubnet": _subnet,
    "aws:ec2/getRouteTables:getRouteTables": _tables,
    "aws:ec2/getRouteTable:getRouteTable": _table,
    "aws:ec2/getVpcEndpoint:getVpcEndpoint": _endpoint,
}
"""Data source -> its result in an account with this network."""
