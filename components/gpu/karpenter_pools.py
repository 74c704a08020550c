"""The pools of a stack in its cluster: EC2NodeClasses, NodePools and NodeOverlays."""

from __future__ import annotations

from collections.abc import Sequence
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

_EC2_TERMINATION_MINUTES = 15  # of drained machines


class KarpenterPools(pulumi.ComponentResource):
    """An EC2NodeClass and a NodePool per pool, after the NodeOverlays.

    Each pool has its own node class: another image or disk for one pool replaces no nodes of the
    others.

    Args:
        name: of the component.
        context: shared by all components of the stack.
        pools: one NodePool each.
        overlays: the NodeOverlays of those pools (``overlays_of``).
        subnet_ids: of the nodes.
        security_group_id: of the nodes.
        profile_name: instance profile of the nodes.
        after: Karpenter, and the resources that its nodes need.
        opts: of the component.
    """

    def __init__(
        self,
        name: str,
        context: StackContext,
        pools: Sequence[Pool],
        overlays: Sequence[objects.Object],
        *,
        subnet_ids: pulumi.Input[Sequence[str]],
        security_group_id: pulumi.Input[str],
        profile_name: pulumi.Input[str],
        after: Sequence[pulumi.Resource],
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("kubeflow:platform:KarpenterPools", name, None, opts)
        first = pulumi.ResourceOptions(parent=self, depends_on=list(after))
        subnets = pulumi.Output.from_input(subnet_ids).apply(
            lambda ids: [{"id": subnet} for subnet in ids]
        )
        # Before the pools: without overlays Karpenter sizes nodes by EC2's data.
        registered = [
            register(overlay, name=f"{name}-{overlay['metadata']['name']}", opts=first)
            for overlay in overlays
        ]
        for pool in pools:
            suffix = "" if pool.name == GPU_POOL else f"-{pool.name}"
            node_class = register(
                objects.ec2_node_class(
                    pool,
                    cluster_name=context.cluster,
                    subnets=subnets,
                    security_group=security_group_id,
                    instance_profile=profile_name,
                    tags=context.tags,
                ),
                name=f"{name}-node-class{suffix}",
                opts=first,
            )
            minutes = pool.termination_minutes + _EC2_TERMINATION_MINUTES
            register(
                objects.node_pool(pool),
                name=f"{name}-node-pool{suffix}",
                opts=pulumi.ResourceOptions(
                    parent=self,
                    depends_on=[node_class, *registered],
                    custom_timeouts=pulumi.CustomTimeouts(delete=f"{minutes}m"),
                ),
            )
        self.register_outputs({})


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
