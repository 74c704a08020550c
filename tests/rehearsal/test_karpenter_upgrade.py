"""Another version of Karpenter on the engine: custom resources, then the chart, pools untouched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes
import pytest

from components.aws.roles import OidcProvider
from components.gpu import KarpenterGpuPool, KarpenterGpuPoolArgs
from components.gpu.node_pools import pools_of
from regions.region import Region
from rehearsal.clouds import ACCOUNT
from settings import from_mapping
from settings.context import StackContext
from tests.components.gpu.simulated_karpenter import CRD, KARPENTER, RELEASE
from tests.rehearsal.conftest import Started, steps
from tests.rendering.beijing import rendered

pytestmark = pytest.mark.engine
REGION = Region.of("cn-north-1")
CRDS = "pulumi-python:dynamic:CustomResourceDefinitions"


def karpenter(version: str) -> Callable[[], Any]:
    """The pool with a folder of that version, which has another chart and other CRDs."""
    settings = from_mapping({"region": REGION.name})
    folder = rendered(KARPENTER)
    crd: dict[str, Any] = {**CRD, "spec": {"version": version}}
    moved = replace(folder, crds=(crd,), chart=f"build/charts/karpenter-{version}")

    def program() -> None:
        account = aws.Provider("aws", region=REGION.name)
        cluster = kubernetes.Provider("kubernetes", kubeconfig="{}")
        issuer = f"oidc.eks.{REGION.name}.{REGION.dns_suffix}/id/ABC"
        oidc = REGION.arn("iam", f"oidc-provider/{issuer}", account=ACCOUNT, region="")
        KarpenterGpuPool(
            "gpu",
            KarpenterGpuPoolArgs(
                context=StackContext.of(settings, ACCOUNT, {}),
                gpu_pool=settings.gpu_pool.model_copy(update={"karpenter_version": version}),
                pools=pools_of(settings, REGION),
                cluster_name="kubeflow",
                cluster_arn=REGION.arn("eks", "cluster/kubeflow", account=ACCOUNT),
                cluster_endpoint="https://cluster.example",
                subnet_ids=["subnet-1", "subnet-2"],
                node_security_group_id="sg-1",
                kubeconfig_json=pulumi.Output.secret("{}"),
                oidc=OidcProvider(oidc, issuer),
                karpenter=moved,
                add_ons={},
            ),
            pulumi.ResourceOptions(providers=[account, cluster]),
        )

    return program


def test_custom_resources_come_before_the_chart_and_pools_stay(started: Started) -> None:
    with started(karpenter("1.14.1")) as rehearsal:
        rehearsal.up()
    with started(karpenter("1.15.2")) as rehearsal:
        done = [(operation, type_) for operation, type_, _ in steps(rehearsal.up())]
        assert done == [("update", CRDS), ("update", RELEASE)]
        assert steps(rehearsal.preview()) == []
