"""The reason why a pod that requests GPUs is pending: one sentence per pod, with the way out.

Pure: objects come as JSON from the Kubernetes API (``ops/live_cluster.py``).
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

from kubernetes.utils import parse_quantity

from ops.karpenter_status import ClusterState, Object, conditions, stage, time_of, trouble
from ops.node_pool_fit import FAMILY, GPU, GPU_NAME, NodePool, gpus_requested, node_requirements
from regions.gpu_families import per_machine
from settings.errors import listed

FAMILIES_SETTING = "kubeflow:gpuPool.instanceFamilies"

# aws/karpenter-provider-aws v1.14.1, pkg/errors/errors.go: codes of EC2 that Karpenter counts as
# lack of capacity although waiting does not help.
_QUOTAS = ("VcpuLimitExceeded", "MaxSpotInstanceCountExceeded", "MaxFleetCountExceeded")
_NO_ADDRESSES = "InsufficientFreeAddressesInSubnet"
NO_REASON = (
    "no reason is recorded yet: if that lasts, look at Karpenter's log with `kubectl -n "
    "kube-system logs deployment/karpenter`"
)


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
        if waits_for_gpus(pod)
    }


def waits_for_gpus(pod: Object) -> bool:
    """Whether a pod requests GPUs and has no node."""
    return _pending(pod) and bool(gpus_requested(pod))


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
    missing = "there is no NodePool, so Karpenter starts no machine"
    if pools:
        names = listed([pool.name for pool in pools], "and")
        missing = f"no NodePool has machines with GPUs (the cluster has {names})"
    return Obstacle(
        Cause.NO_POOL, f"{missing}: set kubeflow:gpuPool.enabled to true and run `pulumi up`"
    )


def _obstacle(pod: Object, pool: NodePool, state: ClusterState) -> Obstacle:
    """The reason why this pool does not serve the pod, at last in the scheduler's own words."""
    return next(
        Obstacle(cause, sentence)
        for cause, check in _CHECKS
        for sentence in check(pod, pool, state)
    )


def _taint(pod: Object, pool: NodePool, _: ClusterState) -> Iterator[str]:
    for taint in pool.untolerated(pod):
        key, effect, value = taint["key"], taint["effect"], taint.get("value")
        name = f"{key}={value}:{effect}" if value else f"{key}:{effect}"
        near = [item for item in pod["spec"].get("tolerations") or [] if item.get("key") == key]
        lack = (
            f"its toleration {_flow(near[0])} does not match"
            if near
            else "it has no toleration for"
        )
        toleration = _flow({"key": key, "operator": "Exists", "effect": effect})
        yield (
            f"{lack} the taint {name} of NodePool {pool.name}: put {toleration} among the "
            "tolerations of its template"
        )


def _flow(toleration: Object) -> str:
    parts = ("key", "operator", "value", "effect")
    fields = [f"{part}: {toleration[part]}" for part in parts if part in toleration]
    return "{" + ", ".join(fields) + "}"


def _selector(pod: Object, pool: NodePool, _: ClusterState) -> Iterator[str]:
    alternatives = [pool.conflicts(conditions) for conditions in node_requirements(pod)]
    if not all(alternatives):
        return
    condition, has = min(alternatives, key=len)[0]
    instead = f"has {has}" if has else "sets no such label"
    way_out = "remove the condition from its nodeSelector or affinity"
    if condition.key in (FAMILY, GPU_NAME):
        way_out += f", or add such a family to {FAMILIES_SETTING}"
    yield f"it asks for a node with {condition}, and NodePool {pool.name} {instead}: {way_out}"


def _too_many(pod: Object, pool: NodePool, _: ClusterState) -> Iterator[str]:
    amount, most = gpus_requested(pod).get(GPU, 0), max(pool.sizes, default=0)
    if not most or amount <= most:
        return
    way_out = (
        "allow larger ones in kubeflow:gpuPool.gpuCounts"
        if amount <= max(per_machine(pool.families))
        else f"add a larger family to {FAMILIES_SETTING}"
    )
    yield (
        f"it asks for {amount} GPUs on one node, and the largest machine of "
        f"{listed(list(pool.families), 'or')} (NodePool {pool.name}) has {most}: spread the work "
        f"over pods of at most {most}, or {way_out}"
    )


def _nominated(pod: Object, _: NodePool, state: ClusterState) -> Iterator[str]:
    """The NodeClaim that Karpenter nominated for the pod, while it starts without trouble."""
    nominated = " ".join(state.messages_about(pod, "Nominated")).replace(",", " ").split()
    for claim in state.node_claims:
        if f"nodeclaim/{claim['metadata']['name']}" in nominated and not trouble(claim):
            yield f"its machine is starting: NodeClaim {stage(claim)}"


def _not_ready(_: Object, pool: NodePool, __: ClusterState) -> Iterator[str]:
    for condition in conditions(pool.obj):
        if condition["type"] == "Ready" and condition["status"] == "False":
            reason = condition.get("message") or condition.get("reason") or "no reason given"
            yield (
                f"NodePool {pool.name} is not ready ({reason}): look at its EC2NodeClass with "
                "`kubectl describe ec2nodeclass`"
            )


def _limit(pod: Object, pool: NodePool, _: ClusterState) -> Iterator[str]:
    used = pool.obj.get("status", {}).get("resources") or {}
    for resource, amount in gpus_requested(pod).items():
        if resource not in pool.limits:
            continue
        # The API server writes 1000 as 1k.
        most, taken = map(int, map(parse_quantity, (pool.limits[resource], used.get(resource, 0))))
        # The machine counts as a whole, even if the pod leaves some of its GPUs free.
        sizes = pool.sizes if resource == GPU else ()
        machine = next((size for size in sizes if size >= amount), amount)
        if taken + machine > most:
            larger = f" (its smallest machine has {machine})" if machine > amount else ""
            yield (
                f"it asks for {amount} {resource}{larger}, and NodePool {pool.name} has {taken} of "
                f"at most {most}: wait until other pods end, or raise kubeflow:gpuPool.maxGpus and "
                "run `pulumi up`"
            )


def _in_trouble(_: Object, pool: NodePool, state: ClusterState) -> Iterator[str]:
    for claim in state.starting_claims(pool.name):
        if failure := trouble(claim):
            yield f"its machine does not come up: NodeClaim {claim['metadata']['name']} {failure}"


def _starting(_: Object, pool: NodePool, state: ClusterState) -> Iterator[str]:
    for claim in state.starting_claims(pool.name):
        yield f"a machine is starting: NodeClaim {stage(claim)}"


def _capacity(pod: Object, pool: NodePool, state: ClusterState) -> Iterator[str]:
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
        yield f"{reason} (NodePool {pool.name}: {message}): {way_out}"
    if state.messages_about(pool.obj, "NoCompatibleInstanceTypes"):
        yield (
            f"EC2 offers no machine here that NodePool {pool.name} accepts: allow families that "
            f"the region has in {FAMILIES_SETTING}"
        )


def _scheduler(pod: Object, _: NodePool, state: ClusterState) -> Iterator[str]:
    messages = state.messages_about(pod, "FailedScheduling")
    messages += [item.get("message", "") for item in conditions(pod) if item["status"] == "False"]
    for message in filter(None, messages):
        yield f"message of the scheduler: {message}"
    yield NO_REASON


_CHECKS = (
    (Cause.TAINT, _taint),
    (Cause.SELECTOR, _selector),
    (Cause.TOO_MANY_GPUS, _too_many),
    (Cause.NODE_IS_COMING, _nominated),
    (Cause.POOL_NOT_READY, _not_ready),
    (Cause.LIMIT, _limit),
    (Cause.NODE_IN_TROUBLE, _in_trouble),
    (Cause.NODE_IS_COMING, _starting),
    (Cause.CAPACITY, _capacity),
    (Cause.UNKNOWN, _scheduler),
)
"""The first sentence counts."""
