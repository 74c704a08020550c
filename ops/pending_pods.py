"""Why a pod that asks for GPUs still waits: one sentence per pod, with the way out.

Pure: objects come as JSON from the Kubernetes API (``ops/live_cluster.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from ops.karpenter_status import Seen, conditions, reached, stage, trouble, when
from ops.node_pool_fit import (
    FAMILY,
    GPU,
    GPU_NAME,
    Object,
    conflicts,
    families_of,
    gpus_asked,
    has_gpus,
    machine_sizes,
    untolerated,
    wanted,
)
from regions.gpu_families import per_machine
from settings.sentences import listed

FAMILIES_SETTING = "kubeflow:gpuPool.instanceFamilies"
COUNTS_SETTING = "kubeflow:gpuPool.gpuCounts"
LIMIT_SETTING = "kubeflow:gpuPool.maxGpus"

# aws/karpenter-provider-aws v1.14.1, pkg/errors/errors.go: codes of EC2 that mean "no capacity" to
# Karpenter, and of which waiting does not help.
_QUOTAS = ("VcpuLimitExceeded", "MaxSpotInstanceCountExceeded", "MaxFleetCountExceeded")
_NO_ADDRESSES = "InsufficientFreeAddressesInSubnet"


class Cause(IntEnum):
    """Why a pod waits; of several pools the one that comes furthest in this order is told of."""

    HELD = 0
    NO_POOL = 1
    TAINT = 2
    SELECTOR = 3
    TOO_MANY_GPUS = 4
    POOL_NOT_READY = 5
    LIMIT = 6
    CAPACITY = 7
    NODE_IN_TROUBLE = 8
    UNKNOWN = 9
    NODE_IS_COMING = 10


@dataclass(frozen=True)
class Waiting:
    """One pod, and why it waits."""

    pod: str
    """``namespace/name``"""
    cause: Cause
    sentence: str


def explain(seen: Seen) -> list[Waiting]:
    """Every pending pod that asks for a GPU, in the order of the pods."""
    return [_explain(pod, asked, seen) for pod in seen.pods if (asked := _waiting_for(pod))]


def _waiting_for(pod: Object) -> dict[str, int]:
    placed = pod["spec"].get("nodeName") or pod["metadata"].get("deletionTimestamp")
    if placed or pod.get("status", {}).get("phase") != "Pending":
        return {}
    return gpus_asked(pod)


def _explain(pod: Object, asked: dict[str, int], seen: Seen) -> Waiting:
    name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
    gates = [gate["name"] for gate in pod["spec"].get("schedulingGates") or []]
    if gates:
        told = f"it is held back by {listed(gates, 'and')}, and whoever set that lets it go"
        return Waiting(name, Cause.HELD, told)
    pools = [pool for pool in seen.node_pools if has_gpus(pool)]
    if not pools:
        return Waiting(name, Cause.NO_POOL, _no_pool(seen))
    obstacles = [_obstacle(pod, asked, pool, seen) for pool in pools]
    furthest = max(obstacles, key=lambda each: each.cause)
    return Waiting(name, furthest.cause, furthest.sentence)


def _no_pool(seen: Seen) -> str:
    way_out = "set kubeflow:gpuPool.enabled to true and run `pulumi up`"
    if not seen.node_pools:
        return f"there is no NodePool, so Karpenter starts no machine: {way_out}"
    names = listed([pool["metadata"]["name"] for pool in seen.node_pools], "and")
    return f"no NodePool has machines with GPUs (there is {names}): {way_out}"


class Obstacle(NamedTuple):
    """What keeps one pool from serving one pod."""

    cause: Cause
    sentence: str


def _obstacle(pod: Object, asked: dict[str, int], pool: Object, seen: Seen) -> Obstacle:
    """What keeps this pool from serving the pod; the last resort is the scheduler's own word."""
    return (
        _taint(pod, pool)
        or _selector(pod, pool)
        or _too_many(asked, pool)
        or _coming(pod, seen)
        or _not_ready(pool)
        or _limit(asked, pool)
        or _node_claims(pool, seen)
        or _capacity(pod, pool, seen)
        or _last_word(pod, pool, seen)
    )


def _taint(pod: Object, pool: Object) -> Obstacle | None:
    taints = untolerated(pod, pool)
    if not taints:
        return None
    key, effect = taints[0]["key"], taints[0]["effect"]
    value = taints[0].get("value")
    written = f"{key}={value}:{effect}" if value else f"{key}:{effect}"
    near = [each for each in pod["spec"].get("tolerations") or [] if each.get("key") == key]
    its = f"its toleration {_shown(near[0])} does not match" if near else "it has no toleration for"
    return Obstacle(
        Cause.TAINT,
        f"{its} the taint {written} of NodePool {_name(pool)}: put "
        f"{{key: {key}, operator: Exists, effect: {effect}}} among the tolerations of its template",
    )


def _shown(toleration: Object) -> str:
    parts = ("key", "operator", "value", "effect")
    return (
        "{" + ", ".join(f"{part}: {toleration[part]}" for part in parts if part in toleration) + "}"
    )


def _selector(pod: Object, pool: Object) -> Obstacle | None:
    alternatives = [conflicts(wants, pool) for wants in wanted(pod)]
    if not all(alternatives):
        return None
    condition, has = min(alternatives, key=len)[0]
    instead = f"has {has}" if has else "sets no such label"
    way_out = "take the condition out of its nodeSelector or affinity"
    if condition.key in (FAMILY, GPU_NAME):
        way_out += f", or add such a family to {FAMILIES_SETTING}"
    told = f"it asks for a node with {condition}, and NodePool {_name(pool)} {instead}: {way_out}"
    return Obstacle(Cause.SELECTOR, told)


def _too_many(asked: dict[str, int], pool: Object) -> Obstacle | None:
    sizes, amount = machine_sizes(pool), asked.get(GPU, 0)
    if not sizes or amount <= max(sizes):
        return None
    larger = amount <= max(per_machine(families_of(pool)))
    way_out = (
        f"allow larger ones in {COUNTS_SETTING}"
        if larger
        else f"add a larger family to {FAMILIES_SETTING}"
    )
    return Obstacle(
        Cause.TOO_MANY_GPUS,
        f"it asks for {amount} GPUs on one node, and the largest machine of "
        f"{listed(list(families_of(pool)), 'or')} (NodePool {_name(pool)}) has {max(sizes)}: "
        f"spread the work over pods of at most {max(sizes)}, or {way_out}",
    )


def _coming(pod: Object, seen: Seen) -> Obstacle | None:
    """The NodeClaim that Karpenter nominated for the pod, while it starts without trouble."""
    told = " ".join(each.get("message", "") for each in seen.told("Nominated", pod))
    for claim in seen.node_claims:
        name = claim["metadata"]["name"]
        if f"nodeclaim/{name}" in told.replace(",", " ").split() and not trouble(claim):
            return Obstacle(
                Cause.NODE_IS_COMING, f"its machine is starting: NodeClaim {stage(claim)}"
            )
    return None


def _not_ready(pool: Object) -> Obstacle | None:
    for each in conditions(pool):
        if each["type"] == "Ready" and each["status"] == "False":
            why = each.get("message") or each.get("reason") or "no reason given"
            return Obstacle(
                Cause.POOL_NOT_READY,
                f"NodePool {_name(pool)} is not ready ({why}): look at its EC2NodeClass with "
                "`kubectl describe ec2nodeclass`",
            )
    return None


def _limit(asked: dict[str, int], pool: Object) -> Obstacle | None:
    limits = pool["spec"].get("limits") or {}
    used = pool.get("status", {}).get("resources") or {}
    for resource, amount in asked.items():
        if resource not in limits:
            continue
        most, taken = _number(limits[resource]), _number(used.get(resource, "0"))
        # The machine counts as a whole, also where the pod leaves some of its GPUs free.
        sizes = machine_sizes(pool) if resource == GPU else ()
        machine = next((size for size in sizes if size >= amount), amount)
        if taken + machine <= most:
            continue
        larger = f" (its smallest machine has {machine})" if machine > amount else ""
        return Obstacle(
            Cause.LIMIT,
            f"it asks for {amount} {resource}{larger}, and NodePool {_name(pool)} has {taken} of "
            f"at most {most}: wait until others are done, or raise {LIMIT_SETTING} and run "
            "`pulumi up`",
        )
    return None


def _node_claims(pool: Object, seen: Seen) -> Obstacle | None:
    starting = [each for each in seen.claims_of(pool) if not reached(each, "Initialized")]
    for claim in starting:
        what = trouble(claim)
        if what:
            told = f"its machine does not come up: NodeClaim {claim['metadata']['name']} {what}"
            return Obstacle(Cause.NODE_IN_TROUBLE, told)
    if starting:
        return Obstacle(
            Cause.NODE_IS_COMING, f"a machine is starting: NodeClaim {stage(starting[0])}"
        )
    return None


def _capacity(pod: Object, pool: Object, seen: Seen) -> Obstacle | None:
    for each in seen.told("InsufficientCapacityError"):
        claim = each["involvedObject"]["name"].rpartition("-")[0]
        if claim != _name(pool) or when(each) < pod["metadata"].get("creationTimestamp", ""):
            continue
        message = each.get("message", "")
        if any(code in message for code in _QUOTAS):
            why, way_out = "the account's quota is used up", "ask AWS to raise it (Service Quotas)"
        elif _NO_ADDRESSES in message:
            why, way_out = "a subnet has no free addresses", "give the cluster more subnets"
        else:
            families = listed(list(families_of(pool)), "and") or "its machines"
            why = f"EC2 has none of {families} to give at the moment"
            way_out = (
                f"wait, Karpenter asks again, or allow more in {FAMILIES_SETTING} or "
                "kubeflow:gpuPool.capacityTypes"
            )
        return Obstacle(Cause.CAPACITY, f"{why} (NodePool {_name(pool)}: {message}): {way_out}")
    return None


def _last_word(pod: Object, pool: Object, seen: Seen) -> Obstacle:
    if seen.told("NoCompatibleInstanceTypes", pool):
        return Obstacle(
            Cause.CAPACITY,
            f"EC2 offers no machine here that NodePool {_name(pool)} accepts: allow families that "
            f"the region has in {FAMILIES_SETTING}",
        )
    said = [each.get("message", "") for each in seen.told("FailedScheduling", pod)]
    said += [each.get("message", "") for each in conditions(pod) if each["status"] == "False"]
    words = next((message for message in said if message), None)
    if words:
        return Obstacle(Cause.UNKNOWN, f"the scheduler says: {words}")
    return Obstacle(
        Cause.UNKNOWN,
        "nothing says why yet: if it lasts, look at Karpenter's log with `kubectl -n kube-system "
        "logs deployment/karpenter`",
    )


def _number(quantity: str) -> int:
    # Imported here: the client costs a second. The API server writes 1000 as 1k.
    from kubernetes.utils import parse_quantity

    return int(parse_quantity(quantity))


def _name(pool: Object) -> str:
    return pool["metadata"]["name"]
