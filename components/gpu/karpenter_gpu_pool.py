"""GPU machines that exist only while pods request them: Karpenter, its AWS side and its pools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import pulumi
import pulumi_kubernetes as k8s

from components.aws.roles import OidcProvider
from components.dynamic.crds import CustomResourceDefinitions, ReleaseOfCrds
from components.gpu import chart
from components.gpu.controller import KarpenterController
from components.gpu.interruptions import KarpenterInterruptions
from components.gpu.karpenter_objects import NAMESPACE
from components.gpu.karpenter_pools import KarpenterPools, overlays_of
from components.gpu.node_pools import Pool
from components.gpu.nodes import KarpenterNodes
from components.gpu.policies import controller_policies
from components.gpu.software import GPU_SOFTWARE
from components.objects.config_checksums import CONFIGURATION, read_by, with_checksum
from components.objects.kubernetes_objects import bind, register
from rendering import ObjectKey, Rendered
from settings.context import StackContext
from settings.node_pools import GpuPoolSettings

_INSTALL_SECONDS = 600


@dataclass(frozen=True, kw_only=True)
class KarpenterGpuPoolArgs:
    """Arguments of ``KarpenterGpuPool``.

    Args:
        context: shared by all components of the stack.
        gpu_pool: the settings of that name.
        pools: of the stack (``node_pools.pools_of``).
        cluster_name: orders this component after the control plane.
        cluster_arn: identity of the cluster for the CRDs.
        cluster_endpoint: URL of the API server.
        subnet_ids: private subnets for the nodes.
        node_security_group_id: of every node of the cluster.
        kubeconfig_json: for the CRDs; a secret.
        oidc: the cluster's OIDC provider, for the roles of service accounts.
        karpenter: the rendered folder of Karpenter's version: CRDs, chart and images.
        upgrade_confirmed: the setting of that name.
        add_ons: key of ``software.GPU_SOFTWARE`` -> its rendered objects.
        ready: needed by pods: nodes, network, DNS. On destroy, they are deleted after the pools.
        unready_pods: hooks of Karpenter's release (``EksCluster.unready_pods``).
    """

    context: StackContext
    gpu_pool: GpuPoolSettings
    pools: Sequence[Pool]
    cluster_name: pulumi.Input[str]
    cluster_arn: pulumi.Input[str]
    cluster_endpoint: pulumi.Input[str]
    subnet_ids: pulumi.Input[Sequence[str]]
    node_security_group_id: pulumi.Input[str]
    kubeconfig_json: pulumi.Input[str]
    karpenter: Rendered
    add_ons: Mapping[str, Rendered]
    oidc: OidcProvider
    upgrade_confirmed: Sequence[str] = ()
    ready: Sequence[pulumi.Resource] = ()
    unready_pods: pulumi.ResourceHookBinding | None = None


class KarpenterGpuPool(pulumi.ComponentResource):
    """Karpenter with everything it needs in AWS, a pool of GPU nodes from zero, and further pools.

    Needs the providers ``aws`` and ``kubernetes``. On destroy the order is the reverse of the
    dependencies: NodePools (Karpenter terminates their nodes), EC2NodeClasses, Karpenter, its
    permissions, and only then its node group, so that Karpenter can remove all finalizers.
    """

    def __init__(
        self, name: str, args: KarpenterGpuPoolArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("kubeflow:platform:KarpenterGpuPool", name, None, opts)
        self._name = name
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        self._asks_for_prices = args.gpu_pool.asks_for_prices(args.context.region)

        nodes = KarpenterNodes(f"{name}-node", args.context, args.cluster_name, self._child)
        interruptions = KarpenterInterruptions(name, args.context, self._child)
        controller = KarpenterController(
            name,
            args.context,
            controller_policies(
                args.context.region,
                account_id=args.context.account_id,
                cluster_name=args.context.cluster,
                node_role_arn=nodes.role_arn,
                queue_arn=interruptions.queue_arn,
                spot=any("spot" in pool.capacity_types for pool in args.pools),
                asks_for_prices=self._asks_for_prices,
            ),
            cluster_name=args.cluster_name,
            oidc=args.oidc,
            opts=self._child,
        )
        overlays = overlays_of(args.pools, args.gpu_pool.prices, args.context.region)
        karpenter = self._karpenter(
            controller, interruptions.queue_name, node_overlays=bool(overlays)
        )
        KarpenterPools(
            name,
            args.context,
            args.pools,
            overlays,
            subnet_ids=args.subnet_ids,
            security_group_id=args.node_security_group_id,
            profile_name=nodes.profile_name,
            after=[karpenter, *nodes.ready, *interruptions.ready],
            opts=self._child,
        )
        for add_on, rendered in args.add_ons.items():
            name_part, fitted = GPU_SOFTWARE[add_on]
            self._software(name_part, fitted(rendered.objects, args.pools))
        self.register_outputs({})

    def _after(self, resources: Sequence[pulumi.Resource]) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, depends_on=list(resources))

    def _karpenter(
        self,
        controller: KarpenterController,
        queue_name: pulumi.Output[str],
        *,
        node_overlays: bool,
    ) -> k8s.helm.v3.Release:
        args = self._args
        crds = CustomResourceDefinitions(
            f"{self._name}-crds",
            crds=args.karpenter.crds,
            kubeconfig=args.kubeconfig_json,
            cluster=args.cluster_arn,
            release=ReleaseOfCrds(
                name=args.gpu_pool.karpenter_folder,
                confirmed=args.upgrade_confirmed,
                context=args.context,
            ),
            opts=self._child,
        )
        return k8s.helm.v3.Release(
            f"{self._name}-karpenter",
            name="karpenter",
            chart=args.karpenter.chart,
            namespace=NAMESPACE,
            # The chart installs its CRDs once and never upgrades them; here they are a resource.
            skip_crds=True,
            timeout=_INSTALL_SECONDS,
            values=chart.helm_values(
                region=args.context.region,
                version=args.gpu_pool.karpenter_version,
                cluster_name=args.context.cluster,
                cluster_endpoint=args.cluster_endpoint,
                queue_name=queue_name,
                role_arn=controller.annotated_role_arn,
                registry=args.context.image_registry,
                digest=chart.controller_digest(use.source for use in args.karpenter.images),
                asks_for_prices=self._asks_for_prices,
                node_overlays=node_overlays,
            ),
            opts=pulumi.ResourceOptions.merge(
                self._after([crds, *controller.ready, *args.ready]),
                pulumi.ResourceOptions(hooks=args.unready_pods),
            ),
        )

    def _software(self, name_part: str, objects: Sequence[dict[str, Any]]) -> None:
        args = self._args
        values = {"image.prefix": args.context.image_prefix}
        configuration = {ObjectKey.of(obj): obj for obj in objects if obj["kind"] in CONFIGURATION}
        prerequisites: list[pulumi.Resource] = []
        # Namespaces and ConfigMaps first: other objects are in them or read them.
        first = {"Namespace": 0, "ConfigMap": 1}
        for obj in sorted(objects, key=lambda obj: first.get(obj["kind"], 2)):
            read = [configuration[key] for key in read_by(obj) if key in configuration]
            resource = register(
                with_checksum(cast(dict[str, Any], bind(obj, values)), read),
                name=f"{self._name}-{name_part}-{obj['kind'].lower()}-{obj['metadata']['name']}",
                opts=self._after([*prerequisites, *args.ready]),
            )
            if obj["kind"] in first:
                prerequisites.append(resource)
