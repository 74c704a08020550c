"""Sections about Karpenter's node pools: ``gpuPool``, and the further ones in ``nodePools``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from regions.region import Feature, Region
from settings import field_types as t
from settings.section import MANIFESTS, Section

CapacityType = Literal["on-demand", "spot", "reserved"]
ConsolidationPolicy = Literal["WhenEmpty", "WhenEmptyOrUnderutilized", "Balanced"]
Reason = Literal["Empty", "Underutilized", "Drifted"]

BOTTLEROCKET = "bottlerocket@"
"""How the alias of every Bottlerocket AMI begins; all others are AL2023."""


class Taint(Section):
    """What keeps pods without a toleration off the nodes of a pool."""

    key: t.LabelName
    value: t.LabelValue = ""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] = "NoSchedule"


class Budget(Section):
    """How many nodes may go at once; always, or for ``duration`` from each hit of ``schedule``."""

    nodes: t.NodeShare
    reasons: Annotated[list[Reason], t.Distinct] = []
    schedule: str | None = None
    duration: t.BudgetDuration | None = None


KARPENTER = "karpenter-"
"""Begins the name of the folder of each version of Karpenter, under ``manifests/addons``."""


def numbers(version: str) -> tuple[int, ...]:
    """``1.14.1`` -> (1, 14, 1)."""
    return tuple(int(part) for part in version.split("."))


def newest_karpenter() -> str:
    """The newest version of Karpenter that ``manifests/addons`` has a folder of."""
    folders = (MANIFESTS / "addons").glob(f"{KARPENTER}*")
    return max((folder.name.removeprefix(KARPENTER) for folder in folders), key=numbers)


class PoolSettings(Section):
    """What any pool may say; None is a default that ``node_pools`` decides.

    ``gpu_names`` as Karpenter writes them (t4, a10g, v100). ``min_gpu_memory_gb`` as data sheets
    give it. ``slices``: pods that take turns on one GPU; ``max_gpus`` counts GPUs, never slices.
    ``weight``: of two pools a pod fits, the one with the higher weight is tried first.
    """

    instance_families: Annotated[list[str], t.Distinct] = []
    gpu_names: Annotated[list[t.GpuName], t.Distinct] = []
    gpu_counts: Annotated[list[Annotated[int, t.whole(1, 16, "GPUs")]], t.Distinct] | None = None
    min_gpu_memory_gb: Annotated[int, t.whole(1, 1024, "GB")] | None = None
    capacity_types: Annotated[list[CapacityType], t.Distinct] = ["on-demand"]
    slices: Annotated[int, t.whole(1, 48, "slices")] = 1
    taints: list[Taint] | None = None
    labels: dict[str, t.LabelValue] = {}
    consolidation_policy: ConsolidationPolicy = "WhenEmpty"
    consolidate_after: t.Duration = "5m"
    budgets: list[Budget] | None = None
    expire_after: t.Duration = "Never"
    termination_minutes: Annotated[int, t.whole(1, 1440, "minutes")] = 30
    weight: Annotated[int, t.whole(1, 100, "(Karpenter's range)")] | None = None
    disk_gib: Annotated[int, t.whole(20, 16384, "GiB")] = 200


class GpuPoolSettings(PoolSettings):
    """Karpenter itself, and its GPU pool that grows from zero.

    No ``instance_families``: the region's own. ``prices`` None: the price API where Karpenter can
    call one, else what its release knows. ``dcgm_exporter``: metrics of every GPU.
    """

    enabled: bool = True
    max_gpus: Annotated[int, t.whole(1, 10000, "GPUs")] = 8
    ami_alias: t.AmiAlias = "al2023@v20260714"
    karpenter_version: t.KarpenterVersion = Field(default_factory=newest_karpenter)
    prices: Literal["api", "table"] | None = None
    dcgm_exporter: bool = False

    def families(self, region: Region) -> tuple[str, ...]:
        """The instance families the pool may use in that region."""
        return tuple(self.instance_families) or region.gpu_families

    def asks_for_prices(self, region: Region) -> bool:
        """Whether Karpenter calls the price API from there."""
        return self.prices != "table" and region.has(Feature.PRICE_API)


class NodePoolSettings(PoolSettings):
    """One further pool: of GPUs where it has ``max_gpus``, of machines without where ``max_cpus``.

    ``ami_alias`` None: that of the GPU pool.
    """

    max_gpus: Annotated[int, t.whole(1, 10000, "GPUs")] | None = None
    max_cpus: Annotated[int, t.whole(1, 100000, "vCPUs")] | None = None
    ami_alias: t.AmiAlias | None = None
