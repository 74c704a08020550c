"""Look-ups of EC2: by tags, and of what has none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ops.aws_lookups.account import Account, Inputs
from ops.aws_lookups.look_up import (
    GONE,
    LookUps,
    Thing,
    plain_tags,
    required_tags,
    text,
    unready,
)

LOOK_UPS = LookUps()


def _ec2(
    type_: str, operation: str, key: str, id_: str, filtered: str = "Filters", **more: str
) -> None:
    """Register the look-up of a type that EC2 describes by tags and the inputs ``more`` names."""

    def look_up(account: Account, inputs: Inputs) -> Iterator[Thing]:
        tags = required_tags(inputs)
        values = {f"tag:{name}": value for name, value in tags.items()} | {
            name.replace("_", "-"): text(inputs, given) for name, given in more.items()
        }
        parameters = {filtered: [{"Name": n, "Values": [v]} for n, v in values.items()]}
        for item in account.all("ec2", operation, key, **parameters):
            state = str(item.get("State")).lower()
            if state not in GONE and tags.items() <= plain_tags(item.get("Tags") or []).items():
                yield Thing(item[id_], status=unready(state))

    LOOK_UPS[type_] = look_up


_ec2("aws:ec2/vpc:Vpc", "describe_vpcs", "Vpcs", "VpcId", cidr="cidrBlock")
_ec2(
    "aws:ec2/subnet:Subnet",
    "describe_subnets",
    "Subnets",
    "SubnetId",
    vpc_id="vpcId",
    cidr_block="cidrBlock",
)
# Made first and attached in a second call, so not by its VPC.
_ec2(
    "aws:ec2/internetGateway:InternetGateway",
    "describe_internet_gateways",
    "InternetGateways",
    "InternetGatewayId",
)
_ec2("aws:ec2/eip:Eip", "describe_addresses", "Addresses", "AllocationId")
_ec2(
    "aws:ec2/natGateway:NatGateway",
    "describe_nat_gateways",
    "NatGateways",
    "NatGatewayId",
    "Filter",
    subnet_id="subnetId",
)
_ec2(
    "aws:ec2/routeTable:RouteTable",
    "describe_route_tables",
    "RouteTables",
    "RouteTableId",
    vpc_id="vpcId",
)
_ec2(
    "aws:ec2/securityGroup:SecurityGroup",
    "describe_security_groups",
    "SecurityGroups",
    "GroupId",
    vpc_id="vpcId",
)
_ec2(
    "aws:ec2/vpcEndpoint:VpcEndpoint",
    "describe_vpc_endpoints",
    "VpcEndpoints",
    "VpcEndpointId",
    vpc_id="vpcId",
    service_name="serviceName",
)


def _route_tables(account: Account, **parameters: Any) -> Iterator[dict[str, Any]]:
    return account.all("ec2", "describe_route_tables", "RouteTables", **parameters)


@LOOK_UPS.of("aws:ec2/route:Route")
def _route(account: Account, inputs: Inputs) -> Iterator[Thing]:
    table, destination = text(inputs, "routeTableId"), text(inputs, "destinationCidrBlock")
    for item in _route_tables(account, RouteTableIds=[table]):
        if any(route.get("DestinationCidrBlock") == destination for route in item["Routes"]):
            yield Thing(f"{table}_{destination}")


@LOOK_UPS.of("aws:ec2/routeTableAssociation:RouteTableAssociation")
def _route_table_association(account: Account, inputs: Inputs) -> Iterator[Thing]:
    table, subnet = text(inputs, "routeTableId"), text(inputs, "subnetId")
    for item in _route_tables(account, RouteTableIds=[table]):
        for association in item["Associations"]:
            if association.get("SubnetId") == subnet:
                yield Thing(f"{subnet}/{table}", state_id=association["RouteTableAssociationId"])


@LOOK_UPS.of("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule")
def _egress_rule(account: Account, inputs: Inputs) -> Iterator[Thing]:
    return _rule(account, inputs, egress=True)


@LOOK_UPS.of("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
def _ingress_rule(account: Account, inputs: Inputs) -> Iterator[Thing]:
    return _rule(account, inputs, egress=False)


def _rule(account: Account, inputs: Inputs, *, egress: bool) -> Iterator[Thing]:
    filters = [{"Name": "group-id", "Values": [text(inputs, "securityGroupId")]}]
    described = [
        (inputs.get(given), key)
        for given, key in (
            ("cidrIpv4", "CidrIpv4"),
            ("fromPort", "FromPort"),
            ("ipProtocol", "IpProtocol"),
            ("toPort", "ToPort"),
        )
    ]
    for item in account.all(
        "ec2", "describe_security_group_rules", "SecurityGroupRules", Filters=filters
    ):
        source = item.get("ReferencedGroupInfo", {}).get("GroupId")
        if (
            item["IsEgress"] is egress
            and source == inputs.get("referencedSecurityGroupId")
            and all(item.get(key) == value for value, key in described)
        ):
            yield Thing(item["SecurityGroupRuleId"], plain_tags(item.get("Tags", [])))
