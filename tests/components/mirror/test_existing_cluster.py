"""The image mirror alone in a program that is not ours: its arguments and its stack file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes
import pytest

from components.mirror.existing_cluster import image_mirror
from regions.region import Region
from rehearsal.clouds import ACCOUNT
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
