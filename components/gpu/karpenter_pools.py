"""The pools of a stack in its cluster: EC2NodeClasses, NodePools and NodeOverlays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pulumi

from components.gpu import karpenter_objects as objects
from components.gpu.node_pools import Pool
from components.gpu.overlays import price_overlays, slice_overlays
from components.objects.kubernetes_objects import register
from regions.instance_prices import prices_in
from regions.region import Region
from settings.context import StackContext
from settings.node_pools import GPU_POOL

# After draining, EC2 has to terminate the machines.
_ENDING_MINUTES = 15


@dataclass(frozen=True, kw_only=True)
class KarpenterPoolsArgs:
    """Arguments of ``KarpenterPools``.

    Args:
        context: shared by all components of the stack.
        pools: one NodePool each.
        overlays: the NodeOverlays of those pools (``overlays_of``).
        profile_name: instance profile of the nodes.
        after: Karpenter, and the resources that its nodes need.
    """

    context: StackContext
    pools: Sequence[Pool]
    overlays: Sequence[objects.Object]
    profile_name: pulumi.Input[str]
    after: Sequence[pulumi.Resource]


class KarpenterPools(pulumi.ComponentResource):
    """An EC2NodeClass and a NodePool per pool, after the NodeOverlays.

    Each pool has its own node class: another image or disk for one pool replaces no nodes of the
    others.
    """

    def __init__(
        self, name: str, args: KarpenterPoolsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("kubeflow:platform:KarpenterPools", name, None, opts)
        self._name = name
        self._args = args
        # Before the pools: without overlays Karpenter sizes nodes by EC2's data.
        overlays = [
            register(
                overlay,
                name=f"{name}-{overlay['metadata']['name']}",
                opts=pulumi.ResourceOptions(parent=self, depends_on=list(args.after)),
            )
            for overlay in args.overlays
        ]
        for pool in args.pools:
            self._pool(pool, overlays)
        self.register_outputs({})

    def _pool(self, pool: Pool, overlays: Sequence[pulumi.Resource]) -> None:
        args, suffix = self._args, "" if pool.name == GPU_POOL else f"-{pool.name}"
        node_class = register(
            objects.ec2_node_class(
                pool,
                cluster_name=args.context.cluster,
                instance_profile=args.profile_name,
                tags=args.context.tags,
            ),
            name=f"{self._name}-node-class{suffix}",
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(args.after)),
        )
        minutes = pool.termination_minutes + _ENDING_MINUTES
        register(
            objects.node_pool(pool),
            name=f"{self._name}-node-pool{suffix}",
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[node_class, *overlays],
                custom_timeouts=pulumi.CustomTimeouts(delete=f"{minutes}m"),
            ),
        )


def overlays_of(
    pools: Sequence[Pool], prices: Literal["api", "table"] | None, region: Region
) -> tuple[objects.Object, ...]:
    """The NodeOverlays of a stack; none for whole GPUs with live prices.

    Args:
        pools: of the stack.
        prices: the setting ``gpuPool.prices``.
        region: of the price table, where ``prices`` is ``table``.
    """
    table = prices_in(region.name) if prices == "table" else None
    families = {family for pool in pools for family in pool.families}
    return (*slice_overlays(pools), *(price_overlays(table.of(families)) if table else ()))
