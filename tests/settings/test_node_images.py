"""Which images of machines a stack needs, and the sentence where one is not published."""

from __future__ import annotations

from typing import Any

import pytest

from settings import from_mapping
from settings.node_images import parameter_of, parameters_of, problems_of_images
from settings.sections import Settings

EKS = "/aws/service/eks/optimized-ami/1.36/amazon-linux-2023/x86_64"
ROCKET = "/aws/service/bottlerocket/aws-k8s-1.36"


def settings(**sections: Any) -> Settings:
    return from_mapping({"region": "cn-north-1", "cluster": {"version": "1.36"}, **sections})


@pytest.mark.parametrize(
    ("alias", "gpus", "parameter"),
    [
        (
            *("al2023@v20260714", True),
            f"{EKS}/nvidia/amazon-eks-node-al2023-x86_64-nvidia-1.36-v20260714/image_id",
        ),
        (
            *("al2023@v20260714", False),
            f"{EKS}/standard/amazon-eks-node-al2023-x86_64-standard-1.36-v20260714/image_id",
        ),
        ("bottlerocket@v1.61.0", True, f"{ROCKET}-nvidia/x86_64/1.61.0/image_id"),
        ("bottlerocket@v1.61.0", False, f"{ROCKET}/x86_64/1.61.0/image_id"),
    ],
)
def test_the_parameter_is_the_one_that_karpenter_reads(
    alias: str, gpus: bool, parameter: str
) -> None:
    assert parameter_of(alias, "1.36", gpus=gpus) == parameter


def test_each_pool_needs_the_image_of_its_own_alias_or_of_the_common_one() -> None:
    pools = {
        "steps": {"maxCpus": 64},
        "more": {"maxGpus": 2},
        "rocket": {"maxGpus": 2, "amiAlias": "bottlerocket@v1.61.0"},
    }
    common = ("gpuPool", "amiAlias")
    assert parameters_of(settings(nodePools=pools)) == {
        parameter_of("al2023@v20260714", "1.36", gpus=True): common,
        parameter_of("al2023@v20260714", "1.36", gpus=False): common,
        parameter_of("bottlerocket@v1.61.0", "1.36", gpus=True): (
            *("nodePools", "rocket", "amiAlias"),
        ),
    }


def test_a_stack_without_karpenter_needs_none() -> None:
    assert parameters_of(settings(gpuPool={"enabled": False})) == {}


def test_a_setting_without_an_image_is_one_sentence() -> None:
    pools = {"rocket": {"maxGpus": 2, "amiAlias": "bottlerocket@v1.54.0"}}
    given = settings(gpuPool={"amiAlias": "al2023@v20260423"}, nodePools=pools)
    assert problems_of_images(given, []) == []
    eks, rocket = problems_of_images(given, parameters_of(given))
    parameter = f"{EKS}/nvidia/amazon-eks-node-al2023-x86_64-nvidia-1.36-v20260423/image_id"
    assert eks == (
        "kubeflow:gpuPool.amiAlias is al2023@v20260423: cn-north-1 has no such image for "
        f"Kubernetes 1.36 (SSM: {parameter}), "
        "and Karpenter would go on with those of the version before, or with none: pin one of "
        "github.com/awslabs/amazon-eks-ami/releases that names 1.36, or put "
        "kubeflow:cluster.version back."
    )
    assert rocket.startswith("kubeflow:nodePools.rocket.amiAlias is bottlerocket@v1.54.0: ")
    assert "github.com/bottlerocket-os/bottlerocket/releases that names 1.36" in rocket
