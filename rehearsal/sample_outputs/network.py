"""VPCs and what is in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rehearsal.clouds import Invention


def _made(prefix: str, arn_type: str) -> Callable[[Invention], dict[str, Any]]:
    """An EC2 resource with an id like ``vpc-0123...`` and an ARN like ``...:vpc/vpc-0123...``."""

    def outputs(made: Invention) -> dict[str, Any]:
        identifier = f"{prefix}-{made.hex()}"
        arn = made.arn("ec2", f"{arn_type}/{identifier}")
        return {"id": identifier, "arn": arn, "ownerId": made.account}

    return outputs


def _vpc(made: Invention) -> dict[str, Any]:
    return {
        **_made("vpc", "vpc")(made),
        "mainRouteTableId": f"rtb-{made.hex()}",
        "defaultRouteTableId": f"rtb-{made.hex()}",
        "defaultSecurityGroupId": f"sg-{made.hex()}",
        "defaultNetworkAclId": f"acl-{made.hex()}",
    }


def _address(made: Invention) -> dict[str, Any]:
    identifier = f"eipalloc-{made.hex()}"
    last = int(made.hex(2), 16) % 250 + 1
    return {
        "id": identifier,
        "allocationId": identifier,
        "arn": made.arn("ec2", f"elastic-ip/{identifier}"),
        "publicIp": f"203.0.113.{last}",  # RFC 5737: an address nobody has
    }


def _nat_gateway(made: Invention) -> dict[str, Any]:
    identifier = f"nat-{made.hex()}"
    return {"id": identifier, "networkInterfaceId": f"eni-{made.hex()}"}


def _route(made: Invention) -> dict[str, Any]:
    table = made.inputs.get("routeTableId", "")
    return {"id": f"r-{table}{made.hex(10)}", "origin": "CreateRoute", "state": "active"}


def _security_group_rule(made: Invention) -> dict[str, Any]:
    identifier = f"sgr-{made.hex()}"
    return {
        "id": identifier,
        "securityGroupRuleId": identifier,
        "arn": made.arn("ec2", f"security-group-rule/{identifier}"),
    }


def _endpoint(made: Invention) -> dict[str, Any]:
    return {**_made("vpce", "vpc-endpoint")(made), "state": "available"}


def _tag(made: Invention) -> dict[str, Any]:
    return {"id": f"{made.inputs.get('resourceId', '')},{made.inputs.get('key', '')}"}


OUTPUTS: dict[str, Callable[[Invention], dict[str, Any]]] = {
    "aws:ec2/vpc:Vpc": _vpc,
    "aws:ec2/subnet:Subnet": _made("subnet", "subnet"),
    "aws:ec2/internetGateway:InternetGateway": _made("igw", "internet-gateway"),
    "aws:ec2/routeTable:RouteTable": _made("rtb", "route-table"),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": lambda made: {
        "id": f"rtbassoc-{made.hex()}"
    },
    "aws:ec2/route:Route": _route,
    "aws:ec2/eip:Eip": _address,
    "aws:ec2/natGateway:NatGateway": _nat_gateway,
    "aws:ec2/securityGroup:SecurityGroup": _made("sg", "security-group"),
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": _made("sg", "security-group"),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": _security_group_rule,
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": _security_group_rule,
    "aws:ec2/vpcEndpoint:VpcEndpoint": _endpoint,
    "aws:ec2/tag:Tag": _tag,
}
