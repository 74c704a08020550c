"""An existing VPC in moto's EC2, as doctor describes it; zones that offer machines."""

from __future__ import annotations

from typing import Any

import boto3
import pytest

from ops.findings import Level
from ops.network_checks import existing_vpc_findings, offer_findings
from tests.ops.account import CLUSTER, VPC, notes, problems, session, subject, told

pytestmark = pytest.mark.usefixtures("aws")


class Network:
    """A VPC in moto with two subnets, each in its zone, and one way out."""

    def __init__(self, region: str = "us-west-2", zones: str = "ab", bits: int = 24) -> None:
        make: Any = boto3.client
        self.ec2: Any = make("ec2", region_name=region)
        self.region = region
        self.id = self.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        self.attribute("EnableDnsHostnames", True)
        self.subnets: list[str] = [
            self.ec2.create_subnet(
                VpcId=self.id, CidrBlock=f"10.0.{at}.0/{bits}", AvailabilityZone=f"{region}{zone}"
            )["Subnet"]["SubnetId"]
            for at, zone in enumerate(zones)
        ]

    def attribute(self, name: str, value: bool) -> None:
        self.ec2.modify_vpc_attribute(VpcId=self.id, **{name: {"Value": value}})

    def table(self, *, main: bool = True) -> str:
        if not main:
            made = self.ec2.create_route_table(VpcId=self.id)["RouteTable"]["RouteTableId"]
            self.ec2.associate_route_table(RouteTableId=made, SubnetId=self.subnets[0])
            return made
        tables = self.ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [self.id]}])[
            "RouteTables"
        ]
        return tables[0]["RouteTableId"]

    def open(self, table: str) -> None:
        nat = self.ec2.create_nat_gateway(SubnetId=self.subnets[0])["NatGateway"]["NatGatewayId"]
        self.ec2.create_route(
            RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat
        )

    def findings(self, answers: Any = None, **sections: Any) -> list[Any]:
        sections.setdefault("network", {"vpcId": self.id, "privateSubnetIds": self.subnets})
        stack = subject(self.region, **sections)
        return list(existing_vpc_findings(stack, session(answers)))


def usable() -> Network:
    network = Network()
    network.open(network.table())
    return network


def test_a_vpc_that_holds_the_stack_is_good() -> None:
    network = usable()
    found = network.findings()
    assert told(found, Level.GOOD) == [f"{network.id} has subnets in us-west-2a and us-west-2b"]
    assert problems(found) == notes(found) == []


def test_every_reason_against_a_vpc_is_told_at_once() -> None:
    network = Network(zones="aa", bits=28)
    network.attribute("EnableDnsHostnames", False)
    names, zones, addresses, way_out = problems(network.findings())
    assert "its DNS hostnames is off" in names
    assert "all of them are in us-west-2a" in zones
    assert "they have 22 free addresses, and 4 nodes" in addresses
    assert "leads to the internet, where images come from" in way_out


def test_a_vpc_or_subnets_that_do_not_exist_are_told() -> None:
    network = usable()
    gone = "subnet-0123456789abcdef9"
    sections = {"vpcId": network.id, "privateSubnetIds": [network.subnets[0], gone]}
    (sentence,) = problems(network.findings(network=sections))
    assert f"privateSubnetIds[1] is {gone}: the account has no such subnet" in sentence
    sections = {"vpcId": VPC, "privateSubnetIds": network.subnets}
    (sentence,) = problems(network.findings(network=sections))
    assert f"network.vpcId is {VPC}: the account has no such VPC in us-west-2" in sentence


def test_a_subnet_of_another_vpc_is_told() -> None:
    network, other = usable(), usable()
    sections = {"vpcId": network.id, "privateSubnetIds": [network.subnets[0], other.subnets[1]]}
    (sentence,) = problems(network.findings(network=sections))
    assert f"it is in {other.id}, not in {network.id}" in sentence


def test_a_table_of_its_own_closes_a_subnet() -> None:
    network = usable()
    table = network.table(main=False)
    (sentence,) = problems(network.findings())
    assert f"no route of {network.subnets[0]} leads to the internet" in sentence
    network.open(table)
    assert problems(network.findings()) == []


def test_endpoints_are_enough_where_images_are_copied() -> None:
    network = Network("cn-north-1")
    interfaces = ("ec2", "ecr.api", "ecr.dkr", "eks", "logs", "secretsmanager", "sqs", "ssm", "sts")
    services = [(each, "Interface") for each in (*interfaces, "lambda")]
    (sentence,) = problems(network.findings())
    assert "has no endpoint of ec2, ecr.api, ecr.dkr, eks, logs, s3, secretsmanager" in sentence
    for service, kind in [*services, ("s3", "Gateway"), ("dynamodb", "Gateway")]:
        own = service in ("ec2", "ecr.api", "ecr.dkr", "eks", "sqs", "sts", "lambda")
        prefix = "cn.com" if own else "com"
        network.ec2.create_vpc_endpoint(
            VpcId=network.id,
            ServiceName=f"{prefix}.amazonaws.cn-north-1.{service}",
            VpcEndpointType=kind,
        )
    assert problems(network.findings()) == []


def test_a_blackhole_leads_nowhere() -> None:
    network = usable()
    tables = network.ec2.describe_route_tables()
    for table in tables["RouteTables"]:
        for route in table["Routes"]:
            route["State"] = "blackhole"
    found = network.findings({"ec2.DescribeRouteTables": {"RouteTables": tables["RouteTables"]}})
    assert len(problems(found)) == 1


def test_addresses_for_the_limits_are_a_note_before_the_cluster_exists() -> None:
    network = usable()
    (sentence,) = notes(network.findings(nodeGroup={"max": 20}))
    assert "have 501 free addresses; at their limits (kubeflow:nodeGroup.max and" in sentence
    assert "may take 840" in sentence
    assert notes(network.findings(CLUSTER, nodeGroup={"max": 20})) == []


def orderable(*zones: str, version: str = "8.4.7") -> dict[str, Any]:
    option = {"EngineVersion": version, "AvailabilityZones": [{"Name": each} for each in zones]}
    answer = {"OrderableDBInstanceOptions": [option]}
    return {"rds.DescribeOrderableDBInstanceOptions": answer}


@pytest.mark.parametrize(
    ("answers", "sections", "sentence"),
    [
        (orderable("us-west-2a", "us-west-2b"), {}, ""),
        (orderable("us-west-2a"), {}, "only us-west-2a of us-west-2 offers it, and 2 must"),
        (orderable("us-west-2a"), {"database": {"multiAz": False}}, ""),
        (
            orderable("us-west-2a", "us-west-2b"),
            {"modelCatalog": {"enabled": True}},
            "modelCatalog.instanceClass is db.t4g.micro: no zone of us-west-2 offers it",
        ),
        (
            orderable("us-west-2a", "us-west-2b", version="8.0.40"),
            {},
            "no zone of us-west-2 offers",
        ),
    ],
)
def test_the_database_has_zones(
    answers: dict[str, Any], sections: dict[str, Any], sentence: str
) -> None:
    found = problems(offer_findings(subject(**sections), session(answers)))
    assert ([sentence in each for each in found] == [True]) if sentence else found == []


def test_machines_are_looked_for_in_the_zones_of_the_subnets() -> None:
    network = Network(zones="ab")
    sections: dict[str, Any] = {
        "network": {"vpcId": network.id, "privateSubnetIds": network.subnets}
    }
    answers = orderable("us-west-2b", "us-west-2c")
    other: dict[str, Any] = {"nodeGroup": {"instanceType": "i3.metal"}}
    database, machines = (
        offer_findings(subject(**each), session(answers)) for each in (sections, sections | other)
    )
    (sentence,) = problems(database)
    assert "only us-west-2b of us-west-2a and us-west-2b offers it, and 2 must" in sentence
    first, _ = problems(machines)
    assert first.startswith("kubeflow:nodeGroup.instanceType is i3.metal: no zone of us-west-2a")
