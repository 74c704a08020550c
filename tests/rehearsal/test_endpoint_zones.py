"""EC2 refuses a VPC endpoint in a zone that its service lacks."""

from __future__ import annotations

import json
from pathlib import Path

import pulumi
import pulumi_aws as aws
import pytest

from components.cluster.network import Network
from rehearsal.clouds import ACCOUNT
from rehearsal.engine import EngineFailure
from settings import from_mapping
from settings.context import StackContext
from tests.rehearsal.conftest import Started

LACKING = (("cn-north-1c", "sqs"), ("cn-north-1a", "ecr.api"))


def network() -> None:
    """A new VPC over three zones."""
    settings = from_mapping({"region": "cn-north-1"})
    provider = aws.Provider("aws", region="cn-north-1")
    context = StackContext.of(settings, ACCOUNT, {})
    opts = pulumi.ResourceOptions(providers=[provider])
    Network("it", context, settings.network, settings.shared_files, opts)


def everywhere() -> None:
    """An endpoint in a zone without its service."""
    opts = pulumi.ResourceOptions(provider=aws.Provider("aws", region="cn-north-1"))
    vpc = aws.ec2.Vpc("it", cidr_block="10.0.0.0/16", opts=opts)
    subnet = aws.ec2.Subnet(
        "it", vpc_id=vpc.id, cidr_block="10.0.0.0/24", availability_zone="cn-north-1c", opts=opts
    )
    aws.ec2.VpcEndpoint(
        "sqs",
        vpc_id=vpc.id,
        service_name="cn.com.amazonaws.cn-north-1.sqs",
        vpc_endpoint_type="Interface",
        subnet_ids=[subnet.id],
        opts=opts,
    )


@pytest.mark.engine
def test_an_endpoint_in_a_zone_without_its_service_is_refused(started: Started) -> None:
    with (
        started(everywhere, lacking=LACKING) as rehearsal,
        pytest.raises(EngineFailure, match="does not support the availability zone of the subnet"),
    ):
        rehearsal.up()


@pytest.mark.engine
def test_endpoints_are_in_the_zones_of_their_services(started: Started, tmp_path: Path) -> None:
    with started(network, lacking=LACKING) as rehearsal:
        rehearsal.up()
    (state,) = (tmp_path / "build" / "state").rglob("stacks/*/tiny.json")
    resources = json.loads(state.read_text())["checkpoint"]["latest"]["resources"]
    zones = {
        one["id"]: one["inputs"]["availabilityZone"][-1]
        for one in resources
        if one["type"] == "aws:ec2/subnet:Subnet"
    }
    by_service = {
        one["urn"].rsplit("-endpoints-", 1)[1]: [zones[each] for each in one["inputs"]["subnetIds"]]
        for one in resources
        if one["type"] == "aws:ec2/vpcEndpoint:VpcEndpoint" and "subnetIds" in one["inputs"]
    }
    assert by_service.pop("sqs") == ["a", "b"]
    assert by_service.pop("ecr-api") == ["b", "c"]
    assert set(map(tuple, by_service.values())) == {("a", "b", "c")}
