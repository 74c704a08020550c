"""Sections about Karpenter's node pools: ``gpuPool``, and the further ones in ``nodePools``."""

from __future__ import annotations

from typing import Annotated, Literal

from packaging.version import Version
from pydantic import Field

from regions.region import Feature, Region
from settings import field_types as t
from settings.section import MANIFESTS, Section

CapacityType = Literal["on-demand", "spot", "reserved"]
ConsolidationPolicy = Literal["WhenEmpty", "WhenEmptyOrUnderutilized", "Balanced"]
Reason = Literal["Empty", "Underutilized", "Drifted"]

GPU_POOL = "gpu"
"""The name of the pool that ``gpuPool`` describes."""
BOTTLEROCKET = "bottlerocket@"
"""The start of the alias of every Bottlerocket AMI; all others are AL2023."""
DISCOVERY_TAG = "karpenter.sh/discovery"
"""Tag of a cluster's capacity reservations (Karpenter's docs, nodeclasses)."""
KARPENTER = "karpenter-"
"""The start of the name of the folder of each version of Karpenter, under ``manifests/addons``."""


class Taint(Section):
    """A taint of a pool's nodes; only pods with a toleration run there."""

    key: t.LabelName
    value: t.LabelValue = ""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] = "NoSchedule"


class Budget(Section):
    """How many nodes may go at once: always, or for ``duration`` from each time of ``schedule``."""

    nodes: t.NodeShare
    reasons: Annotated[list[Reason], t.Distinct] = []
    schedule: t.Schedule | None = None
    duration: t.BudgetDuration | None = None


def newest_karpenter() -> str:
    """The newest version of Karpenter that has a folder in ``manifests/addons``."""
    folders = (MANIFESTS / "addons").glob(f"{KARPENTER}*")
    return max((folder.name.removeprefix(KARPENTER) for folder in folders), key=Version)


class PoolSettings(Section):
    """Settings of any pool; None is a default from ``components/gpu/node_pools.py``.

    Attributes:
        gpu_names: as Karpenter writes them (t4, a10g, v100).
        gpu_counts: GPUs per machine.
        min_gpu_memory_gb: of one GPU, in GB as in data sheets.
        slices: pods that share one GPU by time slicing.
        weight: of two pools that a pod fits, the one with the higher weight is tried first.
    """

    instance_families: Annotated[list[t.InstanceFamily], t.Distinct] = []
    gpu_names: Annotated[list[t.GpuName], t.Distinct] = []
    gpu_counts: Annotated[list[Annotated[int, t.whole(1, 16, "GPUs")]], t.Distinct] | None = None
    min_gpu_memory_gb: Annotated[int, t.whole(1, 1024, "GB")] | None = None
    capacity_types: Annotated[list[CapacityType], t.Distinct] = ["on-demand"]
    slices: Annotated[int, t.whole(1, 48, "slices")] = 1
    taints: list[Taint] | None = None
    labels: dict[str, t.LabelValue] = {}
    consolidation_policy: ConsolidationPolicy = "WhenEmpty"
    consolidate_after: t.Duration = "5m"
    budgets: Annotated[list[Budget], t.at_most(50, "Karpenter takes no more budgets")] | None = None
    expire_after: t.Age = "Never"
    termination_minutes: Annotated[int, t.whole(1, 1440, "minutes")] = 30
    weight: Annotated[int, t.whole(1, 100, "(Karpenter's range)")] | None = None
    disk_gib: Annotated[int, t.whole(20, 16384, "GiB")] = 200


class GpuPoolSettings(PoolSettings):
    """Karpenter itself, and its GPU pool that grows from zero.

    Attributes:
        max_gpus: the limit of the pool, in GPUs, never in slices.
        prices: None: the price API where Karpenter can reach one, else its release's own table.
        dcgm_exporter: whether every GPU node exports metrics of its GPUs.
    """

    enabled: bool = True
    max_gpus: Annotated[int, t.whole(1, 10000, "GPUs")] = 8
    ami_alias: t.AmiAlias = "al2023@v20260714"
    karpenter_version: t.KarpenterVersion = Field(default_factory=newest_karpenter)
    prices: Literal["api", "table"] | None = None
    dcgm_exporter: bool = False

    def asks_for_prices(self, region: Region) -> bool:
        """Whether Karpenter calls the price API from that region."""
        return self.prices != "table" and region.has(Feature.PRICE_API)


class NodePoolSettings(PoolSettings):
    """One further pool: with ``max_gpus`` a pool of GPUs, with ``max_cpus`` of machines without.

    Attributes:
        max_gpus: the limit of the pool, in GPUs, never in slices.
        max_cpus: the limit of the pool, in vCPUs.
        ami_alias: None: that of the GPU pool.
    """

    max_gpus: Annotated[int, t.whole(1, 10000, "GPUs")] | None = None
    max_cpus: Annotated[int, t.whole(1, 100000, "vCPUs")] | None = None
    ami_alias: t.AmiAlias | None = None


def families_of(pool: GpuPoolSettings | NodePoolSettings, region: Region) -> tuple[str, ...]:
    """The instance families of a pool, by default those of the region; none: any without GPUs."""
    default = () if pool.max_gpus is None else region.gpu_families
    return tuple(pool.instance_families) or default
