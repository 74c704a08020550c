"""The node pools of a stack, every default filled in: settings and region in, plain data out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from regions.gpu_families import FAMILIES
from regions.region import Region
from settings import Settings
from settings.node_pools import (
    BOTTLEROCKET,
    GPU_POOL,
    Budget,
    GpuPoolSettings,
    NodePoolSettings,
    Taint,
    families_of,
)

GPU_RESOURCE = "nvidia.com/gpu"
SLICE_RESOURCE = "nvidia.com/gpu.shared"
"""What the device plugin calls a slice with ``renameByDefault`` (k8s-device-plugin, README)."""

# Named like the resource: the API server of EKS adds the toleration of that key to pods that
# request the resource (admission plugin ExtendedResourceToleration;
# docs/decisions/0036-gpu-taint-named-like-the-resource.md).
GPU_TAINT = Taint(key=GPU_RESOURCE, value="true")
SLICE_TAINT = Taint(key=SLICE_RESOURCE, value="true")
CPU_CATEGORIES = ("c", "m", "r")
"""Compute, general purpose and memory: for pools without GPUs that name no family."""

_BUDGETS = (
    # Karpenter's default, a tenth at a time, leaves most empty machines running, and on the bill.
    Budget(nodes="100%", reasons=["Empty"]),
    # With a grace period, drift ends even pods with the annotation against disruption (Karpenter's
    # disruption.md): only new nodes get a new AMI.
    Budget(nodes="0", reasons=["Drifted"]),
)
# Karpenter's own default, for pools whose running pods are also consolidated.
_PACKING = Budget(nodes="10%", reasons=["Underutilized"])


_DEFAULTS = GpuPoolSettings()


@dataclass(frozen=True, kw_only=True)
class Pool:
    """One NodePool and its machines.

    Attributes:
        name: of the NodePool and of its EC2NodeClass.
        families: EC2 instance families; empty: any of ``CPU_CATEGORIES``.
        gpu_names: as Karpenter writes them (t4, a10g); empty: any.
        gpu_counts: GPUs of one machine; empty: any number.
        min_gpu_memory_gb: of one GPU, in GB (10^9 bytes), as data sheets give it.
        capacity_types: any of ``reserved``, ``spot``, ``on-demand``; Karpenter prefers them in this
            order.
        max_gpus: of all nodes together; None: machines without GPU. Karpenter may exceed it
            briefly.
        max_cpus: vCPUs of all nodes together, where ``max_gpus`` is None.
        slices: pods that share one GPU by time slicing; 1: one pod per GPU.
        ami_alias: ``al2023@v<date>`` or ``bottlerocket@v<version>``.
        consolidate_after: how long a node is empty (or poorly used) before its removal, ``5m``.
        expire_after: the age at which a node is drained. Since Karpenter 1.0 its replacement starts
            only then, which would end training.
        termination_minutes: the longest time for draining a node.
        weight: higher is tried first; None: Karpenter's own order.
        disk_gib: images with CUDA and a framework are 10 GB each, unpacked twice that.
    """

    name: str = GPU_POOL
    families: Sequence[str]
    gpu_names: Sequence[str] = ()
    gpu_counts: Sequence[int] = ()
    min_gpu_memory_gb: int | None = None
    capacity_types: Sequence[str] = tuple(_DEFAULTS.capacity_types)
    max_gpus: int | None = None
    max_cpus: int | None = None
    slices: int = _DEFAULTS.slices
    ami_alias: str = _DEFAULTS.ami_alias
    taints: Sequence[Taint] = (GPU_TAINT,)
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    consolidation_policy: str = _DEFAULTS.consolidation_policy
    consolidate_after: str = _DEFAULTS.consolidate_after
    budgets: Sequence[Budget] = _BUDGETS
    expire_after: str = _DEFAULTS.expire_after
    termination_minutes: int = _DEFAULTS.termination_minutes
    weight: int | None = _DEFAULTS.weight
    disk_gib: int = _DEFAULTS.disk_gib

    @property
    def has_gpus(self) -> bool:
        """Whether its machines have GPUs."""
        return self.max_gpus is not None

    @property
    def sliced(self) -> bool:
        """Whether pods request its GPUs in slices, as ``SLICE_RESOURCE``."""
        return self.slices > 1

    @property
    def bottlerocket(self) -> bool:
        """Whether its machines run Bottlerocket, which has a device plugin of its own."""
        return self.ami_alias.startswith(BOTTLEROCKET)

    @property
    def reserved(self) -> bool:
        """Whether it uses capacity reservations that carry the discovery tag."""
        return "reserved" in self.capacity_types


def pools_of(settings: Settings, region: Region) -> tuple[Pool, ...]:
    """The GPU pool and the further ones, by name; none where the GPU pool is off."""
    gpu = settings.gpu_pool
    if not gpu.enabled:
        return ()
    counts = gpu.gpu_counts
    if counts is None:
        counts = cheapest_counts(families_of(gpu, region))
    further = [
        _pool(name, own, region, ami_alias=own.ami_alias or gpu.ami_alias)
        for name, own in sorted(settings.node_pools.items())
    ]
    return (_pool(GPU_POOL, gpu, region, gpu_counts=tuple(counts)), *further)


def cheapest_counts(families: Sequence[str]) -> tuple[int, ...]:
    """GPUs per machine for pods that request one each: one, if each family has such a machine.

    Karpenter packs pods that are pending together on one machine while any allowed type has room,
    and only then selects the cheapest type: three trials get a machine with four GPUs at two and a
    half times the price of three machines with one (docs/decisions/0048-one-gpu-per-machine.md).
    """
    counts = [FAMILIES[family].per_machine for family in families if family in FAMILIES]
    return (1,) if all(1 in sizes for sizes in counts) else ()


def _pool(
    name: str, own: GpuPoolSettings | NodePoolSettings, region: Region, **chosen: Any
) -> Pool:
    taint = SLICE_TAINT if own.slices > 1 else GPU_TAINT
    packing = () if own.consolidation_policy == "WhenEmpty" else (_PACKING,)
    values: dict[str, Any] = {
        "name": name,
        "families": families_of(own, region),
        "taints": () if own.max_gpus is None else (taint,),
        "budgets": (*_BUDGETS, *packing),
    }
    names = {field.name for field in fields(Pool)}
    values |= {key: value for key, value in own if key in names and value is not None}
    return Pool(**values | chosen)
