"""A simulated region refuses what AWS does not offer there."""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from regions.region import Region
from rehearsal import offers
from rehearsal.account import Account, RefusedByAws
from rehearsal.engine import EngineFailure
from rehearsal.sample_outputs.eks import CLUSTER
from tests.rehearsal.conftest import Started

DATABASE, PROJECT = "aws:rds/instance:Instance", "aws:codebuild/project:Project"
CACHE = "aws:ecr/pullThroughCacheRule:PullThroughCacheRule"
IDENTITY = "aws:eks/podIdentityAssociation:PodIdentityAssociation"
MYSQL = {"engine": "mysql", "engineVersion": "8.4", "instanceClass": "db.m6g.large"}
POSTGRES = {"engine": "postgres", "engineVersion": "17", "instanceClass": "db.t4g.micro"}


def check(region: str, type_: str, inputs: dict[str, Any], template: str = "m5.xlarge") -> None:
    account = Account()
    account.create(offers.TEMPLATE, region, lambda _: ("lt-1", {}))
    account.remember(offers.TEMPLATE, region, "lt-1", {"instanceType": template})
    offers.check(account, type_, inputs, Region.of(region))


@pytest.mark.parametrize(
    ("region", "type_", "inputs", "error"),
    [
        ("cn-north-1", DATABASE, MYSQL | {"engineVersion": "8.4.99"}, "Cannot find version 8.4.99"),
        ("cn-north-1", DATABASE, MYSQL | {"instanceClass": "db.m7i.large"}, "db.m7i.large"),
        ("cn-north-1", DATABASE, POSTGRES | {"engineVersion": "17.99"}, "17.99 for postgres"),
        ("cn-north-1", DATABASE, POSTGRES | {"instanceClass": "db.m7i.large"}, "postgresql-lic"),
        ("cn-north-1", CLUSTER, {"version": "1.21"}, "unsupported Kubernetes version"),
        ("cn-north-1", offers.NODE_GROUP, {"instanceTypes": ["m7a.large"]}, r"\[m7a.large\]"),
        ("cn-north-1", CACHE, {}, "UnsupportedUpstreamRegistryException"),
        ("us-gov-west-1", CACHE, {}, "UnsupportedUpstreamRegistryException"),
        ("cn-northwest-1", IDENTITY, {}, "Pod Identity is not available"),
        ("ca-west-1", PROJECT, {}, "lookup codebuild.ca-west-1.amazonaws.com: no such host"),
        ("us-isof-east-1", "aws:apigatewayv2/api:Api", {}, "lookup apigateway"),
    ],
)
def test_what_a_region_does_not_offer_is_refused(
    region: str, type_: str, inputs: dict[str, Any], error: str
) -> None:
    with pytest.raises(RefusedByAws, match=error):
        check(region, type_, inputs)


def test_a_node_group_is_refused_the_machines_of_its_template() -> None:
    group = {"launchTemplate": {"id": "lt-1", "version": "1"}}
    check("us-west-2", offers.NODE_GROUP, group, "m7a.xlarge")
    with pytest.raises(RefusedByAws, match=r"instance types do not exist: \[m7a.xlarge\]"):
        check("cn-north-1", offers.NODE_GROUP, group, "m7a.xlarge")


@pytest.mark.parametrize(
    ("region", "type_", "inputs"),
    [
        ("cn-north-1", DATABASE, MYSQL),
        ("cn-north-1", DATABASE, MYSQL | {"engineVersion": "8.4.7"}),
        ("cn-north-1", DATABASE, MYSQL | {"engine": "postgres", "engineVersion": "17.4"}),
        ("cn-north-1", DATABASE, POSTGRES),
        ("cn-northwest-1", DATABASE, POSTGRES),
        ("us-gov-west-1", DATABASE, POSTGRES),
        ("us-west-2", DATABASE, POSTGRES),
        ("us-iso-east-1", DATABASE, MYSQL | {"instanceClass": "db.m7i.large"}),
        ("cn-north-1", CLUSTER, {"version": "1.35"}),
        ("cn-north-1", CLUSTER, {}),
        ("cn-north-1", offers.NODE_GROUP, {"instanceTypes": ["m5.large"]}),
        ("us-west-2", CACHE, {}),
        ("us-west-2", IDENTITY, {}),
        ("cn-north-1", PROJECT, {}),
        ("cn-north-1", "aws:iam/role:Role", {}),
        ("cn-north-1", "aws:s3/bucket:Bucket", {}),
        ("cn-north-1", "aws:cloudwatch/logGroup:LogGroup", {}),
        ("cn-north-1", "aws:cloudwatch/eventRule:EventRule", {}),
    ],
)
def test_what_a_region_offers_is_made(region: str, type_: str, inputs: dict[str, Any]) -> None:
    check(region, type_, inputs)


def template(instance_type: str) -> None:
    """A node group with its machines in a launch template, as that of the platform."""
    opts = pulumi.ResourceOptions(provider=aws.Provider("aws", region="cn-north-1"))
    made = aws.ec2.LaunchTemplate("nodes", instance_type=instance_type, opts=opts)
    aws.eks.NodeGroup(
        "nodes",
        cluster_name="kubeflow",
        node_role_arn="arn:aws-cn:iam::111122223333:role/nodes",
        launch_template={"id": made.id, "version": made.latest_version.apply(str)},
        scaling_config={"desired_size": 1, "max_size": 1, "min_size": 1},
        subnet_ids=["subnet-1"],
        opts=opts,
    )


@pytest.mark.engine
def test_a_change_to_machines_that_a_region_lacks_is_refused(started: Started) -> None:
    with started(lambda: template("m5.xlarge")) as rehearsal:
        rehearsal.up()
    with (
        started(lambda: template("m7a.xlarge")) as rehearsal,
        pytest.raises(EngineFailure, match=r"updating aws:eks/nodeGroup.*\[m7a.xlarge\]"),
    ):
        rehearsal.up()
