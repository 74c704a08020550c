"""The image mirror alone in a program that is not ours: its arguments and its stack file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes
import pytest

from components.mirror import ApiServer
from components.mirror.existing_cluster import image_mirror
from regions.region import Region
from rehearsal.clouds import ACCOUNT, SimulatedCloud
from tests.harness import Recorded, run

PARTITIONS = ["cn-north-1", "us-west-2", "us-gov-west-1"]


def alone(
    region: str,
    *,
    arn: str | None = None,
    images: Sequence[str] = (),
    settings: Mapping[str, object] | None = None,
    config: Mapping[str, object] | None = None,
    version: str = "1.36",
    api_server: ApiServer | None = None,
) -> Recorded:
    provider = Region.of(region).arn(
        "iam", "oidc-provider/oidc.test/id/A", account=ACCOUNT, region=""
    )

    def program() -> dict[str, Any]:
        mirror = image_mirror(
            "images",
            cluster="research",
            region=region,
            kubernetes_version=version,
            oidc_provider_arn=arn or provider,
            aws_provider=aws.Provider("account", region=region),
            kubernetes_provider=kubernetes.Provider("objects", context="research"),
            images=images,
            settings=settings,
            api_server=api_server,
        )
        return {"registry": mirror.registry, "nodePolicy": mirror.node_policy}

    raw = {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in (config or {}).items()
    }
    return run(program, region, raw)


@pytest.mark.parametrize("region", PARTITIONS)
def test_an_empty_list_of_images_makes_a_mirror_of_what_pods_name(region: str) -> None:
    made = alone(region)
    host = Region.of(region).ecr_registry(ACCOUNT)
    assert made.exports["registry"] == f"{host}/research"
    assert made.of("kubernetes:admissionregistration.k8s.io/v1:MutatingWebhookConfiguration")
    everywhere = {each.provider_name for each in made.all if each.package in ("aws", "kubernetes")}
    assert everywhere - {""} <= {"account", "objects", "aws-build"}


@pytest.mark.parametrize("region", ["cn-north-1", "cn-northwest-1"])
def test_the_image_of_its_own_pods_is_copied_first_in_china(region: str) -> None:
    made = alone(region, images=["python:3.12", "docker.io/library/python:3.12"])
    (copies,) = made.of("pulumi-python:dynamic:MirroredImages")
    assert copies.inputs["images"] == [
        "docker.io/library/python:3.12",
        "public.ecr.aws/lambda/python:3.12",
    ]


@pytest.mark.parametrize("region", PARTITIONS)
def test_only_nodes_of_a_pull_through_cache_need_a_right(region: str) -> None:
    policy = alone(region).exports["nodePolicy"]
    assert (policy is not None) == (region == "us-west-2")


@pytest.mark.parametrize("region", PARTITIONS)
def test_the_pods_role_is_for_the_service_account_of_that_cluster(region: str) -> None:
    made = alone(region, settings={"transport": "in-cluster"})
    trusts = [json.loads(role.inputs["assumeRolePolicy"]) for role in made.of("aws:iam/role:Role")]
    federated = [
        statement["Condition"]["StringEquals"]["oidc.test/id/A:sub"]
        for trust in trusts
        for statement in trust["Statement"]
        if "Federated" in statement["Principal"]
    ]
    own = "system:serviceaccount:image-mirror:image-mirror"
    assert federated == ([] if region == "us-west-2" else [own])


@pytest.mark.parametrize(("version", "policies"), [("1.29", 0), ("1.30", 1), ("1.36", 1)])
def test_the_policy_of_the_rules_is_for_clusters_that_have_such(
    version: str, policies: int
) -> None:
    made = alone("cn-north-1", version=version, settings={"enforce": True})
    kind = "kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicy"
    assert len(made.of(kind)) == policies


def test_settings_are_those_of_the_programs_own_stack_file() -> None:
    boundary = "arn:aws-cn:iam::111122223333:policy/boundary"
    made = alone(
        "cn-north-1",
        config={
            "kubeflow:imageMirror": {"repositoryPrefix": "mirror", "buildRegion": "us-west-2"},
            "kubeflow:iam": {"permissionsBoundary": boundary},
            "aws:profile": "ops",
        },
    )
    assert made.exports["registry"].endswith(".amazonaws.com.cn/mirror")
    build = made.only("pulumi:providers:aws", "aws-build").inputs
    assert (build["region"], build["profile"]) == ("us-west-2", "kubeflow-build")
    own = [role for role in made.of("aws:iam/role:Role") if role.provider_name == "account"]
    assert {role.inputs.get("permissionsBoundary") for role in own} == {boundary}
    (copies,) = made.of("pulumi-python:dynamic:MirroredImages")
    assert copies.inputs["credentials"] == {"profile": "ops"}


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (
            {"settings": {"platform": "amd64"}},
            "imageMirror.platform is amd64: ",
        ),
        ({"config": {"kubeflow:imageMirror": {"rule": []}}}, "kubeflow:imageMirror.rule is not a "),
        ({"config": {"kubeflow:imageMirror": "on"}}, "kubeflow:imageMirror is on: it must be a "),
        ({"config": {"kubeflow:iam": {"path": "x"}}}, "kubeflow:iam.path is x: "),
        ({"version": "x"}, "kubeflow:cluster.version is x: "),
        (
            {"version": "1.29", "settings": {"admissionPolicy": True}},
            "imageMirror.admissionPolicy is true: Kubernetes 1.29 has no such policies: ",
        ),
        ({"images": ["quay.io/A"]}, "images: quay.io/A is no image reference: "),
        (
            {"arn": "oidc.test/id/A"},
            "oidc_provider_arn is oidc.test/id/A: write the ARN that `aws iam list-open-id-",
        ),
    ],
)
def test_what_is_wrong_ends_the_program_with_one_sentence(
    wrong: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(pulumi.RunError) as refused:
        alone("cn-north-1", **wrong)
    assert str(refused.value).startswith(sentence)
    assert "\n" not in str(refused.value)


# -- Events behind an API Gateway -----------------------------------------------------------------

DESCRIBED = "aws:eks/getCluster:getCluster"
BEHIND_AN_API = {"transport": "api-gateway"}
ANNOTATION_ALONE = (
    "what became of a pod's images is told by its annotation image-mirror/decisions and by no "
    "Event; {}, or set imageMirror.transport to in-cluster."
)


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a run warns of."""
    told: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", told.append)
    return told


def describes(monkeypatch: pytest.MonkeyPatch, **facts: Any) -> None:
    """Has EKS describe clusters otherwise; an exception is the answer."""
    real = SimulatedCloud.invoke

    def invoke(cloud: SimulatedCloud, token: str, args: Mapping[str, Any]) -> dict[str, Any]:
        answer = real(cloud, token, args)
        if token != DESCRIBED:
            return answer
        if "failure" in facts:
            raise LookupError(facts["failure"])
        return answer | facts

    monkeypatch.setattr(SimulatedCloud, "invoke", invoke)


@pytest.mark.parametrize("region", PARTITIONS)
def test_a_cluster_that_exists_is_asked_where_its_api_server_is(
    region: str, warnings: list[str]
) -> None:
    made = alone(region, settings=BEHIND_AN_API)
    described = SimulatedCloud(region).invoke(DESCRIBED, {"name": "research"})
    function = made.only("aws:lambda/function:Function", "images-events").inputs
    network = described["vpcConfig"]
    assert function["vpcConfig"]["subnetIds"] == network["subnetIds"]
    variables = function["environment"]["variables"]
    assert variables["MIRROR_API_SERVER"] == described["endpoint"]
    assert variables["MIRROR_API_AUTHORITY"] == described["certificateAuthorities"][0]["data"]
    assert variables["MIRROR_CLUSTER"] == "research"
    group = made.only("aws:ec2/securityGroup:SecurityGroup").inputs
    assert group["vpcId"] == network["vpcId"]
    rule = made.only("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule").inputs
    assert rule["securityGroupId"] == network["clusterSecurityGroupId"]
    assert made.only("aws:eks/accessEntry:AccessEntry").inputs["clusterName"] == "research"
    assert warnings == []


def test_a_cluster_with_both_ways_in_takes_events(
    warnings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    describes(monkeypatch, accessConfigs=[{"authenticationMode": "API_AND_CONFIG_MAP"}])
    assert alone("us-west-2").of("aws:eks/accessEntry:AccessEntry")
    assert warnings == []


@pytest.mark.parametrize("region", PARTITIONS)
def test_pods_ask_nobody_where_the_api_server_is(region: str) -> None:
    made = alone(region, settings={"transport": "in-cluster"})
    assert DESCRIBED not in {token for token, _ in made.asked}
    assert made.none("aws:eks/accessEntry:AccessEntry")


NO_ENTRIES = "cluster research has the authentication mode CONFIG_MAP, in which no role has an "
CLOSED = {"endpointPrivateAccess": False, "subnetIds": [], "vpcId": "v"}


@pytest.mark.parametrize(
    ("facts", "reason", "way_out"),
    [
        (
            {"accessConfigs": [{"authenticationMode": "CONFIG_MAP"}]},
            f"{NO_ENTRIES}access entry",
            "set it to API_AND_CONFIG_MAP",
        ),
        ({"accessConfigs": []}, f"{NO_ENTRIES}access entry", "set it to API_AND_CONFIG_MAP"),
        (
            {"vpcConfig": {**CLOSED, "clusterSecurityGroupId": "sg-1"}},
            "cluster research has no private endpoint",
            "turn its private access on",
        ),
        (
            {"failure": "reading EKS Cluster (research): couldn't find resource"},
            "there is no cluster research yet",
            "give image_mirror its api_server",
        ),
    ],
)
def test_a_cluster_that_takes_no_events_has_the_annotation_and_a_warning(
    facts: dict[str, Any],
    reason: str,
    way_out: str,
    warnings: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    describes(monkeypatch, **facts)
    made = alone("us-west-2")
    assert warnings == [f"{reason}: {ANNOTATION_ALONE.format(way_out)}"]
    (function,) = made.of("aws:lambda/function:Function")
    assert "MIRROR_EVENTS" not in function.inputs["environment"]["variables"]
    assert made.none("aws:eks/accessEntry:AccessEntry")


def test_a_cluster_that_cannot_be_described_ends_the_program(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its function would be deleted where a warning were enough."""
    describes(monkeypatch, failure="AccessDeniedException: no\nright")
    with pytest.raises(pulumi.RunError) as refused:
        alone("us-west-2")
    sentence = str(refused.value)
    assert sentence.startswith("cluster research cannot be described, which Events take: ")
    assert "AccessDeniedException: no right" in sentence
    assert sentence.endswith("give the caller eks:DescribeCluster, or image_mirror an api_server.")


def test_a_program_that_makes_its_cluster_gives_the_api_server() -> None:
    server = ApiServer(
        cluster=pulumi.Output.from_input("research"),
        endpoint=pulumi.Output.from_input("https://of-the-program.test"),
        authority="LS0t",
        vpc_id="vpc-1",
        subnet_ids=["subnet-1"],
        security_group_id="sg-1",
    )
    made = alone("us-west-2", api_server=server)
    assert DESCRIBED not in {token for token, _ in made.asked}
    function = made.only("aws:lambda/function:Function", "images-events").inputs
    assert function["environment"]["variables"]["MIRROR_API_SERVER"].startswith("https://of-the-")
