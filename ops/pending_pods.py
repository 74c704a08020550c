"""The reason why a pod that requests GPUs is pending: one sentence per pod, with the way out.

Pure: objects come as JSON from the Kubernetes API (``ops/live_cluster.py``).
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from ops.karpenter_status import ClusterState, Object, conditions, stage, time_of, trouble
from ops.node_pool_fit import (
    FAMILY,
    GPU,
    GPU_NAME,
    NodePool,
    gpus_requested,
    node_requirements,
)
from regions.gpu_families import per_machine
from settings.errors import listed

FAMILIES_SETTING = "kubeflow:gpuPool.instanceFamilies"
COUNTS_SETTING = "kubeflow:gpuPool.gpuCounts"
LIMIT_SETTING = "kubeflow:gpuPool.maxGpus"

# aws/karpenter-provider-aws v1.14.1, pkg/errors/errors.go: codes of EC2 that Karpenter counts as
# lack of capacity although waiting does not help.
_QUOTAS = ("VcpuLimitExceeded", "MaxSpotInstanceCountExceeded", "MaxFleetCountExceeded")
_NO_ADDRESSES = "InsufficientFreeAddressesInSubnet"


class Cause(IntEnum):
    """Why a pod is pending; of several pools the furthest in this order is reported."""

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


class Obstacle(NamedTuple):
    """The reason why no pool, or one of them, serves a pod."""

    cause: Cause
    sentence: str


def explain(state: ClusterState) -> dict[str, Obstacle]:
    """``namespace/name`` of every pending pod that requests a GPU -> the reason."""
    return {
        f"{pod['metadata']['namespace']}/{pod['metadata']['name']}": _reason(pod, state)
        for pod in state.pods
        if _pending(pod) and gpus_requested(pod)
    }


def _pending(pod: Object) -> bool:
    placed = pod["spec"].get("nodeName") or pod["metadata"].get("deletionTimestamp")
    return not placed and pod.get("status", {}).get("phase") == "Pending"


def _reason(pod: Object, state: ClusterState) -> Obstacle:
    gates = [gate["name"] for gate in pod["spec"].get("schedulingGates") or []]
    if gates:
        names = listed(gates, "and")
        return Obstacle(
            Cause.HELD, f"the scheduling gate {names} holds it until its owner removes it"
        )
    pools = [NodePool(obj) for obj in state.node_pools]
    obstacles = [_obstacle(pod, pool, state) for pool in pools if pool.has_gpus]
    if obstacles:
        return max(obstacles, key=lambda obstacle: obstacle.cause)
    missing = (
        f"no NodePool has machines with GPUs (there is {listed([p.name for p in pools], 'and')})"
        if pools
        else "there is no NodePool, so Karpenter starts no machine"
    )
    return Obstacle(
        Cause.NO_POOL, f"{missing}: set kubeflow:gpuPool.enabled to true and run `pulumi up`"
    )


def _obstacle(pod: Object, pool: NodePool, state: ClusterState) -> Obstacle:
    """The reason why this pool does not serve the pod, at last in the scheduler's own words."""
    return (
        _taint(pod, pool)
        or _selector(pod, pool)
        or _too_many(pod, pool)
        or _nominated(pod, state)
        or _not_ready(pool)
        or _limit(pod, pool)
        or _starting(pool, state)
        or _capacity(pod, pool, state)
        or _scheduler(pod, state)
    )


def _taint(pod: Object, pool: NodePool) -> Obstacle | None:
    taints = pool.untolerated(pod)
    if not taints:
        return None
    key, effect, value = taints[0]["key"], taints[0]["effect"], taints[0].get("value")
    taint = f"{key}={value}:{effect}" if value else f"{key}:{effect}"
    near = [item for item in pod["spec"].get("tolerations") or [] if item.get("key") == key]
    lack = f"its toleration {_flow(near[0])} does not match" if near else "it has no toleration for"
    toleration = _flow({"key": key, "operator": "Exists", "effect": effect})
    return Obstacle(
        Cause.TAINT,
        f"{lack} the taint {taint} of NodePool {pool.name}: put {toleration} among the tolerations "
        "of its template",
    )


def _flow(toleration: Object) -> str:
    parts = ("key", "operator", "value", "effect")
    fields = [f"{part}: {toleration[part]}" for part in parts if part in toleration]
    return "{" + ", ".join(fields) + "}"


def _selector(pod: Object, pool: NodePool) -> Obstacle | None:
    alternatives = [pool.conflicts(conditions) for conditions in node_requirements(pod)]
    if not all(alternatives):
        return None
    condition, has = min(alternatives, key=len)[0]
    instead = f"has {has}" if has else "sets no such label"
    way_out = "remove the condition from its nodeSelector or affinity"
    if condition.key in (FAMILY, GPU_NAME):
        way_out += f", or add such a family to {FAMILIES_SETTING}"
    return Obstacle(
        Cause.SELECTOR,
        f"it asks for a node with {condition}, and NodePool {pool.name} {instead}: {way_out}",
    )


def _too_many(pod: Object, pool: NodePool) -> Obstacle | None:
    amount, most = gpus_requested(pod).get(GPU, 0), max(pool.sizes, default=0)
    if not most or amount <= most:
        return None
    way_out = (
        f"allow larger ones in {COUNTS_SETTING}"
        if amount <= max(per_machine(pool.families))
        else f"add a larger family to {FAMILIES_SETTING}"
    )
    return Obstacle(
        Cause.TOO_MANY_GPUS,
        f"it asks for {amount} GPUs on one node, and the largest machine of "
        f"{listed(list(pool.families), 'or')} (NodePool {pool.name}) has {most}: spread the work "
        f"over pods of at most {most}, or {way_out}",
    )


def _nominated(pod: Object, state: ClusterState) -> Obstacle | None:
    """The NodeClaim that Karpenter nominated for the pod, while it starts without trouble."""
    nominated = " ".join(state.messages_about(pod, "Nominated")).replace(",", " ").split()
    for claim in state.node_claims:
        if f"nodeclaim/{claim['metadata']['name']}" in nominated and not trouble(claim):
            return Obstacle(
                Cause.NODE_IS_COMING, f"its machine is starting: NodeClaim {stage(claim)}"
            )
    return None


def _not_ready(pool: NodePool) -> Obstacle | None:
    for condition in conditions(pool.obj):
        if condition["type"] == "Ready" and condition["status"] == "False":
            reason = condition.get("message") or condition.get("reason") or "no reason given"
            return Obstacle(
                Cause.POOL_NOT_READY,
                f"NodePool {pool.name} is not ready ({reason}): look at its EC2NodeClass with "
                "`kubectl describe ec2nodeclass`",
            )
    return None


def _limit(pod: Object, pool: NodePool) -> Obstacle | None:
    used = pool.obj.get("status", {}).get("resources") or {}
    for resource, amount in gpus_requested(pod).items():
        if resource not in pool.limits:
            continue
        most, taken = _number(pool.limits[resource]), _number(used.get(resource, "0"))
        # The machine counts as a whole, even if the pod leaves some of its GPUs free.
        sizes = pool.sizes if resource == GPU else ()
        machine = next((size for size in sizes if size >= amount), amount)
        if taken + machine > most:
            larger = f" (its smallest machine has {machine})" if machine > amount else ""
            return Obstacle(
                Cause.LIMIT,
                f"it asks for {amount} {resource}{larger}, and NodePool {pool.name} has {taken} of "
                f"at most {most}: wait until other pods end, or raise {LIMIT_SETTING} and run "
                "`pulumi up`",
            )
    return None


def _starting(pool: NodePool, state: ClusterState) -> Obstacle | None:
    starting = state.starting_claims(pool.name)
    for claim in starting:
        failure = trouble(claim)
        if failure:
            name = claim["metadata"]["name"]
            sentence = f"its machine does not come up: NodeClaim {name} {failure}"
            return Obstacle(Cause.NODE_IN_TROUBLE, sentence)
    if starting:
        sentence = f"a machine is starting: NodeClaim {stage(starting[0])}"
        return Obstacle(Cause.NODE_IS_COMING, sentence)
    return None


def _capacity(pod: Object, pool: NodePool, state: ClusterState) -> Obstacle | None:
    created = pod["metadata"].get("creationTimestamp", "")
    for event in state.events_of("InsufficientCapacityError"):
        claim_of = event["involvedObject"]["name"].rpartition("-")[0]
        if claim_of != pool.name or time_of(event) < created:
            continue
        message = event.get("message", "")
        if any(code in message for code in _QUOTAS):
            reason = "the account's quota is used up"
            way_out = "ask AWS to raise it (Service Quotas)"
        elif _NO_ADDRESSES in message:
            reason, way_out = "a subnet has no free addresses", "give the cluster more subnets"
        else:
            families = listed(list(pool.families), "and") or "its machines"
            reason = f"EC2 has no capacity of {families} at the moment"
            way_out = (
                f"wait, Karpenter retries, or allow more in {FAMILIES_SETTING} or "
                "kubeflow:gpuPool.capacityTypes"
            )
        sentence = f"{reason} (NodePool {pool.name}: {message}): {way_out}"
        return Obstacle(Cause.CAPACITY, sentence)
    if state.messages_about(pool.obj, "NoCompatibleInstanceTypes"):
        return Obstacle(
            Cause.CAPACITY,
            f"EC2 offers no machine here that NodePool {pool.name} accepts: allow families that "
            f"the region has in {FAMILIES_SETTING}",
        )
    return None


def _scheduler(pod: Object, state: ClusterState) -> Obstacle:
    messages = state.messages_about(pod, "FailedScheduling")
    messages += [item.get("message", "") for item in conditions(pod) if item["status"] == "False"]
    message = next(filter(None, messages), None)
    return Obstacle(
        Cause.UNKNOWN,
        f"message of the scheduler: {message}"
        if message
        else "no reason is recorded yet: if that lasts, look at Karpenter's log with `kubectl -n "
        "kube-system logs deployment/karpenter`",
    )


def _number(quantity: str) -> int:
    # Imported here, because the client costs a second. The API server writes 1000 as 1k.
    from kubernetes.utils import parse_quantity

    return int(parse_quantity(quantity))
