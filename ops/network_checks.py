"""Whether an existing VPC holds the stack, and which zones offer its machines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ops.account_calls import Session, aws_call, client, cluster_of
from ops.checks import Subject
from ops.findings import Finding, good, note, problem
from regions.offers import is_version
from settings.errors import full_key, listed, refusal
from settings.existing_vpc import (
    ExistingVpc,
    Subnet,
    addresses_at_most,
    leads_out,
    problems_of_vpc,
)

ABOUT = "network"


def existing_vpc_findings(stack: Subject, session: Session) -> Iterator[Finding]:
    """Every reason why the stack could not be made in its existing VPC; see ``settings``."""
    settings = stack.settings
    if settings.network.vpc_id is None:
        return
    vpc = _look_up(stack, session)
    problems = problems_of_vpc(settings, stack.region, vpc)
    yield from (problem(ABOUT, sentence) for sentence in problems)
    if problems:
        return
    zones = sorted({subnet.zone for subnet in vpc.subnets.values()})
    free = sum(subnet.free for subnet in vpc.subnets.values())
    yield good(ABOUT, f"{settings.network.vpc_id} has subnets in {listed(zones, 'and')}")
    most = addresses_at_most(settings)
    if free < most and not vpc.in_use:
        limits = listed(map(full_key, ("nodeGroup.max", "gpuPool.maxGpus")), "and")
        yield note(
            ABOUT,
            f"the subnets have {free} free addresses; at their limits ({limits}) machines and pods "
            f"may take {most}: name larger subnets, or lower the limits",
        )


def _look_up(stack: Subject, session: Session) -> ExistingVpc:
    network, ec2 = stack.settings.network, client(stack.settings, session, "ec2")
    vpc_id = network.vpc_id or ""
    of_vpc = [{"Name": "vpc-id", "Values": [vpc_id]}]
    with aws_call("ec2"):
        if not ec2.describe_vpcs(Filters=of_vpc)["Vpcs"]:
            return ExistingVpc(exists=False)
        ids = [{"Name": "subnet-id", "Values": list(network.private_subnet_ids)}]
        subnets: list[Any] = ec2.describe_subnets(Filters=ids)["Subnets"]
        pages = ec2.get_paginator("describe_route_tables").paginate(Filters=of_vpc)
        tables = [table for page in pages for table in page["RouteTables"]]
        endpoints = ec2.describe_vpc_endpoints(Filters=of_vpc)["VpcEndpoints"]

        def on(attribute: str) -> bool:
            answer = ec2.describe_vpc_attribute(VpcId=vpc_id, Attribute=attribute)
            return answer[attribute[0].upper() + attribute[1:]]["Value"]

        support, hostnames = on("enableDnsSupport"), on("enableDnsHostnames")
    return ExistingVpc(
        exists=True,
        dns_support=support,
        dns_hostnames=hostnames,
        subnets={subnet["SubnetId"]: _subnet(subnet, tables) for subnet in subnets},
        endpoints=frozenset(
            each["ServiceName"] for each in endpoints if each["State"].lower() == "available"
        ),
        in_use=cluster_of(stack.settings, session) is not None,
    )


def _subnet(subnet: dict[str, Any], tables: list[dict[str, Any]]) -> Subnet:
    def of(key: str, value: Any) -> list[dict[str, Any]]:
        return [
            table
            for table in tables
            if any(each.get(key) == value for each in table["Associations"])
        ]

    # A subnet without a table of its own uses the VPC's main one.
    (table, *_) = [*of("SubnetId", subnet["SubnetId"]), *of("Main", True), {"Routes": []}]
    routes = [
        (route.get("DestinationCidrBlock", ""), _target(route))
        for route in table["Routes"]
        if route.get("State") != "blackhole"
    ]
    return Subnet(
        vpc_id=subnet["VpcId"],
        zone=subnet["AvailabilityZone"],
        zone_id=subnet["AvailabilityZoneId"],
        free=subnet["AvailableIpAddressCount"],
        way_out=leads_out(routes, public_addresses=subnet["MapPublicIpOnLaunch"]),
    )


def _target(route: dict[str, Any]) -> str:
    targets = (value for key, value in route.items() if key.endswith(("Id", "Arn")))
    return next((str(each) for each in targets if each), "")


def offer_findings(stack: Subject, session: Session) -> Iterator[Finding]:
    """Whether the stack's zones offer the machines of the node group and of the database."""
    settings = stack.settings
    ec2, rds = (client(settings, session, service) for service in ("ec2", "rds"))
    zones: set[str] | None = None
    if settings.network.vpc_id:
        ids = [{"Name": "subnet-id", "Values": list(settings.network.private_subnet_ids)}]
        with aws_call("ec2"):
            subnets = ec2.describe_subnets(Filters=ids)["Subnets"]
        zones = {subnet["AvailabilityZone"] for subnet in subnets}
    group, database = settings.node_group, settings.database
    catalog = settings.model_catalog
    offers = [
        ("nodeGroup.instanceType", group.instance_type, 1, _machine_zones(ec2, group)),
        (
            "database.instanceClass",
            database.instance_class,
            2 if database.multi_az else 1,
            _database_zones(rds, "mysql", database),
        ),
    ]
    if catalog.enabled:
        least, found = 2 if catalog.multi_az else 1, _database_zones(rds, "postgres", catalog)
        offers.append(("modelCatalog.instanceClass", catalog.instance_class, least, found))
    for key, name, least, offered in offers:
        usable = sorted(offered if zones is None else offered & zones)
        if len(usable) >= least:
            yield good(ABOUT, f"{listed(usable, 'and')} offer {name}")
            continue
        where = stack.region.name if zones is None else listed(sorted(zones) or ["no zone"], "and")
        count = f"only {usable[0]}" if usable else "no zone"
        reason = f"{count} of {where} offers it, and {least} must: choose another"
        yield problem(ABOUT, refusal(key, name, reason).rstrip("."))


def _machine_zones(ec2: Any, group: Any) -> set[str]:
    filters = [{"Name": "instance-type", "Values": [group.instance_type]}]
    with aws_call("ec2"):
        answer = ec2.describe_instance_type_offerings(
            LocationType="availability-zone", Filters=filters
        )
    return {offering["Location"] for offering in answer["InstanceTypeOfferings"]}


def _database_zones(rds: Any, engine: str, database: Any) -> set[str]:
    with aws_call("rds"):
        pages = rds.get_paginator("describe_orderable_db_instance_options").paginate(
            Engine=engine, DBInstanceClass=database.instance_class, Vpc=True
        )
        return {
            zone["Name"]
            for page in pages
            for option in page["OrderableDBInstanceOptions"]
            if is_version(option["EngineVersion"], database.engine_version)
            for zone in option["AvailabilityZones"]
        }
