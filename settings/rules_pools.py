"""Rules over Karpenter's pools: families, GPUs, slices, prices, labels and budgets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from pydantic.alias_generators import to_camel

from regions.gpu_families import FAMILIES, per_machine
from regions.instance_prices import NAME as PRICE_TABLE
from regions.instance_prices import prices_in
from regions.offers import families
from regions.region import GPU_FAMILIES, Feature
from settings.errors import full_key, listed, refusal, suggestion
from settings.facts import Facts
from settings.field_types import ARM_FAMILY, SPECIAL_FAMILY, reason_against
from settings.node_pools import (
    BOTTLEROCKET,
    GPU_POOL,
    GpuPoolSettings,
    NodePoolSettings,
    families_of,
)
from settings.rule_frame import Rules

RULES = Rules[Facts]()

Path = tuple[str, ...]
AnyPool = GpuPoolSettings | NodePoolSettings
PoolRule = Callable[[Facts, Path, AnyPool], Iterator[str]]

_POOL_NAME = re.compile(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?")
# Set by Karpenter, by EKS or by this program (node labels and what the device plugin selects).
_OUR_TAINTS = re.compile(r"([a-z0-9-]+\.)*(karpenter\.(sh|k8s\.aws)|kubernetes\.io|k8s\.io)/.*")
_OUR_LABELS = re.compile(rf"{_OUR_TAINTS.pattern}|nvidia\.com/.*")
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
    useless = ARM_FAMILY if gpus else re.compile(f"{ARM_FAMILY.pattern}|{SPECIAL_FAMILY.pattern}")
    offered = [family for family in of_kind if not useless.fullmatch(family)]
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
        elif not gpus and SPECIAL_FAMILY.fullmatch(family):
            reason = "its machines have accelerators or macOS, which pods without GPUs do not use"
            reason = f"{reason}: use m6i"
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


@_of_each_pool("instanceFamilies", "gpuPool", "region")
def _a_machine_has_the_gpus(f: Facts, path: Path, pool: AnyPool) -> Iterator[str]:
    names = families_of(pool, f.region)
    if pool.max_gpus is None or not names or not FAMILIES.keys() >= set(names):
        return
    of_all, counts = listed(names, "and"), per_machine(names)
    kinds = list(dict.fromkeys(FAMILIES[name].name for name in names))
    largest = max(FAMILIES[name].memory_gb for name in names)
    wrong: list[str] = []
    for index, kind in enumerate(pool.gpu_names):
        if kind not in kinds:
            others = (each for each in f.region.gpu_families_offered if each in FAMILIES)
            having = [each for each in others if FAMILIES[each].name == kind]
            reason = f"no machine of {f.region.name} has such a GPU: {suggestion(kind, kinds)}"
            if having:
                present = f"machines of {of_all} have {listed(kinds, 'and')}"
                reason = f"{present}: add {listed(having)} to instanceFamilies, or remove the name"
            wrong.append(refusal((*path, "gpuNames", index), kind, reason))
    for index, count in enumerate(pool.gpu_counts or ()):
        if count not in counts:
            reason = f"machines of {of_all} have {listed(map(str, counts))} GPUs: use these"
            wrong.append(refusal((*path, "gpuCounts", index), count, reason))
    least = pool.min_gpu_memory_gb or 0
    if least > largest:
        reason = f"GPUs of {of_all} have up to {largest} GB: use less, or another family"
        wrong.append(refusal((*path, "minGpuMemoryGb"), least, reason))
    fitting = [
        count
        for name in names
        if FAMILIES[name].name in (pool.gpu_names or kinds) and FAMILIES[name].memory_gb >= least
        for count in FAMILIES[name].per_machine
        if count in (pool.gpu_counts or counts)
    ]
    if not wrong and not fitting:
        reason = "none of their machines fits gpuNames, gpuCounts and minGpuMemoryGb: change one"
        wrong.append(refusal((*path, "instanceFamilies"), of_all, reason))
    if fitting and pool.max_gpus < min(fitting):
        reason = f"each of its machines has {min(fitting)} GPUs or more, so none is ever started"
        reason = f"{reason}: raise it, or change {full_key((*path, 'gpuCounts'))}"
        wrong.append(refusal((*path, "maxGpus"), pool.max_gpus, reason))
    yield from wrong


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


@RULES.reads("gpuPool.enabled", "gpuPool.dcgmExporter")
def _metrics_need_gpus(f: Facts) -> Iterator[str]:
    pool = f.settings.gpu_pool
    if pool.dcgm_exporter and not pool.enabled:
        reason = f"{full_key('gpuPool.enabled')} is false, so no node has GPUs: remove the line"
        yield refusal("gpuPool.dcgmExporter", True, reason)


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


@_of_each_pool("taints")
def _taints_are_free_and_distinct(_: Facts, path: Path, pool: AnyPool) -> Iterator[str]:
    seen: dict[tuple[str, str], int] = {}
    for index, taint in enumerate(pool.taints or ()):
        place, first = (*path, "taints", index), seen.setdefault((taint.key, taint.effect), index)
        if _OUR_TAINTS.fullmatch(taint.key):
            reason = "Kubernetes or Karpenter sets and removes it itself: choose another key"
            yield refusal((*place, "key"), taint.key, reason)
        if first != index:
            other = full_key((*path, "taints", first))
            reason = f"{other} has the same key and effect, of which a node has one: remove one"
            yield refusal((*place, "key"), taint.key, reason)


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
