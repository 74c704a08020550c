"""Another version of Karpenter on the engine: custom resources, then the chart, pools untouched."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes
import pytest

from components.aws.roles import OidcProvider
from components.gpu import KarpenterGpuPool, KarpenterGpuPoolArgs
from components.gpu.chart import controller_digest
from components.gpu.node_pools import pools_of
from regions.region import Region
from rehearsal.clouds import ACCOUNT
from rehearsal.engine import Outcome
from rendering import Object, Rendered
from settings import from_mapping
from settings.context import StackContext
from tests.components.gpu.simulated_karpenter import RELEASE
from tests.rehearsal.conftest import Started, steps
from tests.rendering.beijing import rendered

pytestmark = pytest.mark.engine
REGION = Region.of("cn-north-1")
CRDS = "pulumi-python:dynamic:CustomResourceDefinitions"
VERSIONS = ("1.14.0", "1.14.1")


def folder_of(version: str) -> Rendered:
    return rendered(f"addons/karpenter-{version}")


DIGESTS = {
    version: controller_digest(use.source for use in folder_of(version).images)
    for version in VERSIONS
}


def karpenter(version: str, crds: Sequence[Object] | None = None) -> Callable[[], Any]:
    """The pool with the folder of that version, or with other custom resources than it has."""
    pool: dict[str, Any] = {"karpenterVersion": version, "maxGpus": 4}
    steps = {"steps": {"maxCpus": 64}}
    settings = from_mapping({"region": REGION.name, "gpuPool": pool, "nodePools": steps})
    folder = folder_of(version)
    given = folder if crds is None else replace(folder, crds=tuple(crds))

    def program() -> None:
        account = aws.Provider("aws", region=REGION.name)
        cluster = kubernetes.Provider("kubernetes", kubeconfig="{}")
        issuer = f"oidc.eks.{REGION.name}.{REGION.dns_suffix}/id/ABC"
        oidc = REGION.arn("iam", f"oidc-provider/{issuer}", account=ACCOUNT, region="")
        KarpenterGpuPool(
            "gpu",
            KarpenterGpuPoolArgs(
                context=StackContext.of(settings, ACCOUNT, {}),
                gpu_pool=settings.gpu_pool,
                pools=pools_of(settings, REGION),
                cluster_name="kubeflow",
                cluster_arn=REGION.arn("eks", "cluster/kubeflow", account=ACCOUNT),
                cluster_endpoint="https://cluster.example",
                subnet_ids=["subnet-1", "subnet-2"],
                node_security_group_id="sg-1",
                kubeconfig_json=pulumi.Output.secret("{}"),
                oidc=OidcProvider(oidc, issuer),
                karpenter=given,
                add_ons={},
            ),
            pulumi.ResourceOptions(providers=[account, cluster]),
        )

    return program


def changed_to(outcome: Outcome) -> dict[str, Any]:
    """The inputs of the chart's release after the run, which changed nothing else."""
    assert [(step, type_) for step, type_, _ in steps(outcome)] == [("update", RELEASE)]
    ((_, step),) = ((urn, each) for urn, each in outcome.steps.items() if each.operation != "same")
    return dict((step.new or step.old).inputs or {})


def test_another_version_is_another_image_and_machines_stay(started: Started) -> None:
    """As the folders are; and back, which Karpenter's two versions of the same types allow."""
    with started(karpenter("1.14.0")) as rehearsal:
        rehearsal.up()
    for version, other in (("1.14.1", "1.14.0"), ("1.14.0", "1.14.1")):
        with started(karpenter(version)) as rehearsal:
            assert changed_to(rehearsal.preview())["chart"] == f"build/charts/karpenter-{version}"
            made = changed_to(rehearsal.up())
            assert steps(rehearsal.preview()) == []
        image = made["values"]["controller"]["image"]
        assert (image["tag"], image["digest"]) == (version, DIGESTS[version])
        assert other not in json.dumps(made)
        assert str(DIGESTS[other]) not in json.dumps(made)


def test_custom_resources_come_before_the_chart_and_pools_stay(started: Started) -> None:
    """Where they differ, as between minor versions."""
    before = [crd for crd in folder_of("1.14.0").crds if "nodeoverlays" not in str(crd["metadata"])]
    with started(karpenter("1.14.0", before)) as rehearsal:
        rehearsal.up()
    with started(karpenter("1.14.1")) as rehearsal:
        done = [(operation, type_) for operation, type_, _ in steps(rehearsal.up())]
        assert done == [("update", CRDS), ("update", RELEASE)]
        assert steps(rehearsal.preview()) == []
