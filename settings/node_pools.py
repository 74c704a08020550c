"""Sections about Karpenter's node pools: ``gpuPool``, and the further ones in ``nodePools``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from packaging.version import Version
from pydantic import Field

from regions.region import Feature, Region
from settings import field_types as t
from settings.section import MANIFESTS, Section
from upgrades.asking import KARPENTER

CapacityType = Literal["on-demand", "spot", "reserved"]
ConsolidationPolicy = Literal["WhenEmpty", "WhenEmptyOrUnderutilized", "Balanced"]
Reason = Literal["Empty", "Underutilized", "Drifted"]

GPU_POOL = "gpu"
"""The name of the pool that ``gpuPool`` describes."""
BOTTLEROCKET = "bottlerocket@"
"""The start of the alias of every Bottlerocket AMI; all others are AL2023."""
DISCOVERY_TAG = "karpenter.sh/discovery"
"""Tag of a cluster's capacity reservations (Karpenter's docs, nodeclasses)."""


class Taint(Section):
    """A taint of a pool's nodes; only pods with a toleration run there.

    Attributes:
        key: the key of the taint.
        value: the value of the taint.
        effect: what it does. NoSchedule: no pod without a toleration starts there;
            PreferNoSchedule: only if nothing else has room; NoExecute: running ones leave too.
    """

    key: t.LabelName
    value: t.LabelValue = ""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] = "NoSchedule"


class Budget(Section):
    """How many nodes may go at once: always, or for ``duration`` from each time of ``schedule``.

    Attributes:
        nodes: a number, or a share of the pool's nodes; 0: none may go.
        reasons: reasons for which it counts; none: every reason.
        schedule: when it begins, five fields of cron in UTC; None: it always holds.
        duration: how long it holds from each time of ``schedule``.
    """

    nodes: t.NodeShare
    reasons: Annotated[list[Reason], t.Distinct] = []
    schedule: t.Schedule | None = None
    duration: t.BudgetDuration | None = None


def karpenter_versions(manifests: Path) -> list[str]:
    """The versions of Karpenter that have a folder, oldest first."""
    files = manifests.glob(f"{KARPENTER}*/release.yaml")
    folders = (file.parent.relative_to(manifests).as_posix() for file in files)
    return sorted((folder.removeprefix(KARPENTER) for folder in folders), key=Version)


def newest_karpenter() -> str:
    """The newest version of Karpenter that has a folder in ``manifests``."""
    return karpenter_versions(MANIFESTS)[-1]


class PoolSettings(Section):
    """Settings of any pool; None is a default from ``components/gpu/node_pools.py``.

    Attributes:
        instance_families: EC2 instance families from which Karpenter takes the cheapest that fits.
            Omitted, for GPUs: the region's families that current frameworks support; for CPUs: any
            of c, m and r.
        gpu_names: GPUs as Karpenter writes them (t4, a10g, v100); none: any of the families.
        gpu_counts: GPUs per machine. With larger machines allowed, trials that are pending together
            share one, which costs up to 3.7 times as much per GPU. ``[]``: any number, for pods
            that request several. None: one, where each family has such a machine.
        min_gpu_memory_gb: the least memory of one GPU, in GB as in data sheets. None: any.
        capacity_types: how machines are bought. spot: cheaper, with two minutes' notice before AWS
            takes the machine; reserved: capacity reservations with the tag
            ``karpenter.sh/discovery: <cluster.name>``. Of several, Karpenter prefers reserved, then
            spot.
        slices: pods that share one GPU by time slicing, without isolation of memory; they request
            ``nvidia.com/gpu.shared``. 1: one pod per GPU.
        taints: taints of the pool's nodes: only pods with a toleration run there. None: the name of
            the requested resource, for which the API server of EKS adds the toleration itself.
        labels: further labels of the pool's nodes, for selectors of pods.
        consolidation_policy: when nodes are removed. WhenEmpty: a node goes after its last pod; the
            two others also evict pods, to pack them on fewer machines.
        consolidate_after: how long an empty node remains: the next trial finds it warm, and it
            costs so long.
        budgets: how many nodes may go at once. None: all empty ones, and none for a newer AMI.
        expire_after: the age at which a node is drained. Since Karpenter 1.0 its replacement starts
            only then, which ends training; hence never.
        termination_minutes: the longest time for draining a node: pods that are not gone then are
            killed.
        weight: the order of pools: of two that a pod fits, the one with the higher weight is tried
            first. None: Karpenter's own order.
        disk_gib: the disk of each machine, for images and pod storage: images with CUDA and a
            framework are 10 GB each, and twice that unpacked.
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
        enabled: whether there is Karpenter, and with it any pool.
        max_gpus: the limit of the pool, in GPUs, never in slices, and so of the cost of a mistake.
            Karpenter may pass it briefly.
        ami_alias: the AMI, pinned, because another one would replace nodes; Bottlerocket
            (``bottlerocket@v1.<minor>.<patch>``) includes a device plugin.
        karpenter_version: the version of Karpenter, a folder under ``manifests/addons``; Kubernetes
            1.36 needs 1.13 or newer. Omitted: the newest.
        prices: where prices come from. api: Karpenter asks the price API, for both China regions
            the one in Ningxia; table: prices of ``regions/instance_prices.yaml``, for nodes that
            cannot reach it. A type without a price is never launched. None: api where the region
            has one.
        dcgm_exporter: whether every GPU node exports load, memory and temperature of each GPU with
            its pod, for Prometheus (port 9400).
    """

    enabled: bool = True
    max_gpus: Annotated[int, t.whole(1, 10000, "GPUs")] = 8
    ami_alias: t.AmiAlias = "al2023@v20260714"
    karpenter_version: t.KarpenterVersion = Field(default_factory=newest_karpenter)
    prices: Literal["api", "table"] | None = None
    dcgm_exporter: bool = False

    @property
    def karpenter_folder(self) -> str:
        """The folder of the version of Karpenter, below ``manifests``."""
        return f"{KARPENTER}{self.karpenter_version}"

    def asks_for_prices(self, region: Region) -> bool:
        """Whether Karpenter calls the price API from that region."""
        return self.prices != "table" and region.has(Feature.PRICE_API)


class NodePoolSettings(PoolSettings):
    """One further pool: with ``max_gpus`` a pool of GPUs, with ``max_cpus`` of machines without.

    Attributes:
        max_gpus: the limit of a pool of GPUs, in GPUs, never in slices. A pool has either this or
            ``maxCpus``.
        max_cpus: the limit of a pool of machines without GPU, in vCPUs.
        ami_alias: the AMI. None: that of the GPU pool.
    """

    max_gpus: Annotated[int, t.whole(1, 10000, "GPUs")] | None = None
    max_cpus: Annotated[int, t.whole(1, 100000, "vCPUs")] | None = None
    ami_alias: t.AmiAlias | None = None


def families_of(pool: GpuPoolSettings | NodePoolSettings, region: Region) -> tuple[str, ...]:
    """The instance families of a pool, by default those of the region; none: any without GPUs."""
    default = () if pool.max_gpus is None else region.gpu_families
    return tuple(pool.instance_families) or default
