"""What Karpenter may do in the account, and that it is no more than that."""

from __future__ import annotations

import json
from typing import Any

import pytest

from components.gpu import policies
from regions.region import Region, known_regions
from tests.harness import REGIONS

ACCOUNT = "111122223333"
CLUSTER = "kubeflow"
# Characters of a managed policy, white space not counted:
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
LONGEST_POLICY = 6144
PARTITIONS = {
    "cn-north-1": "aws-cn",
    "cn-northwest-1": "aws-cn",
    "us-west-2": "aws",
    "us-gov-west-1": "aws-us-gov",
}


def _all(
    region: Region, *, cluster: str = CLUSTER, spot: bool = True, prices: bool = True
) -> dict[str, dict[str, Any]]:
    role = region.arn("iam", "role/" + "r" * 64, account=ACCOUNT, region="")
    queue = region.arn("sqs", "q" * 80, account=ACCOUNT)
    return {
        "node-lifecycle": policies.node_lifecycle_policy(region, cluster),
        "node-identity": policies.node_identity_policy(region, ACCOUNT, role, spot=spot),
        "cluster-discovery": policies.cluster_discovery_policy(region, ACCOUNT, cluster),
        "interruption": policies.interruption_policy(queue),
        "resource-discovery": policies.resource_discovery_policy(
            region, ACCOUNT, asks_for_prices=prices
        ),
    }


def _statements(
    region_name: str, *, spot: bool = True, prices: bool = True
) -> dict[str, dict[str, Any]]:
    documents = _all(Region.of(region_name), spot=spot, prices=prices).values()
    return {found["Sid"]: found for document in documents for found in document["Statement"]}


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


@pytest.mark.parametrize("name", REGIONS)
def test_every_resource_is_an_arn_of_its_own_partition(name: str) -> None:
    for sid, statement in _statements(name).items():
        for resource in _list(statement["Resource"]):
            assert resource == "*" or resource.startswith(f"arn:{PARTITIONS[name]}:"), sid


@pytest.mark.parametrize("name", REGIONS)
def test_no_statement_allows_a_wildcard_of_actions(name: str) -> None:
    for sid, statement in _statements(name).items():
        assert statement["Effect"] == "Allow"
        assert not [action for action in _list(statement["Action"]) if "*" in action], sid


@pytest.mark.parametrize("name", REGIONS)
def test_only_reading_is_allowed_on_every_resource(name: str) -> None:
    free = [found for found in _statements(name).values() if found["Resource"] == "*"]
    actions = {action.split(":")[1] for found in free for action in _list(found["Action"])}
    assert actions
    assert all(action.startswith(("Describe", "List", "Get")) for action in actions)


@pytest.mark.parametrize(
    ("sid", "operator", "key"),
    [
        ("AllowScopedEC2LaunchTemplateAccessActions", "StringEquals", "aws:ResourceTag"),
        ("AllowScopedEC2InstanceActionsWithTags", "StringEquals", "aws:RequestTag"),
        ("AllowScopedResourceCreationTagging", "StringEquals", "aws:RequestTag"),
        ("AllowScopedResourceTagging", "StringEquals", "aws:ResourceTag"),
        ("AllowScopedDeletion", "StringEquals", "aws:ResourceTag"),
    ],
)
@pytest.mark.parametrize("name", REGIONS)
def test_machines_are_touched_only_with_the_tags_of_this_cluster_and_a_pool(
    name: str, sid: str, operator: str, key: str
) -> None:
    condition = _statements(name)[sid]["Condition"]
    assert condition[operator][f"{key}/kubernetes.io/cluster/{CLUSTER}"] == "owned"
    assert condition["StringLike"] == {f"{key}/karpenter.sh/nodepool": "*"}


@pytest.mark.parametrize("name", REGIONS)
def test_images_and_networks_are_used_in_this_region_only(name: str) -> None:
    used = _statements(name)["AllowScopedEC2InstanceAccessActions"]["Resource"]
    prefix = f"arn:{PARTITIONS[name]}:ec2:{name}:"
    assert used == [
        f"{prefix}:image/*",
        f"{prefix}:snapshot/*",
        f"{prefix}*:security-group/*",
        f"{prefix}*:subnet/*",
        f"{prefix}*:capacity-reservation/*",
        f"{prefix}*:placement-group/*",
    ]


@pytest.mark.parametrize("name", REGIONS)
def test_later_tagging_is_limited_to_three_keys(name: str) -> None:
    condition = _statements(name)["AllowScopedResourceTagging"]["Condition"]
    assert condition["ForAllValues:StringEquals"]["aws:TagKeys"] == [
        "eks:eks-cluster-name",
        "karpenter.sh/nodeclaim",
        "Name",
    ]
    assert condition["StringEqualsIfExists"] == {"aws:RequestTag/eks:eks-cluster-name": CLUSTER}


@pytest.mark.parametrize("name", ["cn-north-1", "cn-northwest-1"])
def test_in_china_the_node_role_is_passed_under_both_spellings_of_ec2(name: str) -> None:
    passing = _statements(name)["AllowPassingInstanceRole"]
    assert passing["Condition"]["StringEquals"]["iam:PassedToService"] == [
        "ec2.amazonaws.com",
        "ec2.amazonaws.com.cn",
    ]
    assert passing["Resource"] == f"arn:aws-cn:iam::{ACCOUNT}:role/{'r' * 64}"


@pytest.mark.parametrize("name", REGIONS)
def test_the_node_role_is_passed_to_ec2_and_nobody_else(name: str) -> None:
    passing = _statements(name)["AllowPassingInstanceRole"]
    services = passing["Condition"]["StringEquals"]["iam:PassedToService"]
    assert services == list(Region.of(name).passed_to_ec2)
    assert "ec2.amazonaws.com" in services


@pytest.mark.parametrize("name", REGIONS)
def test_instance_profiles_are_read_but_never_written(name: str) -> None:
    actions = {
        action
        for found in _statements(name).values()
        for action in _list(found["Action"])
        if "InstanceProfile" in action
    }
    assert actions == {"iam:ListInstanceProfiles", "iam:GetInstanceProfile"}


@pytest.mark.parametrize("name", REGIONS)
def test_the_spot_role_can_be_made_only_where_spot_is_wanted(name: str) -> None:
    assert "AllowSpotServiceLinkedRole" not in _statements(name, spot=False)
    made = _statements(name)["AllowSpotServiceLinkedRole"]
    assert made["Action"] == "iam:CreateServiceLinkedRole"
    assert made["Condition"] == {"StringEquals": {"iam:AWSServiceName": "spot.amazonaws.com"}}
    assert made["Resource"].endswith(
        "role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot"
    )


@pytest.mark.parametrize("name", REGIONS)
@pytest.mark.parametrize("prices", [True, False])
def test_prices_are_read_only_by_who_asks_for_them(name: str, prices: bool) -> None:
    assert ("AllowPricingReadActions" in _statements(name, prices=prices)) is prices


@pytest.mark.parametrize("name", REGIONS)
def test_only_this_cluster_and_only_public_parameters_are_read(name: str) -> None:
    found = _statements(name)
    prefix = f"arn:{PARTITIONS[name]}"
    cluster = found["AllowAPIServerEndpointDiscovery"]["Resource"]
    assert cluster == f"{prefix}:eks:{name}:{ACCOUNT}:cluster/{CLUSTER}"
    assert (
        found["AllowSSMReadActions"]["Resource"] == f"{prefix}:ssm:{name}::parameter/aws/service/*"
    )
    reading = found["AllowRegionalReadActions"]
    assert reading["Condition"] == {"StringEquals": {"aws:RequestedRegion": name}}


@pytest.mark.parametrize("name", [max(known_regions(), key=len), *REGIONS])
def test_every_policy_fits_iam_with_the_longest_names_there_are(name: str) -> None:
    for part, document in _all(Region.of(name), cluster="c" * 100).items():
        assert len(json.dumps(document, separators=(",", ":"))) <= LONGEST_POLICY, part


@pytest.mark.parametrize("name", REGIONS)
def test_statement_ids_are_unique(name: str) -> None:
    for document in _all(Region.of(name)).values():
        sids = [found["Sid"] for found in document["Statement"]]
        assert len(sids) == len(set(sids))
        assert all(sid.isalnum() for sid in sids)


@pytest.mark.parametrize("name", REGIONS)
def test_events_may_write_to_the_queue_and_plain_http_may_not(name: str) -> None:
    allow, deny = policies.queue_policy(Region.of(name), "arn:of:queue")["Statement"]
    assert allow["Principal"] == {"Service": ["events.amazonaws.com", "sqs.amazonaws.com"]}
    assert allow["Action"] == "sqs:SendMessage"
    assert deny["Effect"] == "Deny"
    assert deny["Principal"] == "*"
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert allow["Resource"] == deny["Resource"] == "arn:of:queue"
