"""The GPU pool component under mocks, for the tests that look at it from several sides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pulumi

from components.aws.roles import OidcProvider
from components.gpu import KarpenterGpuPool, KarpenterGpuPoolArgs
from components.gpu.node_pools import pools_of
from regions.region import Region
from rehearsal.clouds import ACCOUNT
from settings import from_mapping
from settings.context import StackContext
from tests.harness import Recorded, Registered, run
from tests.rendering.beijing import rendered

POOL = "gpu-pool"
ROLE = "aws:iam/role:Role"
RELEASE = "kubernetes:helm.sh/v3:Release"
NODE_CLASS = "kubernetes:karpenter.k8s.aws/v1:EC2NodeClass"
NODE_POOL = "kubernetes:karpenter.sh/v1:NodePool"
NODE_OVERLAY = "kubernetes:karpenter.sh/v1alpha1:NodeOverlay"
ASSOCIATION = "aws:eks/podIdentityAssociation:PodIdentityAssociation"
DAEMON_SET = "kubernetes:apps/v1:DaemonSet"
CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "nodepools.karpenter.sh"},
}
PLUGIN: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "DaemonSet",
    "metadata": {"name": "nvidia-device-plugin", "namespace": "gpu"},
    "spec": {
        "template": {
            "metadata": {"labels": {"name": "plugin"}},
            "spec": {
                "containers": [
                    {
                        "name": "p",
                        "image": "<<image.prefix>>/nvcr.io/plugin:1",
                        "volumeMounts": [],
                    }
                ],
                "volumes": [],
            },
        }
    },
}
NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "gpu"}}
KARPENTER, DEVICE_PLUGIN = "addons/karpenter-1.14.1", "addons/nvidia-device-plugin"


STEPS: dict[str, object] = {"steps": {"maxCpus": 64, "capacityTypes": ["spot"]}}
SLICED: dict[str, object] = {"shared": {"maxGpus": 2, "instanceFamilies": ["g4dn"], "slices": 4}}


def _program(
    region: Region, pools: dict[str, object], mirrored: bool | None, pool: dict[str, object]
) -> Callable[[], Any]:
    settings = from_mapping(
        {
            "region": region.name,
            "gpuPool": pool,
            "nodePools": pools,
            "imageMirror": {} if mirrored is None else {"enabled": mirrored},
        }
    )
    plugin = replace(rendered(DEVICE_PLUGIN), objects=(PLUGIN, NAMESPACE))
    add_ons = {"nvidia-device-plugin": plugin} if mirrored else {}
    if settings.gpu_pool.dcgm_exporter:
        add_ons["dcgm-exporter"] = rendered("addons/dcgm-exporter")
    issuer = f"oidc.eks.{region.name}.{region.dns_suffix}/id/ABC"

    def program() -> dict[str, Any]:
        KarpenterGpuPool(
            POOL,
            KarpenterGpuPoolArgs(
                context=StackContext.of(settings, ACCOUNT, {"project": "kubeflow"}),
                gpu_pool=settings.gpu_pool,
                pools=pools_of(settings, region),
                cluster_name=pulumi.Output.from_input("kubeflow"),
                cluster_arn=region.arn("eks", "cluster/kubeflow", account=ACCOUNT),
                cluster_endpoint="https://cluster.example",
                subnet_ids=["subnet-1", "subnet-2"],
                node_security_group_id="sg-1",
                kubeconfig_json=pulumi.Output.secret("{}"),
                oidc=OidcProvider(
                    region.arn("iam", f"oidc-provider/{issuer}", account=ACCOUNT, region=""), issuer
                ),
                karpenter=replace(rendered(KARPENTER), crds=(CRD,)),
                add_ons=add_ons,
                ready=[pulumi.CustomResource("test:index:Nodes", "nodes")],
            ),
        )
        return {}

    return program


def made_in(
    name: str,
    node_pools: dict[str, object] | None = None,
    *,
    mirrored: bool | None = None,
    **pool: object,
) -> Recorded:
    return run(_program(Region.of(name), node_pools or {}, mirrored, pool), region=name)


def names(found: list[Registered]) -> list[str]:
    """Names of resources without the component's."""
    return [one.name.removeprefix(f"{POOL}-") for one in found]
