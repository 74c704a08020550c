"""An existing VPC that cannot hold the stack is refused before anything is made."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pulumi
import pytest

import program
from components.cluster.vpc_endpoints import _INTERFACES  # pyright: ignore[reportPrivateUsage]
from program import aws_provider, check_network, vpc_ranges
from regions.region import Region
from rehearsal.clouds import SimulatedCloud
from rehearsal.engine import EngineFailure
from rehearsal.sample_outputs.existing_network import network_of
from settings import from_mapping
from settings.existing_vpc import ExistingVpc, Subnet, endpoints_needed, problems_of_vpc
from settings.sections import Settings
from tests.harness import REGIONS, run
from tests.rehearsal.conftest import Started, cli, project, started, steps

__all__ = ["cli", "project", "started"]

VPC, OTHER = "vpc-0123456789abcdef0", "vpc-0fedcba9876543210"
A, B = "subnet-0123456789abcdef0", "subnet-0123456789abcdef1"
BEIJING = "cn-north-1"
GATEWAY = {"cidrBlock": "0.0.0.0/0", "gatewayId": "igw-0123456789abcdef0"}
LOCAL = {"cidrBlock": "10.0.0.0/16", "gatewayId": "local"}


def settings_in(region: str = BEIJING, **sections: Any) -> Settings:
    network = {"vpcId": VPC, "privateSubnetIds": [A, B]}
    return from_mapping({"region": region, "network": network, **sections})


def network(region: str = BEIJING, **changed: dict[str, Any] | None) -> dict[str, Any]:
    """A VPC with two subnets, and what is otherwise: ``vpc``, ``a`` and ``b``; None: absent."""
    made = network_of(region, VPC, [A, B])
    for name, change in changed.items():
        identifier = {"vpc": VPC, "a": A, "b": B}[name]
        made[identifier] = {**made[identifier], **change} if change is not None else None
    return {identifier: facts for identifier, facts in made.items() if facts is not None}


def refused(region: str = BEIJING, sections: dict[str, Any] | None = None, **changed: Any) -> str:
    """The refusal of the program, by look-ups in the simulated account."""
    settings = settings_in(region, **(sections or {}))

    def check() -> None:
        check_network(settings, aws_provider(settings, {}))

    try:
        run(check, region, network=network(region, **changed))
    except pulumi.RunError as refusal:
        return str(refusal)
    return ""


@pytest.mark.parametrize("region", REGIONS)
def test_a_vpc_with_two_zones_names_and_a_way_out_is_accepted(region: str) -> None:
    assert refused(region) == ""


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"vpc": None}, f"network.vpcId is {VPC}: the account has no such VPC in cn-north-1: "),
        ({"a": None}, f"privateSubnetIds[0] is {A}: the account has no such subnet in cn-north-1"),
        ({"b": {"vpcId": OTHER}}, f"privateSubnetIds[1] is {B}: it is in {OTHER}, not in {VPC}"),
        ({"b": {"availabilityZone": "cn-north-1a"}}, "all of them are in cn-north-1a, and EKS and"),
        (
            {"b": {"availabilityZone": "cn-north-1-pek-1a"}},
            "EKS accepts no subnet in the zone cn-north-1-pek-1a (cn-north-1-aza): name one in",
        ),
        (
            {"a": {"availabilityZoneId": "use1-az3"}},
            "EKS accepts no subnet in the zone cn-north-1a ",
        ),
        ({"vpc": {"enableDnsSupport": False}}, "its DNS support is off, so no name leads to the"),
        (
            {"vpc": {"enableDnsHostnames": False}},
            f"`aws ec2 modify-vpc-attribute --vpc-id {VPC} --enable-dns-hostnames`",
        ),
        ({"a": {"availableIpAddressCount": 5}}, f"[0] is {A}: it has 5 free addresses, and EKS"),
        (
            {"a": {"availableIpAddressCount": 66}, "b": {"availableIpAddressCount": 65}},
            "they have 131 free addresses, and 4 nodes (kubeflow:nodeGroup.desired) with their",
        ),
        ({"a": {"routes": [LOCAL]}}, f"no route of {A} leads to the internet, and the VPC has no"),
        ({"a": {"routes": [GATEWAY]}}, f"no route of {A} leads to the internet"),
        ({"a": {"routes": [{"cidrBlock": "0.0.0.0/0"}]}}, f"no route of {A} leads to the"),
    ],
)
def test_what_aws_would_refuse_is_one_sentence(changed: dict[str, Any], sentence: str) -> None:
    found = refused(**changed)
    assert sentence in found
    assert re.match(r"kubeflow:network\.(vpcId|privateSubnetIds(\[[01]\])?) is ", found)
    assert len(found.splitlines()) == 1
    assert found.endswith(".")


@pytest.mark.parametrize(
    "changed",
    [
        {"a": {"availableIpAddressCount": 66}, "b": {"availableIpAddressCount": 66}},
        {"a": {"routes": [GATEWAY], "mapPublicIpOnLaunch": True}},
        {"a": {"routes": [LOCAL, {"cidrBlock": "0.0.0.0/0", "transitGatewayId": "tgw-1"}]}},
    ],
)
def test_what_aws_would_accept_is_accepted(changed: dict[str, Any]) -> None:
    assert refused(**changed) == ""


def test_endpoints_replace_a_way_out_where_every_image_is_in_the_account() -> None:
    closed: dict[str, Any] = {"a": {"routes": []}, "b": {"routes": []}}
    region = Region.of(BEIJING)
    needed = endpoints_needed(settings_in(), region)
    names = [region.vpc_endpoint_service(each) for each in needed]
    assert refused(**closed, vpc={"endpoints": names}) == ""
    # S3 has two kinds of endpoints.
    s3 = region.vpc_endpoint_service("s3-interface")
    others = [each for each in names if each != region.vpc_endpoint_service("s3")]
    assert refused(**closed, vpc={"endpoints": [*others, s3]}) == ""
    assert "has no endpoint of s3: add a route" in refused(**closed, vpc={"endpoints": others})
    assert "where images come from: add a route" in refused("us-west-2", **closed)
    cached = {"imageMirror": {"enabled": True}}
    assert "where images come from: add a route" in refused("us-west-2", cached, **closed)


def test_the_endpoints_needed_are_those_of_a_new_vpc_and_of_the_admission_pods() -> None:
    region = Region.of(BEIJING)
    needed = set(endpoints_needed(settings_in(), region))
    assert needed == {*_INTERFACES, "s3", "dynamodb", "lambda"}
    served = settings_in(imageMirror={"transport": "api-gateway"})
    assert needed - set(endpoints_needed(served, region)) == {"dynamodb", "lambda"}
    without = settings_in(gpuPool={"enabled": False})
    assert needed - set(endpoints_needed(without, region)) == {"sqs", "ssm"}
    shared = settings_in(sharedFiles={"enabled": True})
    assert set(endpoints_needed(shared, region)) - needed == {"elasticfilesystem"}


def test_the_own_nodes_of_a_stack_do_not_end_its_next_run() -> None:
    few = {A: 0, B: 3}
    subnets = {
        name: Subnet(VPC, f"cn-north-1{zone}", "x", few[name], True)
        for name, zone in ((A, "a"), (B, "b"))
    }
    settings, region = settings_in(), Region.of(BEIJING)
    assert (
        problems_of_vpc(settings, region, ExistingVpc(exists=True, subnets=subnets, in_use=True))
        == []
    )
    assert problems_of_vpc(settings, region, ExistingVpc(exists=True, subnets=subnets))


def test_a_look_up_that_aws_refuses_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    warnings: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", warnings.append)

    def denied(*_: Any) -> dict[str, Any]:
        raise LookupError("UnauthorizedOperation: ec2:DescribeVpcs\nsecond line")

    monkeypatch.setattr(SimulatedCloud, "invoke", denied)
    assert refused() == ""
    (warning,) = warnings
    assert warning.startswith("kubeflow:network.vpcId was not checked: ")
    assert "UnauthorizedOperation: ec2:DescribeVpcs second line" in warning


def test_a_new_vpc_is_not_looked_up() -> None:
    settings = from_mapping({"region": BEIJING})

    def check() -> None:
        check_network(settings, aws_provider(settings, {}))

    assert run(check).asked == []


@pytest.mark.engine
def test_an_existing_vpc_is_refused_before_the_first_resource(
    started: Started, tmp_path: Path
) -> None:
    settings = settings_in(
        cluster={
            "admins": ["arn:aws-cn:iam::111122223333:role/platform-admin"],
            "apiAccess": {"cidrs": ["10.0.0.0/16"]},
        }
    )

    def stack() -> None:
        _, provider = program.stack_context(settings)
        pulumi.ComponentResource(
            "kubeflow:platform:EksCluster",
            "first",
            None,
            pulumi.ResourceOptions(providers=[provider]),
        )

    closed = network(a={"availabilityZone": "cn-north-1b"})
    with (
        started(stack, network=closed) as rehearsal,
        pytest.raises(EngineFailure, match="all of them are in cn-north-1b"),
    ):
        rehearsal.up()
    (state,) = (tmp_path / "build" / "state").rglob("stacks/*/tiny.json")
    resources = json.loads(state.read_text())["checkpoint"]["latest"].get("resources", [])
    assert {one["type"] for one in resources} <= {"pulumi:pulumi:Stack", "pulumi:providers:aws"}
    with started(stack, network=network()) as rehearsal:
        assert ("create", "kubeflow:platform:EksCluster", "first") in steps(rehearsal.up())


# -- the address ranges that no proxy is asked for -------------------------------------------------

PROXY = {"proxy": {"https": "http://proxy.corp.example:3128"}}


def ranges(settings: Settings, *, refused: bool = False) -> list[str]:
    """As the program finds them in the simulated account, which may refuse to describe the VPC."""
    found: list[str] = []

    def find() -> None:
        found.extend(vpc_ranges(settings, aws_provider(settings, {})))

    run(find, settings.region, network={} if refused else network(settings.region))
    return found


@pytest.mark.parametrize("region", REGIONS)
def test_every_range_of_the_vpc_is_reached_without_the_proxy(region: str) -> None:
    assert ranges(settings_in(region, packages=PROXY)) == ["10.20.0.0/16", "100.70.0.0/16"]


def test_a_new_vpc_has_the_range_of_its_setting() -> None:
    settings = from_mapping({"region": BEIJING, "packages": PROXY})
    assert ranges(settings) == [settings.network.cidr]


def test_where_the_vpc_cannot_be_described_no_private_address_is_asked_of_the_proxy() -> None:
    found = ranges(settings_in(packages=PROXY), refused=True)
    assert found == ["10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16"]
