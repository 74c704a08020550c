"""Rules over Karpenter's pools: families, GPUs, slices, prices, labels and budgets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from pydantic.alias_generators import to_camel

from regions.instance_prices import NAME as PRICE_TABLE
from regions.instance_prices import prices_in
from regions.offers import families
from regions.region import GPU_FAMILIES, Feature
from settings.errors import full_key, listed, refusal, suggestion
from settings.facts import Facts, Rules
from settings.field_types import ARM_FAMILY, reason_against
from settings.node_pools import (
    BOTTLEROCKET,
    GPU_POOL,
    GpuPoolSettings,
    NodePoolSettings,
    families_of,
)

RULES = Rules()

Path = tuple[str, ...]
AnyPool = GpuPoolSettings | NodePoolSettings
PoolRule = Callable[[Facts, Path, AnyPool], Iterator[str]]

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


def _of_each_pool(gpu_pool_key: str, *keys: str) -> Callable[[PoolRule], PoolRule]:
    """Adds a rule over one pool twice: for the GPU pool, and for every further pool.

    Args:
        gpu_pool_key: what the rule reads of ``gpuPool``; of further pools it may read anything.
        keys: what else it reads.
    """

    def add(rule: PoolRule) -> PoolRule:
        RULES.reads(f"gpuPool.{gpu_pool_key}", *keys)(
            lambda f: rule(f, ("gpuPool",), f.settings.gpu_pool)
        )
        RULES.reads("nodePools", *keys)(
            lambda f: (problem for path, pool in _further(f) for problem in rule(f, path, pool))
        )
        return rule

    return add


# -- which machines -------------------------------------------------------------------------------


@_of_each_pool("instanceFamilies", "region")
def _families_are_offered(f: Facts, path: Path, pool: AnyPool) -> Iterator[str]:
    gpus, known = pool.max_gpus is not None, families("instances", f.region.name)
    of_kind = [family for family in known or GPU_FAMILIES if (family in GPU_FAMILIES) == gpus]
    offered = [family for family in of_kind if not ARM_FAMILY.fullmatch(family)]
    for index, name in enumerate(pool.instance_families):
        family = name.partition(".")[0]
        if gpus and family not in GPU_FAMILIES:
            hint = suggestion(family, offered or GPU_FAMILIES)
            reason = f"it is not an NVIDIA GPU family: {hint}"
        elif not gpus and family in GPU_FAMILIES:
            limit = full_key((*path, "maxGpus"))
            reason = f"its machines have GPUs: limit the pool with {limit}"
        elif family != name:
            reason = f"it is an instance type: write its family, {family}"
        elif known and not offered:
            off = f"set {full_key('gpuPool.enabled')} to false"
            reason = f"{f.region.name} offers no machines with NVIDIA GPUs: {off}"
        elif ARM_FAMILY.fullmatch(family):
            other = next((each for each in ("g5", "m6i", *offered) if each in offered), "m6i")
            reason = f"it is an Arm family, and Kubeflow's images are for amd64 only: use {other}"
        elif known and name not in offered:
            alike = [each for each in offered if gpus or each.startswith(name[:1] or "m")]
            reason = f"{f.region.name} does not offer it: use {listed(alike or offered)}"
        else:
            continue
        yield refusal((*path, "instanceFamilies", index), name, reason)


@_of_each_pool("capacityTypes")
def _pool_has_capacity(_: Facts, path: Path, pool: AnyPool) -> Iterator[str]:
    if not pool.capacity_types:
        yield refusal((*path, "capacityTypes"), "", "name one, for example on-demand")


# -- what a further pool is -----------------------------------------------------------------------


@RULES.reads("nodePools", "gpuPool.enabled")
def _further_pools_have_karpenter(f: Facts) -> Iterator[str]:
    if f.settings.node_pools and not f.settings.gpu_pool.enabled:
        key = full_key("gpuPool.enabled")
        reason = f"without {key} there is no Karpenter: set it to true or remove the pools"
        yield refusal("nodePools", listed(f.settings.node_pools, "and"), reason)


@RULES.reads("nodePools")
def _further_pools_have_a_name_and_a_kind(f: Facts) -> Iterator[str]:
    for path, pool in _further(f):
        name, key = path[-1], full_key(path)
        gpus, cpus = full_key((*path, "maxGpus")), full_key((*path, "maxCpus"))
        if name == GPU_POOL:
            other = full_key("gpuPool")
            yield f"{key} has the name of the pool in {other}: choose another, for example gpu-2."
        elif not _POOL_NAME.fullmatch(name):
            yield (
                f"{key} is not a valid name of a pool: use up to 40 lower-case letters, digits and "
                "hyphens, a letter first."
            )
        if pool.max_gpus is None and pool.max_cpus is None:
            yield f"{key} has no limit: add {gpus} for a pool of GPUs, or {cpus} for one without."
        elif pool.max_gpus is not None and pool.max_cpus is not None:
            reason = f"a pool has one limit, and {gpus} is set too: remove one of them"
            yield refusal((*path, "maxCpus"), pool.max_cpus, reason)


@RULES.reads("nodePools")
def _only_gpu_pools_choose_gpus(f: Facts) -> Iterator[str]:
    for path, pool in _further(f):
        if pool.max_cpus is None or pool.max_gpus is not None:
            continue
        for name in ("gpu_names", "gpu_counts", "min_gpu_memory_gb", "slices"):
            value = getattr(pool, name)
            if value and (name, value) != ("slices", 1):  # one slice, the default, is a whole GPU
                limit = full_key((*path, "maxGpus"))
                reason = f"the pool has no GPUs: limit it with {limit}, or remove the line"
                yield refusal((*path, to_camel(name)), value, reason)


# -- what its nodes carry and how they go ---------------------------------------------------------


@_of_each_pool("labels")
def _labels_are_free(_: Facts, path: Path, pool: AnyPool) -> Iterator[str]:
    for name, value in pool.labels.items():
        if _OUR_LABELS.fullmatch(name):
            reason = "Kubernetes, Karpenter or NVIDIA's software sets it: choose another name"
        else:
            reason = reason_against("LabelName", name)
        if reason:
            yield refusal((*path, "labels", name), value, reason)


@_of_each_pool("budgets")
def _budgets_are_whole(_: Facts, path: Path, pool: AnyPool) -> Iterator[str]:
    for index, budget in enumerate(pool.budgets or ()):
        schedule, duration = ((*path, "budgets", index, k) for k in ("schedule", "duration"))
        if budget.schedule is not None and budget.duration is None:
            reason = f"a schedule needs a duration: add {full_key(duration)}, for example 8h"
            yield refusal(schedule, budget.schedule, reason)
        if budget.duration is not None and budget.schedule is None:
            reason = f"a duration needs a schedule: add {full_key(schedule)} (cron), or remove it"
            yield refusal(duration, budget.duration, reason)


# -- slices and prices ----------------------------------------------------------------------------


def _pools(f: Facts) -> Iterator[tuple[Path, AnyPool]]:
    yield ("gpuPool",), f.settings.gpu_pool
    yield from _further(f)


@RULES.reads("gpuPool", "nodePools")
def _bottlerocket_can_slice(f: Facts) -> Iterator[str]:
    for path, pool in _pools(f):
        alias = pool.ami_alias or f.settings.gpu_pool.ami_alias
        if pool.slices == 1 or not alias.startswith(BOTTLEROCKET):
            continue
        if int(alias.split(".")[1]) < _OLDEST_BOTTLEROCKET:
            oldest = f"bottlerocket@v1.{_OLDEST_BOTTLEROCKET}.0"
            reason = f"{alias} cannot slice GPUs: use {oldest} or newer"
            yield refusal((*path, "slices"), pool.slices, reason)


@RULES.reads("gpuPool.prices", "region")
def _prices_have_a_source(f: Facts) -> Iterator[str]:
    prices, region = f.settings.gpu_pool.prices, f.region.name
    if prices == "api" and not f.region.has(Feature.PRICE_API):
        reason = f"Karpenter has no price API to call from {region}: remove the line"
        yield refusal("gpuPool.prices", prices, reason)
    if prices == "table" and prices_in(region) is None:
        yield refusal(
            "gpuPool.prices",
            prices,
            f"{PRICE_TABLE} has no prices of {region}: add them there with their source, or remove "
            "the line",
        )


@RULES.reads("gpuPool", "nodePools", "region")
def _every_family_has_a_price(f: Facts) -> Iterator[str]:
    table = prices_in(f.region.name)
    if f.settings.gpu_pool.prices != "table" or table is None:
        return
    for path, pool in _pools(f):
        families, key = families_of(pool, f.region), (*path, "instanceFamilies")
        if not families:
            priced = listed(family for family in table.prices if family not in GPU_FAMILIES)
            reason = f"a pool must name them where {full_key('gpuPool.prices')} is table"
            yield refusal(key, "", f"{reason}: use {priced}")
        for family in families:
            if not table.of([family]):
                yield refusal(
                    key,
                    family,
                    f"{PRICE_TABLE} has no price of it in {f.region.name}, and machines without a "
                    "price are never launched: add the price, or use another family",
                )
