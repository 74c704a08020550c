"""Events behind an API Gateway: a function that reaches the API server, and nothing else."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from components.mirror.events import PODS
from regions.region import Region
from rehearsal.clouds import ACCOUNT
from review.danger_rules import rules_of
from tests.components.mirror.simulated_image_mirror import CACHED, CROSSING, SERVER, WITHIN, stack
from tests.harness import Recorded, Registered
from webhook.service import Environment

FUNCTION, ENTRY = "aws:lambda/function:Function", "aws:eks/accessEntry:AccessEntry"
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
RBAC = "kubernetes:rbac.authorization.k8s.io/v1"
NAME = "image-mirror-events"
WAYS = [*CROSSING, *WITHIN, *((region, None) for region in CACHED)]
"""Of every partition: copies across its border or inside it, and ECR that pulls by itself."""


@pytest.fixture(params=WAYS, name="way")
def way_of(request: pytest.FixtureRequest) -> tuple[Region, Recorded]:
    region, build_region = request.param
    return Region.of(region), stack(region, build_region)


def policy_of(made: Recorded, name: str) -> list[dict[str, Any]]:
    text = made.only("aws:iam/rolePolicy:RolePolicy", f"{name}-role").inputs["policy"]
    return json.loads(text)["Statement"]


def function(made: Recorded) -> Registered:
    return made.only(FUNCTION, NAME)


def group_of(made: Recorded) -> str:
    """The ID of the function's only security group."""
    (group,) = function(made).inputs["vpcConfig"]["securityGroupIds"]
    return group


def test_the_function_of_events_is_in_the_network_of_the_cluster(
    way: tuple[Region, Recorded],
) -> None:
    _, made = way
    group = made.only("aws:ec2/securityGroup:SecurityGroup", f"{NAME}-group")
    assert group.inputs["vpcId"] == SERVER.vpc_id
    assert not {"ingress", "egress"} & group.inputs.keys()
    # EC2 takes few characters (CreateSecurityGroup, GroupDescription).
    assert re.fullmatch(r"[A-Za-z0-9 ._:/()#,@+=&;{}!$*\[\]-]{1,255}", group.inputs["description"])
    assert function(made).inputs["vpcConfig"]["subnetIds"] == SERVER.subnet_ids
    assert group_of(made) not in ("", SERVER.security_group_id)
    assert (group.type, group.name) in made.dependencies_of(function(made))
    alone = [each for each in made.of(FUNCTION) if "vpcConfig" in each.inputs]
    assert alone == [function(made)], "admissions and copies call AWS, and have no network"


def test_it_reaches_the_api_server_and_nothing_else(way: tuple[Region, Recorded]) -> None:
    _, made = way
    group = group_of(made)
    https = {"fromPort": 443, "toPort": 443, "ipProtocol": "tcp"}
    rules = {INGRESS: (SERVER.security_group_id, group), EGRESS: (group, SERVER.security_group_id)}
    for type_, (own, other) in rules.items():
        rule = made.only(type_).inputs
        assert rule["securityGroupId"] == own
        assert rule["referencedSecurityGroupId"] == other
        assert https.items() <= rule.items()
        assert "cidrIpv4" not in rule


def test_its_token_is_for_the_cluster_and_of_the_partition(way: tuple[Region, Recorded]) -> None:
    region, made = way
    variables = function(made).inputs["environment"]["variables"]
    assert variables == {
        "MIRROR_CLUSTER": "kubeflow",
        "MIRROR_API_SERVER": SERVER.endpoint,
        "MIRROR_API_AUTHORITY": SERVER.authority,
        "MIRROR_STS_HOST": f"sts.{region.name}.{region.dns_suffix}",
    }
    assert function(made).inputs["handler"] == "webhook.lambda_handler.post_events"


def test_a_review_knows_its_access_entry_from_those_of_administrators() -> None:
    (name,) = {stack(*each).only(ENTRY).name for each in WAYS}
    rule = next(each for each in rules_of(ENTRY)[0] if each.has_name(name))
    assert rule.what == "Access of the function that posts Events"


def test_its_role_has_the_rights_of_the_pods_and_no_other(way: tuple[Region, Recorded]) -> None:
    """By a group of Kubernetes: an entry with a policy of EKS would have those of EKS."""
    region, made = way
    entry = made.only(ENTRY).inputs
    role = made.only("aws:iam/role:Role", f"{NAME}-role")
    assert entry["principalArn"] == role.outputs["arn"]
    assert role.outputs["arn"].startswith(f"arn:{region.partition}:iam::{ACCOUNT}:role/")
    assert (entry["clusterName"], entry["type"]) == ("kubeflow", "STANDARD")
    assert made.none("aws:eks/accessPolicyAssociation:AccessPolicyAssociation")
    (of_pods,) = [
        each
        for each in yaml.safe_load_all((PODS / "events.yaml").read_text())
        if each["kind"] == "ClusterRole"
    ]
    rights = made.only(f"{RBAC}:ClusterRole").inputs
    binding = made.only(f"{RBAC}:ClusterRoleBinding").inputs
    assert rights["rules"] == of_pods["rules"]
    assert binding["roleRef"]["name"] == rights["metadata"]["name"]
    (subject,) = binding["subjects"]
    assert (subject["kind"], [subject["name"]]) == ("Group", entry["kubernetesGroups"])
    # Both may exist for a moment where imageMirror.transport changes.
    assert rights["metadata"]["name"] != of_pods["metadata"]["name"]
    assert "namespace" not in rights["metadata"] | binding["metadata"]


def test_lambda_alone_may_use_the_rights_to_the_network(way: tuple[Region, Recorded]) -> None:
    region, made = way
    name = "kubeflow-image-events"
    own = region.arn("lambda", f"function:{name}", account=ACCOUNT)
    network, denied, log = policy_of(made, NAME)
    assert function(made).inputs["name"] == name
    assert {action.partition(":")[0] for action in network["Action"]} == {"ec2"}
    assert (denied["Effect"], denied["Action"]) == ("Deny", network["Action"])
    assert denied["Condition"] == {"ArnEquals": {"lambda:SourceFunctionArn": own}}
    assert log["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    trust = json.loads(made.only("aws:iam/role:Role", f"{NAME}-role").inputs["assumeRolePolicy"])
    assert trust["Statement"][0]["Principal"] == {"Service": "lambda.amazonaws.com"}


def test_admissions_may_invoke_it_by_name(way: tuple[Region, Recorded]) -> None:
    region, made = way
    admission = made.only(FUNCTION, "image-mirror-functions-admission").inputs
    environment = Environment.read(admission["environment"]["variables"])
    assert environment.events == function(made).inputs["name"]
    statements = policy_of(made, "image-mirror-functions-admission")
    (invoke,) = [each for each in statements if each["Action"] == ["lambda:InvokeFunction"]]
    named = invoke["Resource"] if isinstance(invoke["Resource"], list) else [invoke["Resource"]]
    names = ["kubeflow-image-copier"] * (region.name not in CACHED) + [environment.events]
    assert named == [region.arn("lambda", f"function:{name}", account=ACCOUNT) for name in names]


def test_its_number_and_its_attempts_are_bounded(way: tuple[Region, Recorded]) -> None:
    _, made = way
    assert function(made).inputs["reservedConcurrentExecutions"] == 4
    asynchronous = made.only("aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig", NAME)
    assert asynchronous.inputs["functionName"] == function(made).inputs["name"]
    assert asynchronous.inputs["maximumRetryAttempts"] == 1
    assert asynchronous.inputs["maximumEventAgeInSeconds"] == 300


def test_its_network_goes_when_its_interfaces_have_gone(way: tuple[Region, Recorded]) -> None:
    """Lambda deletes them some time after the function, by the rights of the function's role."""
    _, made = way
    group = made.only("aws:ec2/securityGroup:SecurityGroup", f"{NAME}-group")
    assert ("aws:iam/rolePolicy:RolePolicy", f"{NAME}-role") in made.dependencies_of(group)
    assert group.options.customTimeouts.delete == "45m"
    before = made.dependencies_of(function(made))
    assert {(group.type, group.name), (INGRESS, f"{NAME}-admitted")} <= before


@pytest.mark.parametrize(("region", "build_region"), WAYS)
def test_pods_need_no_such_function(region: str, build_region: str | None) -> None:
    made = stack(region, build_region, "in-cluster")
    assert made.none(ENTRY)
    assert made.none("aws:ec2/securityGroup:SecurityGroup")
    assert not [each for each in made.all if each.name.startswith(NAME)]
