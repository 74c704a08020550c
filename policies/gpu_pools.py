"""GPU machines are bought up to a limit, and only for pods that ask for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from policies.documents import listed
from policies.model import Resource, Stack, Violation, policy
from regions.machines import machines
from regions.region import GPU_FAMILIES

GPU = "nvidia.com/"
"""Beginning of the resource, label and taint names of NVIDIA's GPUs."""
# What a limit counts: https://karpenter.sh/docs/concepts/nodepools/#speclimits, and the resources
# of NVIDIA's device plugin, MIG profiles too.
_COUNTED = ("nvidia.com/gpu", "nvidia.com/mig-", "cpu", "memory", "nodes")


def gpu_pools(stack: Stack) -> Iterator[Resource]:
    """Karpenter's pools that buy GPU machines."""
    for pool in stack.of("kubernetes:karpenter.sh/"):
        if pool.inputs.get("kind") == "NodePool" and _buys_gpus(pool):
            yield pool


def _buys_gpus(pool: Resource) -> bool:
    """Whether a machine with GPUs meets the pool's requirements, or one that it names has some.

    The table of machines has those for amd64.
    """
    requirements = listed(pool.get("spec.template.spec.requirements"))
    labels: dict[str, Any] = pool.get("spec.template.metadata.labels") or {}
    named = {
        str(value).partition(".")[0]
        for each in requirements
        if each.get("operator") == "In"
        for value in listed(each.get("values"))
    }
    return (
        any(label.startswith(GPU) for label in labels)
        or not named.isdisjoint(GPU_FAMILIES)
        or any(machine.gpus and machine.meets(requirements) for machine in machines().values())
    )


@policy("gpu-pool-limit", severity="high")
def gpu_pool_limit(stack: Stack) -> Iterator[Violation]:
    """Every GPU pool has a limit."""
    for pool in gpu_pools(stack):
        limits: dict[str, Any] = pool.get("spec.limits") or {}
        if not any(name.startswith(_COUNTED) for name in limits):
            yield pool.finding(
                "spec.limits",
                "one loop of a notebook buys machines without end; set maxGpus of the pool.",
            )


@policy("gpu-pool-taint", severity="medium")
def gpu_pool_taint(stack: Stack) -> Iterator[Violation]:
    """Every GPU pool and GPU node group keeps pods without GPUs away."""
    for pool in gpu_pools(stack):
        if not any(
            str(taint.get("key")).startswith(GPU)
            and taint.get("effect") in ("NoSchedule", "NoExecute")
            for taint in listed(pool.get("spec.template.spec.taints"))
        ):
            yield pool.finding(
                "spec.template.spec.taints",
                "pods without GPUs start and hold GPU machines; add a taint nvidia.com/gpu.",
            )
    for group in stack.only("aws:eks/nodeGroup:NodeGroup"):
        types = listed(group.inputs.get("instanceTypes"))
        gpus = [name for name in types if str(name).partition(".")[0] in GPU_FAMILIES]
        if gpus and not group.inputs.get("taints"):
            yield group.finding(
                "taints", f"pods without GPUs fill {gpus[0]}; add a taint nvidia.com/gpu."
            )
