"""What Karpenter cannot know by itself: prices it cannot ask for, and slices of GPUs.

Pure. NodeOverlay is alpha and behind the feature gate of that name. How Karpenter 1.14 reads one:
kubernetes-sigs/karpenter v1.14.0 pkg/controllers/nodeoverlay and pkg/cloudprovider/types.go,
aws/karpenter-provider-aws 1d92708 pkg/providers/instancetype/offering.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from components.gpu.karpenter_objects import SLICED_COUNTS, Object
from components.gpu.node_pools import GPU_RESOURCE, SLICE_RESOURCE, Pool


def slice_overlays(pools: Iterable[Pool]) -> tuple[Object, ...]:
    """For every sliced pool and every number of GPUs a machine of it may have, its slices.

    Karpenter sizes nodes by the real GPUs of a machine, so it would make a node per slice, and
    never find a place for a pod that asks for ``SLICE_RESOURCE``. The whole GPU is taken away,
    because a sliced node registers none: a pod that wants one would get such a node and wait on it
    for ever. (``capacity`` is merged over what EC2 tells; only cpu, memory, ephemeral-storage and
    pods cannot be changed.)
    """
    return tuple(
        _overlay(
            f"{pool.name}-{count}-gpus-in-slices",
            [
                _one_of("karpenter.sh/nodepool", pool.name),
                _one_of("karpenter.k8s.aws/instance-gpu-count", str(count)),
            ],
            capacity={GPU_RESOURCE: "0", SLICE_RESOURCE: str(count * pool.slices)},
        )
        for pool in pools
        if pool.sliced
        for count in pool.gpu_counts or SLICED_COUNTS
    )


def price_overlays(prices: Mapping[str, str]) -> tuple[Object, ...]:
    """One overlay per instance type with its price.

    A type without a price is never launched. An overlay gives it one only while it names nothing
    but the instance type (offering.go, GetOverlayPrice), so it holds for Spot and reserved capacity
    as well: among capacity types Karpenter still prefers reserved, then Spot.
    """
    return tuple(
        _overlay(
            f"price-of-{instance_type.replace('.', '-')}",
            [_one_of("node.kubernetes.io/instance-type", instance_type)],
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


def _one_of(key: str, value: str) -> dict[str, Any]:
    return {"key": key, "operator": "In", "values": [value]}
