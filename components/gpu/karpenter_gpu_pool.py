"""GPU machines that exist only while a pod asks for them: Karpenter, its AWS side and its pools."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import pulumi
import pulumi_kubernetes as k8s

from components.dynamic.crds import CustomResourceDefinitions
from components.gpu import chart
from components.gpu.controller import KarpenterController, KarpenterControllerArgs
from components.gpu.interruptions import KarpenterInterruptions, KarpenterInterruptionsArgs
from components.gpu.karpenter_objects import NAMESPACE
from components.gpu.karpenter_pools import KarpenterPools, KarpenterPoolsArgs, overlays_of
from components.gpu.node_pools import pools_of
from components.gpu.nodes import KarpenterNodes, KarpenterNodesArgs
from components.gpu.software import device_plugin, metrics_exporter
from components.objects.kubernetes_objects import bind, register
from components.registry.pull_through_cache import node_pull_policy
from regions.region import Region
from settings import Settings

_INSTALL_SECONDS = 600


@dataclass(frozen=True, kw_only=True)
class KarpenterGpuPoolArgs:
    """What decides the pools.

    Args:
        settings: the sections ``gpu_pool``, ``node_pools``, ``image_mirror`` and ``cluster.name``
            are used.
        region: where it runs; must be the region of the AWS provider.
        tags: for everything that takes tags, machines and disks included.
        account_id: of the AWS provider.
        cluster_name: orders this component after the control plane.
        cluster_arn: identity of the cluster for the CRDs.
        cluster_endpoint: URL of the API server.
        kubeconfig_json: for the CRDs; a secret.
        oidc_provider_arn: for the controller's trust policy.
        oidc_issuer: likewise, without ``https://``.
        image_registry: ``<ECR host>/<prefix>`` that holds chart and images; None: their publishers.
        crds: Karpenter's CRDs as rendered.
        device_plugin: NVIDIA's device plugin as rendered; may hold ``<<registry.host>>``.
        dcgm_exporter: likewise the exporter of GPU metrics; used where the settings ask for it.
        ready: what pods need: nodes, network, DNS. All of it outlives the pools on destroy.
    """

    settings: Settings
    region: Region
    tags: Mapping[str, str]
    account_id: pulumi.Input[str]
    cluster_name: pulumi.Input[str]
    cluster_arn: pulumi.Input[str]
    cluster_endpoint: pulumi.Input[str]
    kubeconfig_json: pulumi.Input[str]
    oidc_provider_arn: pulumi.Input[str]
    oidc_issuer: pulumi.Input[str]
    image_registry: pulumi.Input[str] | None
    crds: Sequence[Mapping[str, Any]]
    device_plugin: Sequence[Mapping[str, Any]]
    dcgm_exporter: Sequence[Mapping[str, Any]]
    ready: Sequence[pulumi.Resource] = ()


class KarpenterGpuPool(pulumi.ComponentResource):
    """Karpenter with everything it needs in AWS, a pool of GPU nodes from zero, and further pools.

    Needs the providers ``aws`` and ``kubernetes``. On destroy the order is the reverse of the
    dependencies: NodePools (Karpenter ends their nodes), EC2NodeClasses, Karpenter, its
    permissions, and only then the node group it runs on: whoever has to remove a finalizer is still
    there.
    """

    def __init__(
        self, name: str, args: KarpenterGpuPoolArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("kubeflow:platform:KarpenterGpuPool", name, None, opts)
        self._name = name
        self._args = args
        self._here = pulumi.ResourceOptions(parent=self)

        nodes = KarpenterNodes(
            f"{name}-node",
            KarpenterNodesArgs(
                region=args.region,
                tags=args.tags,
                cluster_name=args.cluster_name,
                pull_policy=node_pull_policy(args.settings, args.region, args.account_id),
            ),
            self._here,
        )
        interruptions = KarpenterInterruptions(
            name, KarpenterInterruptionsArgs(region=args.region, tags=args.tags), self._here
        )
        controller = KarpenterController(
            name,
            KarpenterControllerArgs(
                settings=args.settings,
                region=args.region,
                tags=args.tags,
                account_id=args.account_id,
                cluster_name=args.cluster_name,
                oidc_provider_arn=args.oidc_provider_arn,
                oidc_issuer=args.oidc_issuer,
                node_role_arn=nodes.role_arn,
                queue_arn=interruptions.queue_arn,
            ),
            self._here,
        )
        karpenter = self._karpenter(controller, interruptions.queue_name)
        KarpenterPools(
            name,
            KarpenterPoolsArgs(
                settings=args.settings,
                region=args.region,
                tags=args.tags,
                profile_name=nodes.profile_name,
                after=[karpenter, *nodes.ready, *interruptions.ready],
            ),
            self._here,
        )
        self._gpu_software()
        self.register_outputs({})

    def _after(self, resources: Sequence[pulumi.Resource]) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, depends_on=list(resources))

    def _karpenter(
        self, controller: KarpenterController, queue_name: pulumi.Output[str]
    ) -> k8s.helm.v3.Release:
        args, settings = self._args, self._args.settings
        version = settings.gpu_pool.karpenter_version
        crds = CustomResourceDefinitions(
            f"{self._name}-crds",
            crds=args.crds,
            kubeconfig=args.kubeconfig_json,
            cluster=args.cluster_arn,
            opts=self._here,
        )
        return k8s.helm.v3.Release(
            f"{self._name}-karpenter",
            name="karpenter",
            chart=_in_registry(chart.chart_location, args.image_registry),
            version=version,
            namespace=NAMESPACE,
            # The chart installs its CRDs once and never upgrades them; here they are a resource.
            skip_crds=True,
            timeout=_INSTALL_SECONDS,
            values=chart.helm_values(
                region=args.region,
                version=version,
                cluster_name=settings.cluster.name,
                cluster_endpoint=args.cluster_endpoint,
                queue_name=queue_name,
                role_arn=controller.annotated_role_arn,
                repository=_in_registry(chart.controller_repository, args.image_registry),
                asks_for_prices=settings.gpu_pool.asks_for_prices(args.region),
                node_overlays=bool(overlays_of(settings, args.region)),
            ),
            opts=self._after([crds, *controller.ready, *args.ready]),
        )

    def _gpu_software(self) -> None:
        args = self._args
        pools = pools_of(args.settings, args.region)
        self._on_gpu_nodes(
            "plugin", device_plugin([dict(obj) for obj in args.device_plugin], pools)
        )
        if args.settings.gpu_pool.dcgm_exporter:
            exporter = [dict(obj) for obj in args.dcgm_exporter]
            self._on_gpu_nodes("exporter", metrics_exporter(exporter, pools))

    def _on_gpu_nodes(self, role: str, objects: Iterable[Mapping[str, Any]]) -> None:
        args = self._args
        late = {} if args.image_registry is None else {"registry.host": args.image_registry}
        made: list[pulumi.Resource] = []
        # What others live in or read comes first; the sort keeps the rest in order.
        early = ("Namespace", "ConfigMap")
        for obj in sorted(objects, key=lambda found: (*early, found["kind"]).index(found["kind"])):
            resource = register(
                cast(dict[str, Any], bind(obj, late)),
                name=f"{self._name}-{role}-{obj['kind'].lower()}-{obj['metadata']['name']}",
                opts=self._after([*made, *args.ready]),
            )
            if obj["kind"] in early:
                made.append(resource)


def _in_registry(
    place: Callable[[str | None], str], registry: pulumi.Input[str] | None
) -> pulumi.Input[str]:
    if registry is None:
        return place(None)
    return pulumi.Output.from_input(registry).apply(place)
