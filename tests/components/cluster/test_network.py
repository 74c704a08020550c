"""The VPC a cluster gets, and the one it may be given."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from components.cluster.network import Network
from regions.region import Region
from rehearsal.clouds import ACCOUNT
from settings import from_mapping
from settings.context import StackContext
from settings.sections import NetworkSettings
from tests.harness import REGIONS, Recorded, run

VPC, SUBNET = "aws:ec2/vpc:Vpc", "aws:ec2/subnet:Subnet"
NAT, ROUTE, TABLE = (
    "aws:ec2/natGateway:NatGateway",
    "aws:ec2/route:Route",
    "aws:ec2/routeTable:RouteTable",
)
ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"
TAGS = {"platform": "kubeflow"}
EXISTING: dict[str, Any] = {
    "vpcId": "vpc-0123456789abcdef0",
    "privateSubnetIds": ["subnet-00000000000000001", "subnet-00000000000000002"],
}


def network(
    region: str = "cn-north-1",
    mirror: dict[str, Any] | None = None,
    files: dict[str, Any] | None = None,
    existing: dict[str, Any] | None = None,
    **settings: Any,
) -> Recorded:
    stack = from_mapping(
        {"region": region, "imageMirror": mirror or {}, "sharedFiles": files or {}}
    )

    def program() -> dict[str, Any]:
        net = Network(
            "net",
            StackContext.of(stack, ACCOUNT, TAGS),
            NetworkSettings.model_validate(settings),
            stack.shared_files,
            opts=pulumi.ResourceOptions(providers=[aws.Provider("account", region=region)]),
        )
        return {
            "vpc": net.vpc_id,
            "private": net.private_subnet_ids,
            "controlPlane": net.control_plane_subnet_ids,
            "callers": list(net.control_plane_cidrs),
            "targets": pulumi.Output.all(*net.mount_target_subnet_ids),
        }

    return run(program, region, network=existing)


@pytest.fixture(scope="module", params=REGIONS)
def new(request: pytest.FixtureRequest) -> tuple[Region, Recorded]:
    return Region.of(request.param), network(request.param)


def test_each_zone_has_a_private_and_a_public_subnet(new: tuple[Region, Recorded]) -> None:
    region, made = new
    zones = [f"{region.name}{letter}" for letter in "abc"]
    for kind, cidr in (("private", "10.64.128.0/18"), ("public", "10.64.224.0/20")):
        subnets = [s for s in made.of(SUBNET) if s.name.startswith(f"net-{kind}-")]
        assert [s.inputs["availabilityZone"] for s in subnets] == zones
        assert subnets[2].inputs["cidrBlock"] == cidr
        assert not any(s.inputs["mapPublicIpOnLaunch"] for s in subnets)
    assert len(made.exports["private"]) == 3


def test_eks_alone_has_a_subnet_in_each_zone_with_the_ways_of_the_private_ones(
    new: tuple[Region, Recorded],
) -> None:
    region, made = new
    own = [s for s in made.of(SUBNET) if s.name.startswith("net-control-plane-")]
    assert [s.inputs["availabilityZone"] for s in own] == [f"{region.name}{z}" for z in "abc"]
    assert [s.inputs["cidrBlock"] for s in own] == made.exports["callers"]
    assert len(set(made.exports["controlPlane"]) - set(made.exports["private"])) == 3
    tables = {
        association.name: association.inputs["routeTableId"]
        for association in made.of("aws:ec2/routeTableAssociation:RouteTableAssociation")
    }
    for number in (1, 2, 3):
        assert tables[f"net-control-plane-{number}"] == tables[f"net-private-{number}"]


def test_without_subnets_of_its_own_eks_is_in_the_private_ones() -> None:
    made = network(controlPlaneSubnets=False)
    assert made.exports["controlPlane"] == made.exports["private"]
    assert made.exports["callers"] == ["10.64.0.0/18", "10.64.64.0/18", "10.64.128.0/18"]
    assert not [s for s in made.of(SUBNET) if "control-plane" in s.name]


def test_load_balancers_find_their_subnets(new: tuple[Region, Recorded]) -> None:
    private = new[1].only(SUBNET, "net-private-1").inputs["tags"]
    public = new[1].only(SUBNET, "net-public-1").inputs["tags"]
    assert private["kubernetes.io/role/internal-elb"] == "1"
    assert public["kubernetes.io/role/elb"] == "1"


def test_interface_endpoints_carry_the_service_names_of_their_partition(
    new: tuple[Region, Recorded],
) -> None:
    region, made = new
    prefixed = "cn.com.amazonaws" if region.partition == "aws-cn" else "com.amazonaws"
    expected = {f"{prefixed}.{region.name}.{s}" for s in ("ec2", "ecr.api", "ecr.dkr", "eks")}
    expected |= {f"{prefixed}.{region.name}.{s}" for s in ("sqs", "sts")}
    expected |= {f"com.amazonaws.{region.name}.{s}" for s in ("logs", "secretsmanager", "ssm")}
    if region.partition != "aws-cn":
        expected.add(f"com.amazonaws.{region.name}.eks-auth")  # EKS Pod Identity
    else:
        expected.add(f"cn.com.amazonaws.{region.name}.lambda")  # the mirror's pods
    interfaces = [e for e in made.of(ENDPOINT) if e.inputs["vpcEndpointType"] == "Interface"]
    assert {e.inputs["serviceName"] for e in interfaces} == expected
    assert all(e.inputs["privateDnsEnabled"] for e in interfaces)
    assert all(e.inputs["subnetIds"] == made.exports["private"] for e in interfaces)


def test_s3_is_reached_through_a_gateway_on_every_private_table(
    new: tuple[Region, Recorded],
) -> None:
    region, made = new
    gateway = made.only(ENDPOINT, "net-endpoints-s3").inputs
    assert gateway["serviceName"] == f"com.amazonaws.{region.name}.s3"
    assert gateway["vpcEndpointType"] == "Gateway"
    assert len(gateway["routeTableIds"]) == 3


@pytest.mark.parametrize(
    ("region", "mirror", "called"),
    [
        ("cn-north-1", {}, True),
        ("cn-north-1", {"transport": "api-gateway"}, False),
        ("us-gov-west-1", {}, False),
        ("us-gov-west-1", {"enabled": True, "transport": "in-cluster"}, True),
        ("us-west-2", {"enabled": True, "transport": "in-cluster"}, False),
    ],
)
def test_where_pods_of_the_mirror_call_them_dynamodb_has_a_gateway_and_lambda_an_endpoint(
    region: str, mirror: dict[str, Any], called: bool
) -> None:
    made = network(region, mirror)
    kinds = {e.inputs["serviceName"].rpartition(".")[2]: e.inputs for e in made.of(ENDPOINT)}
    assert ("lambda" in kinds, "dynamodb" in kinds) == (called, called)
    if called:
        gateway = kinds["dynamodb"]
        assert gateway["serviceName"] == f"com.amazonaws.{region}.dynamodb"
        assert gateway["vpcEndpointType"] == "Gateway"
        assert gateway["routeTableIds"] == kinds["s3"]["routeTableIds"]


def test_endpoints_admit_https_from_the_vpc_only(new: tuple[Region, Recorded]) -> None:
    rule = new[1].only("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule").inputs
    assert (rule["ipProtocol"], rule["fromPort"], rule["toPort"]) == ("tcp", 443, 443)
    assert rule["cidrIpv4"] == "10.64.0.0/16"
    group = new[1].only("aws:ec2/securityGroup:SecurityGroup").inputs
    assert "ingress" not in group
    assert "egress" not in group


def test_the_default_security_group_has_no_rules(new: tuple[Region, Recorded]) -> None:
    default = new[1].only("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup").inputs
    assert "ingress" not in default
    assert "egress" not in default


def test_private_names_of_endpoints_can_be_resolved(new: tuple[Region, Recorded]) -> None:
    vpc = new[1].only(VPC).inputs
    assert vpc["enableDnsSupport"]
    assert vpc["enableDnsHostnames"]


def test_everything_that_takes_tags_has_the_stacks_and_a_name(
    new: tuple[Region, Recorded],
) -> None:
    untagged = {ROUTE, "aws:ec2/routeTableAssociation:RouteTableAssociation"}
    for made in new[1].all:
        if made.type.startswith("aws:") and made.type not in untagged:
            assert made.inputs["tags"]["platform"] == "kubeflow", made.name
            assert made.inputs["tags"]["Name"].startswith("net-"), made.name


@pytest.mark.parametrize(("nat", "gateways"), [("single", 1), ("per-zone", 3)])
def test_the_setting_nat_is_the_number_of_gateways(nat: str, gateways: int) -> None:
    made = network(nat=nat)
    out = [r.inputs["natGatewayId"] for r in made.of(ROUTE) if "natGatewayId" in r.inputs]
    assert len(made.of(NAT)) == gateways
    assert len(out) == 3
    assert len(set(out)) == gateways
    assert len({r.inputs["routeTableId"] for r in made.of(ROUTE)}) == 4


def test_every_subnet_has_a_route_to_every_address(new: tuple[Region, Recorded]) -> None:
    made = new[1]
    association = "aws:ec2/routeTableAssociation:RouteTableAssociation"
    routed = {r.inputs["routeTableId"]: r.inputs["destinationCidrBlock"] for r in made.of(ROUTE)}
    tables = {a.inputs["subnetId"]: a.inputs["routeTableId"] for a in made.of(association)}
    assert len(tables) == len(made.of(SUBNET))
    for table in tables.values():
        assert IPv4Network(routed[table]).num_addresses == 2**32


def test_a_gateway_waits_for_the_way_to_the_internet() -> None:
    made = network()
    for gateway in made.of(NAT):
        assert (ROUTE, "net-public-internet") in made.dependencies_of(gateway)


def test_a_zone_opened_later_replaces_no_subnet() -> None:
    assert all(s.ignore_changes == ("availabilityZone",) for s in network().of(SUBNET))


def test_two_zones_are_enough() -> None:
    assert len(network(zones=2).of(SUBNET)) == 6


def test_nothing_of_an_existing_vpc_is_changed() -> None:
    made = network(**EXISTING)
    assert [r.type for r in made.all if r.type.startswith("aws:")] == []
    assert made.exports == {
        "vpc": EXISTING["vpcId"],
        "private": EXISTING["privateSubnetIds"],
        "controlPlane": EXISTING["privateSubnetIds"],
        "callers": [],  # where pods are, too
        "targets": [],
    }


# -- shared files ---------------------------------------------------------------------------------

FILE_SYSTEM = "fs-0123456789abcdef0"


@pytest.mark.parametrize("region", REGIONS)
def test_shared_files_are_reached_inside_the_vpc(region: str) -> None:
    of = Region.of(region)
    service = of.vpc_endpoint_service("elasticfilesystem")
    for enabled in (True, False):
        made = network(region, files={"enabled": enabled})
        names = {each.inputs["serviceName"] for each in made.of(ENDPOINT)}
        assert (service in names) is enabled
        assert made.exports["targets"] == (made.exports["private"] if enabled else [])


def test_a_zone_with_two_subnets_gets_one_mount_target() -> None:
    subnets = [f"subnet-{number:017}" for number in (1, 2, 3)]
    zones = ("cn-north-1b", "cn-north-1b", "cn-north-1a")
    existing = {
        EXISTING["vpcId"]: {},
        **{
            subnet: {"vpcId": EXISTING["vpcId"], "availabilityZone": zone}
            for subnet, zone in zip(subnets, zones, strict=True)
        },
    }
    own: dict[str, Any] = {"vpcId": EXISTING["vpcId"], "privateSubnetIds": subnets}

    def targets(**files: Any) -> list[str]:
        return network(files=files, existing=existing, **own).exports["targets"]

    assert targets(enabled=True) == [subnets[0], subnets[2]]
    # Those of a VPC and a file system that both exist are there already.
    assert targets(enabled=True, fileSystemId=FILE_SYSTEM) == []
    made = targets(enabled=True, fileSystemId=FILE_SYSTEM, mountTargets=True)
    assert made == [subnets[0], subnets[2]]
    assert targets(mountTargets=True) == []


def test_an_existing_file_system_has_no_mount_target_in_a_new_vpc() -> None:
    made = network(files={"enabled": True, "fileSystemId": FILE_SYSTEM})
    assert made.exports["targets"] == made.exports["private"]
