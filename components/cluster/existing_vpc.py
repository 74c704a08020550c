"""An existing VPC as the AWS provider's data sources describe it; nothing is made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pulumi
import pulumi_aws as aws

from regions.region import Region
from settings.existing_vpc import ExistingVpc, Subnet, endpoints_needed, leads_out
from settings.sections import Settings

_TARGETS = (
    *("gateway_id", "nat_gateway_id", "transit_gateway_id", "instance_id", "network_interface_id"),
    *("vpc_peering_connection_id", "vpc_endpoint_id", "local_gateway_id", "core_network_arn"),
)


def look_up(settings: Settings, provider: aws.Provider) -> ExistingVpc:
    """Describes the VPC and the subnets that the settings name.

    Lists come first: data sources of one thing fail where it is absent.

    Args:
        settings: with ``network.vpc_id``.
        provider: of the stack's account and region.

    Raises:
        Exception: AWS refuses a call.
    """
    call = pulumi.InvokeOptions(provider=provider)
    vpc_id = settings.network.vpc_id or ""
    if not aws.ec2.get_vpcs(filters=[_filter("vpc-id", vpc_id)], opts=call).ids:
        return ExistingVpc(exists=False)
    vpc = aws.ec2.get_vpc(id=vpc_id, opts=call)
    ids = _filter("subnet-id", *settings.network.private_subnet_ids)
    subnets = {
        subnet_id: _subnet(subnet_id, call)
        for subnet_id in aws.ec2.get_subnets(filters=[ids], opts=call).ids
    }
    closed = not all(subnet.way_out for subnet in subnets.values())
    return ExistingVpc(
        exists=True,
        dns_support=vpc.enable_dns_support,
        dns_hostnames=vpc.enable_dns_hostnames,
        subnets=subnets,
        endpoints=frozenset(_endpoints(settings, vpc_id, call) if closed else ()),
        in_use=settings.cluster.name in aws.eks.get_clusters(opts=call).names,
    )


def ranges_of(vpc_id: str, provider: aws.Provider) -> list[str]:
    """The IPv4 ranges of an existing VPC.

    Raises:
        Exception: AWS refuses the call, or has no such VPC.
    """
    vpc = aws.ec2.get_vpc(id=vpc_id, opts=pulumi.InvokeOptions(provider=provider))
    associated = [each.cidr_block for each in vpc.cidr_block_associations]
    return sorted({vpc.cidr_block, *associated})


def _filter(name: str, *values: str) -> Any:
    return {"name": name, "values": list(values)}


def _subnet(subnet_id: str, call: pulumi.InvokeOptions) -> Subnet:
    subnet = aws.ec2.get_subnet(id=subnet_id, opts=call)
    own = [_filter("association.subnet-id", subnet_id)]
    # A subnet without a table of its own uses the VPC's main one.
    main = [_filter("association.main", "true"), _filter("vpc-id", subnet.vpc_id)]
    tables = (
        aws.ec2.get_route_tables(filters=own, opts=call).ids
        or aws.ec2.get_route_tables(filters=main, opts=call).ids
    )
    routes = [
        (route.cidr_block, next(filter(None, (getattr(route, name) for name in _TARGETS)), ""))
        for table in tables
        for route in aws.ec2.get_route_table(route_table_id=table, opts=call).routes
    ]
    return Subnet(
        vpc_id=subnet.vpc_id,
        zone=subnet.availability_zone,
        zone_id=subnet.availability_zone_id,
        free=subnet.available_ip_address_count,
        way_out=leads_out(routes, public_addresses=subnet.map_public_ip_on_launch),
    )


def _endpoints(settings: Settings, vpc_id: str, call: pulumi.InvokeOptions) -> Iterator[str]:
    region = Region.of(settings.region)
    needed = endpoints_needed(settings, region)
    for service in (*needed, "s3-interface") if needed else ():
        name = region.vpc_endpoint_service(service)
        try:
            yield aws.ec2.get_vpc_endpoint(vpc_id=vpc_id, service_name=name, opts=call).service_name
        except Exception as absent:
            # hashicorp/terraform-provider-aws internal/tfresource/not_found_error.go
            if "no matching" not in str(absent):
                raise
