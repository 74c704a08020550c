"""NodeOverlays: prices from a table, and slices of GPUs, of which EC2 has no data.

Pure. NodeOverlay is alpha and behind the feature gate of that name. How Karpenter 1.14 reads one:
kubernetes-sigs/karpenter v1.14.0 pkg/controllers/nodeoverlay and pkg/cloudprovider/types.go,
aws/karpenter-provider-aws 1d92708 pkg/providers/instancetype/offering.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from components.gpu.karpenter_objects import SLICED_COUNTS, Object, one_of
from components.gpu.node_pools import GPU_RESOURCE, SLICE_RESOURCE, Pool


def slice_overlays(pools: Iterable[Pool]) -> tuple[Object, ...]:
    """The slices of a machine, for every sliced pool and every number of GPUs in a machine.

    Karpenter sizes nodes by the real GPUs of a machine: without overlays it has no machine for a
    pod that requests ``SLICE_RESOURCE``. The number of whole GPUs is 0, as on the node itself: a
    pod that requests one would start such a node and be pending for ever. (``capacity`` overrides
    EC2's data, except for cpu, memory, ephemeral-storage and pods.)
    """
    return tuple(
        _overlay(
            f"{pool.name}-{count}-gpus-in-slices",
            [
                one_of("karpenter.sh/nodepool", [pool.name]),
                one_of("karpenter.k8s.aws/instance-gpu-count", [str(count)]),
            ],
            capacity={GPU_RESOURCE: "0", SLICE_RESOURCE: str(count * pool.slices)},
        )
        for pool in pools
        if pool.sliced
        for count in pool.gpu_counts or SLICED_COUNTS
    )


def price_overlays(prices: Mapping[str, str]) -> tuple[Object, ...]:
    """One overlay per instance type with its price.

    A type without a price is never launched. An overlay's price has effect only if the overlay
    names nothing but the instance type (offering.go, GetOverlayPrice), so it is also the price of
    Spot and reserved capacity: Karpenter still prefers reserved, then Spot.
    """
    return tuple(
        _overlay(
            f"price-of-{instance_type.replace('.', '-')}",
            [one_of("node.kubernetes.io/instance-type", [instance_type])],
            price=price,
        )
        for instance_type, price in sorted(prices.items())
    )


def _overlay(name: str, requirements: list[dict[str, Any]], **what: Any) -> Object:
    return {
        "apiVersion": "karpenter.sh/v1alpha1",
        "kind": "NodeOverlay",
        "metadata": {"name": name},
        "spec": {"requirements": requirements, **what},
    }
