"""Rules over Karpenter's pools: families, GPUs, slices, prices, labels and budgets."""

from __future__ import annotations

import re
from collections.abc import Iterator

from regions.instance_prices import NAME as PRICE_TABLE
from regions.instance_prices import prices_in
from regions.region import GPU_FAMILIES, Feature
from settings.errors import full_key, listed, nearest, told
from settings.facts import ARM_FAMILY, Facts, Rules
from settings.field_types import LABEL_NAME
from settings.node_pools import BOTTLEROCKET, NodePoolSettings, PoolSettings

RULES = Rules()

Path = tuple[str, ...]

GPU_POOL_NAME = "gpu"
_POOL_NAME = re.compile(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?")
# Set by Karpenter, by EKS or by this program (node labels and what the device plugin selects).
_OUR_LABELS = re.compile(
    r"([a-z0-9-]+\.)*(karpenter\.(sh|k8s\.aws)|kubernetes\.io|k8s\.io)/.*|nvidia\.com/.*"
)
# Time slicing in Bottlerocket (bottlerocket.dev, settings of 1.26.x).
_OLDEST_BOTTLEROCKET = 26


def _further(f: Facts) -> Iterator[tuple[Path, NodePoolSettings]]:
    for name, pool in f.settings.node_pools.items():
        yield ("nodePools", name), pool


# -- which machines -------------------------------------------------------------------------------


@RULES.reads("gpuPool.instanceFamilies", "region")
def _gpu_families_are_offered(f: Facts) -> Iterator[str]:
    yield from _gpu_families(f, ("gpuPool",), f.settings.gpu_pool)


@RULES.reads("nodePools", "region")
def _further_families_are_offered(f: Facts) -> Iterator[str]:
    for path, pool in _further(f):
        if pool.max_gpus is not None:
            yield from _gpu_families(f, path, pool)
        else:
            yield from _cpu_families(path, pool)


def _gpu_families(f: Facts, path: Path, pool: PoolSettings) -> Iterator[str]:
    offered = f.region.gpu_families_offered
    for index, name in enumerate(pool.instance_families):
        key = full_key((*path, "instanceFamilies", index))
        family = name.partition(".")[0]
        if family not in GPU_FAMILIES:
            hint = nearest(family, offered)
            yield told(key, name, f"that is no NVIDIA GPU family: {hint}")
        elif family != name:
            yield told(key, name, f"that is an instance type: write its family, {family}")
        elif ARM_FAMILY.fullmatch(family):
            yield told(key, name, "it is Arm, and Kubeflow's images are amd64 only: use g5")
        elif name not in offered:
            yield told(
                key,
                name,
                f"{f.region.name} does not offer it: use {listed(offered)}",
            )


def _cpu_families(path: Path, pool: NodePoolSettings) -> Iterator[str]:
    for index, name in enumerate(pool.instance_families):
        key = full_key((*path, "instanceFamilies", index))
        family = name.partition(".")[0]
        if family in GPU_FAMILIES:
            limit = full_key((*path, "maxGpus"))
            yield told(key, name, f"its machines have GPUs: limit the pool by {limit}")
        elif family != name:
            yield told(key, name, f"that is an instance type: write its family, {family}")
        elif ARM_FAMILY.fullmatch(family):
            yield told(key, name, "it is Arm, and Kubeflow's images are amd64 only: use m6i")


@RULES.reads("gpuPool.capacityTypes", "gpuPool.enabled")
def _gpu_pool_has_capacity(f: Facts) -> Iterator[str]:
    yield from _capacity(("gpuPool",), f.settings.gpu_pool)


@RULES.reads("nodePools")
def _further_pools_have_capacity(f: Facts) -> Iterator[str]:
    for path, pool in _further(f):
        yield from _capacity(path, pool)


def _capacity(path: Path, pool: PoolSettings) -> Iterator[str]:
    if not pool.capacity_types:
        yield told(full_key((*path, "capacityTypes")), "", "name one, for example on-demand")


# -- what a further pool is -----------------------------------------------------------------------


@RULES.reads("nodePools", "gpuPool.enabled")
def _further_pools_have_karpenter(f: Facts) -> Iterator[str]:
    if f.settings.node_pools and not f.settings.gpu_pool.enabled:
        yield told(
            full_key("nodePools"),
            listed(f.settings.node_pools, "and"),
            f"without {full_key('gpuPool.enabled')} there is no Karpenter: set it to true or "
            "remove them",
        )


@RULES.reads("nodePools")
def _further_pools_have_a_name_and_a_kind(f: Facts) -> Iterator[str]:
    for path, pool in _further(f):
        name, key = path[-1], full_key(path)
        gpus, cpus = full_key((*path, "maxGpus")), full_key((*path, "maxCpus"))
        if name == GPU_POOL_NAME:
            other = full_key("gpuPool")
            yield f"{key} has the name of the pool in {other}: choose another, for example gpu-2."
        elif not _POOL_NAME.fullmatch(name):
            yield (
                f"{key} has a name that no object can have: use up to 40 lower-case letters, "
                "digits and hyphens, a letter first."
            )
        if pool.max_gpus is None and pool.max_cpus is None:
            yield f"{key} has no limit: add {gpus} for a pool of GPUs, or {cpus} for one without."
        elif pool.max_gpus is not None and pool.max_cpus is not None:
            why = f"{gpus} makes it a pool of GPUs, which it limits: remove one of them"
            yield told(cpus, pool.max_cpus, why)


@RULES.reads("nodePools")
def _only_gpu_pools_choose_gpus(f: Facts) -> Iterator[str]:
    for path, pool in _further(f):
        if pool.max_cpus is None or pool.max_gpus is not None:
            continue
        chosen = {
            "gpuNames": pool.gpu_names,
            "gpuCounts": pool.gpu_counts,
            "minGpuMemoryGb": pool.min_gpu_memory_gb,
            "slices": pool.slices if pool.slices > 1 else None,
        }
        for setting, value in chosen.items():
            if value:
                limit = full_key((*path, "maxGpus"))
                why = f"the pool has no GPUs: limit it by {limit}, or remove this"
                yield told(full_key((*path, setting)), value, why)


# -- what its nodes carry and how they go ---------------------------------------------------------


@RULES.reads("gpuPool.labels")
def _gpu_labels_are_free(f: Facts) -> Iterator[str]:
    yield from _labels(("gpuPool",), f.settings.gpu_pool)


@RULES.reads("nodePools")
def _further_labels_are_free(f: Facts) -> Iterator[str]:
    for path, pool in _further(f):
        yield from _labels(path, pool)


def _labels(path: Path, pool: PoolSettings) -> Iterator[str]:
    for name, value in pool.labels.items():
        key = full_key((*path, "labels", name))
        if _OUR_LABELS.fullmatch(name):
            why = "Kubernetes, Karpenter or NVIDIA's software sets it itself: choose another name"
            yield told(key, value, why)
        elif not LABEL_NAME.fullmatch(name):
            yield told(key, value, "label names look like example.com/team: write such a one")


@RULES.reads("gpuPool.budgets")
def _gpu_budgets_are_whole(f: Facts) -> Iterator[str]:
    yield from _budgets(("gpuPool",), f.settings.gpu_pool)


@RULES.reads("nodePools")
def _further_budgets_are_whole(f: Facts) -> Iterator[str]:
    for path, pool in _further(f):
        yield from _budgets(path, pool)


def _budgets(path: Path, pool: PoolSettings) -> Iterator[str]:
    for index, budget in enumerate(pool.budgets or ()):
        key = (*path, "budgets", index)
        if budget.schedule is not None and budget.duration is None:
            why = f"it begins something that must end: add {full_key((*key, 'duration'))}, as in 8h"
            yield told(full_key((*key, "schedule")), budget.schedule, why)
        if budget.duration is not None and budget.schedule is None:
            why = f"from when on? Add {full_key((*key, 'schedule'))} in cron's form, or remove it"
            yield told(full_key((*key, "duration")), budget.duration, why)


# -- slices and prices ----------------------------------------------------------------------------


@RULES.reads("gpuPool", "nodePools")
def _bottlerocket_can_slice(f: Facts) -> Iterator[str]:
    gpu = f.settings.gpu_pool
    pools: list[tuple[Path, PoolSettings, str]] = [(("gpuPool",), gpu, gpu.ami_alias)]
    pools += [(path, pool, pool.ami_alias or gpu.ami_alias) for path, pool in _further(f)]
    for path, pool, alias in pools:
        if pool.slices == 1 or not alias.startswith(BOTTLEROCKET):
            continue
        if int(alias.split(".")[1]) < _OLDEST_BOTTLEROCKET:
            yield told(
                full_key((*path, "slices")),
                pool.slices,
                f"{alias} cannot slice GPUs: use bottlerocket@v1.{_OLDEST_BOTTLEROCKET}.0 or newer",
            )


@RULES.reads("gpuPool", "nodePools", "region")
def _every_pool_has_prices(f: Facts) -> Iterator[str]:
    gpu, key = f.settings.gpu_pool, full_key("gpuPool.prices")
    if gpu.prices == "api" and not f.region.has(Feature.PRICE_API):
        why = f"Karpenter has no price API to call from {f.region.name}: remove the line"
        yield told(key, gpu.prices, why)
    if gpu.prices != "table":
        return
    table = prices_in(f.region.name)
    if table is None:
        yield told(
            key,
            gpu.prices,
            f"{PRICE_TABLE} has none of {f.region.name}: write them there with their source, or "
            "remove the line",
        )
        return
    pools: list[tuple[Path, tuple[str, ...]]] = [(("gpuPool",), gpu.families(f.region))]
    pools += [
        (
            path,
            tuple(pool.instance_families)
            or (f.region.gpu_families if pool.max_gpus is not None else ()),
        )
        for path, pool in _further(f)
    ]
    for path, families in pools:
        families_key = full_key((*path, "instanceFamilies"))
        if not families:
            priced = [family for family in table.prices if family not in GPU_FAMILIES]
            yield told(
                families_key, "", f"with {key} table it must name them: use {listed(priced)}"
            )
        for family in families:
            if not table.of([family]):
                yield told(
                    families_key,
                    family,
                    f"{PRICE_TABLE} has no price of it in {f.region.name}, and what has none is "
                    "never launched: write it there, or use another family",
                )
