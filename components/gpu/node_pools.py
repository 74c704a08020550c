"""The node pools of a stack, every default filled in: settings and region in, plain data out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from regions.gpu_families import FAMILIES
from regions.region import Region
from settings import Settings
from settings.node_pools import BOTTLEROCKET, Budget, GpuPoolSettings, NodePoolSettings, Taint

GPU_POOL = "gpu"
"""The name of the pool that ``gpuPool`` describes."""
GPU_RESOURCE = "nvidia.com/gpu"
SLICE_RESOURCE = "nvidia.com/gpu.shared"
"""What the device plugin calls a slice with ``renameByDefault`` (k8s-device-plugin, README)."""

# Named like what pods ask for: the API server of EKS gives whoever asks for a resource the
# toleration of that key (admission plugin ExtendedResourceToleration;
# docs/decisions/0036-gpu-taint-named-like-the-resource.md).
GPU_TAINT = Taint(key=GPU_RESOURCE, value="true")
SLICE_TAINT = Taint(key=SLICE_RESOURCE, value="true")
CPU_CATEGORIES = ("c", "m", "r")
"""Where a pool without GPUs names no family: compute, general purpose and memory."""

_BUDGETS = (
    # The default, a tenth at a time, keeps most empty machines on the bill.
    Budget(nodes="100%", reasons=["Empty"]),
    # With a grace period set, drift would end even pods that ask not to be disrupted (Karpenter's
    # disruption.md): a new AMI comes with the next fresh node instead.
    Budget(nodes="0", reasons=["Drifted"]),
)
# Karpenter's own default, for pools that are also packed tighter while pods run.
_PACKING = Budget(nodes="10%", reasons=["Underutilized"])


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
        max_gpus: of all nodes together; None: machines without GPU. Karpenter may pass it for a
            moment.
        max_cpus: vCPUs of all nodes together, where ``max_gpus`` is None.
        slices: pods that take turns on one GPU; 1: a GPU belongs to one pod.
        ami_alias: ``al2023@v<date>`` or ``bottlerocket@v<version>``.
        consolidate_after: how long a node stays empty (or poorly used) before it goes, ``5m``.
        expire_after: how old a node gets. Since v1 expiry drains before there is a replacement: it
            would end training.
        termination_minutes: the longest a node waits for its pods once it must go.
        weight: higher is tried first; None: Karpenter's own order.
        disk_gib: images with CUDA and a framework are 10 GB each, unpacked twice that.
    """

    name: str = GPU_POOL
    families: Sequence[str]
    gpu_names: Sequence[str] = ()
    gpu_counts: Sequence[int] = ()
    min_gpu_memory_gb: int | None = None
    capacity_types: Sequence[str] = ("on-demand",)
    max_gpus: int | None = None
    max_cpus: int | None = None
    slices: int = 1
    ami_alias: str = "al2023@v20260714"
    taints: Sequence[Taint] = (GPU_TAINT,)
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    consolidation_policy: str = "WhenEmpty"
    consolidate_after: str = "5m"
    budgets: Sequence[Budget] = _BUDGETS
    expire_after: str = "Never"
    termination_minutes: int = 30
    weight: int | None = None
    disk_gib: int = 200

    @property
    def has_gpus(self) -> bool:
        """Whether its machines have GPUs."""
        return self.max_gpus is not None

    @property
    def sliced(self) -> bool:
        """Whether its GPUs are handed out in slices, as ``SLICE_RESOURCE``."""
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
    families = gpu.families(region)
    counts = cheapest_counts(families) if gpu.gpu_counts is None else tuple(gpu.gpu_counts)
    found = [
        replace(_common(GPU_POOL, gpu), families=families, max_gpus=gpu.max_gpus, gpu_counts=counts)
    ]
    for name, wanted in sorted(settings.node_pools.items()):
        default = region.gpu_families if wanted.max_gpus is not None else ()
        found.append(
            replace(
                _common(name, wanted),
                families=tuple(wanted.instance_families) or default,
                max_gpus=wanted.max_gpus,
                max_cpus=wanted.max_cpus,
                ami_alias=wanted.ami_alias or gpu.ami_alias,
            )
        )
    return tuple(found)


def cheapest_counts(families: Sequence[str]) -> tuple[int, ...]:
    """GPUs per machine for pods that ask for one each: one, where each family has such a machine.

    Karpenter puts pods that wait together on one machine as long as any allowed type holds them,
    and looks for the cheapest type only then: three trials get a machine with four GPUs at two and
    a half times the price of three machines with one
    (docs/decisions/0048-one-gpu-per-machine.md).
    """
    known = [FAMILIES[family].per_machine for family in families if family in FAMILIES]
    return (1,) if all(1 in sizes for sizes in known) else ()


def _common(name: str, wanted: GpuPoolSettings | NodePoolSettings) -> Pool:
    policy = wanted.consolidation_policy
    own = SLICE_TAINT if wanted.slices > 1 else GPU_TAINT
    taints = (own,) if wanted.max_gpus is not None else ()
    budgets = _BUDGETS if policy == "WhenEmpty" else (*_BUDGETS, _PACKING)
    return Pool(
        name=name,
        families=(),
        gpu_names=tuple(wanted.gpu_names),
        gpu_counts=tuple(wanted.gpu_counts or ()),
        min_gpu_memory_gb=wanted.min_gpu_memory_gb,
        capacity_types=tuple(wanted.capacity_types),
        slices=wanted.slices,
        ami_alias=wanted.ami_alias or "",
        taints=taints if wanted.taints is None else tuple(wanted.taints),
        labels=dict(wanted.labels),
        consolidation_policy=policy,
        consolidate_after=wanted.consolidate_after,
        budgets=budgets if wanted.budgets is None else tuple(wanted.budgets),
        expire_after=wanted.expire_after,
        termination_minutes=wanted.termination_minutes,
        weight=wanted.weight,
        disk_gib=wanted.disk_gib,
    )
