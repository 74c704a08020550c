"""Every type of a plan is found again in AWS: against moto, or against botocore's models."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.stub import Stubber
from moto import mock_aws

from ops.account_calls import CallFailed
from ops.aws_lookups import HARMLESS, LOOK_UPS, things
from ops.aws_lookups.account import Account
from ops.aws_lookups.look_up import Thing, Undescribed, tags_of
from ops.rights import key_of, rights_table
from rehearsal.clouds import SimulatedCloud
from rehearsal.sample_outputs.eks_children import children
from tests.harness import Recorded
from tests.ops.made_by_moto import MADE, REGION, TAGS, Inputs, client
from tests.test_program import BUILD, stack


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
    with mock_aws():
        yield


def found(type_: str, inputs: Inputs) -> list[Thing]:
    return things(Account({"region": REGION}), type_, inputs)


# -- Made by moto ---------------------------------------------------------------------------------

# What else the inputs of a type may name, which exists without the thing itself.
ELSEWHERE = {"apiId", "vpcId", "subnetId", "routeTableId", "securityGroupId", "targetKeyId"} | {
    *("fileSystemId", "referencedSecurityGroupId")
}


@pytest.mark.parametrize("type_", MADE)
def test_a_thing_is_found_by_its_inputs_and_none_where_it_is_absent(type_: str) -> None:
    inputs, id_ = MADE[type_]()
    (thing,) = found(type_, inputs)
    assert thing.id == id_
    assert thing.tags is None or tags_of(inputs).items() <= thing.tags.items()
    assert thing.status == ""
    missing: Inputs = {
        key: f"{value}x"
        for key, value in inputs.items()
        if isinstance(value, str) and key not in ELSEWHERE
    }
    if "tags" in inputs:
        missing["tags"] = {**TAGS, "stack": "another"}
    assert found(type_, {**inputs, **(missing or {"subnetId": "subnet-1"})}) == []


# -- By botocore's models -------------------------------------------------------------------------


PRINCIPAL = "arn:aws-cn:iam::123456789012:role/node"
POLICY = "arn:aws-cn:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
CLUSTER = {"clusterName": "it"}
ENTRY = {**CLUSTER, "principalArn": PRINCIPAL}
ACCOUNT_OF_POD = {**CLUSTER, "namespace": "kube-system", "serviceAccount": "karpenter"}
# Type -> service, operation, parameters, answer, inputs, the thing.
ANSWERED: dict[str, tuple[str, str, Inputs, Inputs, Inputs, Thing]] = {
    "aws:eks/accessEntry:AccessEntry": (
        "eks",
        "describe_access_entry",
        ENTRY,
        {"accessEntry": {"tags": TAGS}},
        ENTRY,
        Thing(f"it:{PRINCIPAL}", TAGS),
    ),
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": (
        "eks",
        "list_associated_access_policies",
        ENTRY,
        {"associatedAccessPolicies": [{"policyArn": "another"}, {"policyArn": POLICY}]},
        {**ENTRY, "policyArn": POLICY},
        Thing(f"it#{PRINCIPAL}#{POLICY}"),
    ),
    "aws:eks/addon:Addon": (
        "eks",
        "describe_addon",
        {**CLUSTER, "addonName": "coredns"},
        {"addon": {"status": "CREATING", "tags": TAGS}},
        {**CLUSTER, "addonName": "coredns"},
        Thing("it:coredns", TAGS, "CREATING"),
    ),
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": (
        "eks",
        "list_pod_identity_associations",
        ACCOUNT_OF_POD,
        {"associations": [{"associationId": "a-1"}]},
        ACCOUNT_OF_POD,
        Thing("it,a-1", state_id="a-1"),
    ),
    "aws:ecr/pullThroughCacheRule:PullThroughCacheRule": (
        "ecr",
        "describe_pull_through_cache_rules",
        {"ecrRepositoryPrefixes": ["kubeflow/quay.io"]},
        {"pullThroughCacheRules": [{"ecrRepositoryPrefix": "kubeflow/quay.io"}]},
        {"ecrRepositoryPrefix": "kubeflow/quay.io"},
        Thing("kubeflow/quay.io"),
    ),
    "aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate": (
        "ecr",
        "describe_repository_creation_templates",
        {"prefixes": ["kubeflow"]},
        {"repositoryCreationTemplates": [{"prefix": "kubeflow"}]},
        {"prefix": "kubeflow"},
        Thing("kubeflow"),
    ),
}


@pytest.mark.parametrize("type_", ANSWERED)
def test_a_call_fits_the_model_of_its_service(type_: str, monkeypatch: pytest.MonkeyPatch) -> None:
    service, operation, parameters, answer, inputs, thing = ANSWERED[type_]
    stubbed = client(service)
    with Stubber(stubbed) as stub:
        stub.add_response(operation, answer, parameters)
        stub.add_client_error(operation, "ResourceNotFoundException")
        stub.add_client_error(operation, "AccessDeniedException")

        def serve(*_: object) -> Any:
            return stubbed

        monkeypatch.setattr(Account, "client", serve)
        assert found(type_, inputs) == [thing]
        assert found(type_, inputs) == []
        with pytest.raises(CallFailed, match="AccessDeniedException"):
            found(type_, inputs)


# -- Plans ----------------------------------------------------------------------------------------


def resources(recorded: Recorded) -> Iterator[tuple[str, str, Inputs]]:
    """Type, provider and inputs of all that a plan has on AWS, with the children of EKS's."""
    for each in recorded.all:
        if each.type.startswith("aws:"):
            yield each.type, each.provider_name, each.inputs
        if each.type == "eks:index:Cluster":
            cloud = SimulatedCloud(REGION, "123456789012")
            for child in children(cloud.resource(each.type, each.name, each.inputs)):
                if child.type.startswith("aws:"):
                    yield child.type, "aws", dict(child.inputs)


EXISTING_VPC = {
    "vpcId": "vpc-0123456789abcdef0",
    "privateSubnetIds": ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
}
PLANS: list[tuple[str, dict[str, Any]]] = [
    ("cn-north-1", {}),
    (
        "cn-north-1",
        {
            "imageMirror": {"enabled": True, "transport": "api-gateway"},
            "sharedFiles": {"enabled": True},
        },
    ),
    ("cn-north-1-kf151", {}),
    ("us-west-2", {}),
    ("us-west-2", {"imageMirror": {"enabled": True}, "network": EXISTING_VPC}),
]
BOUNDARY = "arn:{}:iam::111122223333:policy/boundary"
THERE = "arn:aws:iam::444455556666:policy/boundary"


@pytest.mark.parametrize(("name", "changed"), PLANS)
def test_every_type_of_a_plan_has_a_row_and_no_two_resources_are_looked_up_alike(
    name: str, changed: dict[str, Any]
) -> None:
    partition = "aws" if name.startswith("us-") else "aws-cn"
    iam = {"path": "/team/ml/", "permissionsBoundary": BOUNDARY.format(partition)}
    build = {"buildPermissionsBoundary": THERE} if partition == "aws-cn" else {}
    recorded = stack(name, **changed, iam={**iam, **build})
    assert_every_role_and_user_is_as_the_company_demands(recorded, iam["permissionsBoundary"])
    planned = list(resources(recorded))
    types = {type_ for type_, _, _ in planned}
    assert len(types) > 30
    assert types - set(LOOK_UPS) - set(HARMLESS) == set()
    assert {key_of(type_) for type_ in types} - set(rights_table()["types"]) == set()
    asked = {token for token, _ in recorded.asked if token.startswith("aws:")}
    assert asked - set(rights_table()["lookups"]) == set()
    by_tags = [
        (type_, provider, json.dumps(tags_of(inputs), sort_keys=True))
        for type_, provider, inputs in planned
        if type_ in BY_TAGS or "namePrefix" in inputs
    ]
    prefixes = [i.get("namePrefix") for t, _, i in planned if t in BY_TAGS or "namePrefix" in i]
    described = [*zip(by_tags, prefixes, strict=True)]
    assert len(described) == len(set(described))
    assert len(described) > 10


def assert_every_role_and_user_is_as_the_company_demands(recorded: Recorded, own: str) -> None:
    """Here, because a plan takes seconds; of EKS's own role see the rehearsal."""
    identities = [*recorded.of("aws:iam/role:Role"), *recorded.of("aws:iam/user:User")]
    assert len(identities) >= 8
    for each in identities:
        boundary = THERE if each.provider_name == BUILD and "aws-cn" in own else own
        assert each.inputs["path"] == "/team/ml/", each.name
        assert each.inputs["permissionsBoundary"] == boundary, each.name
    assert {each.provider_name for each in identities} <= {"aws", BUILD}
    for kind in ("aws:iam/policy:Policy", "aws:iam/instanceProfile:InstanceProfile"):
        assert {each.inputs["path"] for each in recorded.of(kind)} <= {"/team/ml/"}


BY_TAGS = {
    *("aws:ec2/eip:Eip", "aws:ec2/internetGateway:InternetGateway", "aws:ec2/vpc:Vpc"),
    *("aws:ec2/natGateway:NatGateway", "aws:ec2/routeTable:RouteTable", "aws:ec2/subnet:Subnet"),
    *("aws:ec2/securityGroup:SecurityGroup", "aws:ec2/vpcEndpoint:VpcEndpoint", "aws:kms/key:Key"),
    "aws:efs/fileSystem:FileSystem",
}


def test_the_table_has_each_type_once_and_each_look_up_is_tried() -> None:
    assert set(LOOK_UPS) & set(HARMLESS) == set()
    assert set(LOOK_UPS) == {*MADE, *ANSWERED}
    for type_ in LOOK_UPS:
        with pytest.raises(Undescribed):
            found(type_, {})


def test_an_account_is_that_of_its_providers_role() -> None:
    role = "arn:aws:iam::111122223333:role/up"
    provider = {"region": REGION, "assumeRoles": json.dumps([{"roleArn": role}])}
    assert Account(provider).id == "111122223333"
    assert Account({"region": REGION}).id == "123456789012"
