"""Checks of nodes, and of Karpenter's pools of them.

Conditions of Karpenter's objects: kubernetes-sigs/karpenter v1.14.1 pkg/apis/v1/nodepool_status.go
and aws/karpenter-provider-aws v1.14.1 pkg/apis/v1/ec2nodeclass_status.go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from kubernetes.utils import parse_quantity

from components.gpu.karpenter_objects import NAMESPACE as KARPENTER_NAMESPACE
from components.gpu.node_pools import pools_of
from ops.findings import Finding, good, note, problem
from ops.karpenter_status import conditions
from ops.verification.check import Check
from ops.verification.checks.live_objects import (
    ROLLING_MINUTES,
    age_minutes,
    by_name,
    condition,
    is_true,
    listed,
    name_of,
    why,
)
from ops.verification.platform import Platform
from rendering.objects import Object, labels_of

_NODE_GROUP = "eks.amazonaws.com/nodegroup"
_ZONE = "topology.kubernetes.io/zone"
_PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")


def nodes(platform: Platform) -> Iterator[Finding]:
    """Nodes are ready, without pressure, as many as the stack file says, in several zones."""
    every, settings = listed(platform, "Node"), platform.settings.node_group
    healthy = 0
    for node in every:
        troubles = list(_node_troubles(node))
        healthy += not troubles
        yield from troubles
        if node["spec"].get("unschedulable") and not troubles:
            yield note(
                name_of(node),
                "takes no new pods (cordoned): `kubectl uncordon` it when its work is done",
            )
    about = f"node group {settings.name}"
    group = [node for node in every if labels_of(node).get(_NODE_GROUP) == settings.name]
    ready = sum(is_true(node, "Ready") for node in group)
    if ready < settings.min:
        yield problem(
            about,
            f"{ready} nodes are ready, and kubeflow:nodeGroup.min is {settings.min}: look at its "
            "health issues in the EKS console (quota, no capacity, a node that cannot join)",
        )
    elif len(group) > settings.max:
        yield note(
            about,
            f"{len(group)} nodes, and kubeflow:nodeGroup.max is {settings.max}: an update"
            " of its nodes may be under way",
        )
    zones = Counter(zone for node in group if (zone := labels_of(node).get(_ZONE)))
    if len(zones) < 2 and settings.highly_available and ready >= settings.min:
        where = next(iter(zones), "no known zone")
        yield note(
            about,
            f"all {len(group)} nodes are in {where}: the platform stops with that zone; EKS "
            "balances zones when it starts nodes, so end some of them",
        )
    if healthy == len(every) and ready >= settings.min:
        spread = ", ".join(f"{count} in {zone}" for zone, count in sorted(zones.items()))
        yield good("nodes", f"all {len(every)} are ready; of {about}: {spread or len(group)}")


def _node_troubles(node: Object) -> Iterator[Finding]:
    about = name_of(node)
    since = node["metadata"].get("deletionTimestamp")
    if since:
        # Karpenter's finalizer keeps it while it is drained; its kubelet ends before the object.
        yield note(about, f"leaves the cluster since {since}: look again")
        return
    if not is_true(node, "Ready"):
        starting = age_minutes(node) < ROLLING_MINUTES
        way_out = "it is new, look again" if starting else "look at it with `kubectl describe node`"
        sentence = f"is not ready ({why(condition(node, 'Ready'))}): {way_out}"
        yield (note if starting else problem)(about, sentence)
        return
    for pressure in _PRESSURES:
        if is_true(node, pressure):
            yield problem(
                about,
                f"reports {pressure} ({why(condition(node, pressure))}), so that pods are evicted "
                "or refused: end what fills it, or set larger machines or disks in "
                "kubeflow:nodeGroup",
            )


def node_pools(platform: Platform) -> Iterator[Finding]:
    """Every pool of the stack file is in the cluster, ready, and below its limit."""
    wanted = {pool.name for pool in pools_of(platform.settings, platform.context.region)}
    live, classes = by_name(platform, "NodePool"), by_name(platform, "EC2NodeClass")
    if not wanted and not live:
        yield good("node pools", "not part of the stack: kubeflow:gpuPool.enabled is false")
        return
    for name in sorted(wanted - live.keys()):
        yield problem(
            f"NodePool {name}", "the stack file has it, and the cluster does not: run `pulumi up`"
        )
    for name in sorted(live.keys() - wanted):
        yield note(
            f"NodePool {name}",
            "the cluster has it, and the stack file does not: `kubectl delete nodepool` ends it "
            "and its nodes",
        )
    for name, pool in sorted(live.items()):
        troubles = [*_pool_troubles(pool, classes), *_limits(pool)]
        yield from troubles
        if not troubles:
            yield good(f"NodePool {name}", f"ready; {_use(pool)}")


def _pool_troubles(pool: Object, classes: Mapping[str, Object]) -> Iterator[Finding]:
    about = f"NodePool {name_of(pool)}"
    named = pool["spec"]["template"]["spec"]["nodeClassRef"]
    if named.get("kind", "EC2NodeClass") != "EC2NodeClass":
        return  # of EKS Auto Mode
    reference = named["name"]
    node_class = classes.get(reference)
    if node_class is None:
        yield problem(
            about, f"names the EC2NodeClass {reference}, which does not exist: run `pulumi up`"
        )
        return
    if not is_true(node_class, "Ready"):
        reasons = _unmet(node_class)
        yield problem(
            f"EC2NodeClass {reference}",
            f"is not ready ({reasons or 'no condition: Karpenter has not looked at it'}), so that "
            "no node of it starts: correct that, and look at Karpenter's log with `kubectl -n "
            f"{KARPENTER_NAMESPACE} logs deploy/karpenter`",
        )
        return
    if not is_true(pool, "Ready"):
        yield problem(
            about,
            f"is not ready ({_unmet(pool) or 'no condition: Karpenter has not looked at it'}): run "
            "`pulumi up`, or correct the pool in the stack file",
        )
    joined = condition(pool, "NodeRegistrationHealthy")
    if joined.get("status") == "False":
        yield note(
            about,
            f"its last nodes did not join the cluster ({why(joined)}): read their console output "
            "in EC2",
        )


def _unmet(obj: Object) -> str:
    """Why a condition of Karpenter's objects is not met; ``Ready`` sums up the others."""
    failed = [each for each in conditions(obj) if each.get("status") == "False"]
    named = [each for each in failed if each["type"] not in ("Ready", "NodeRegistrationHealthy")]
    return "; ".join(f"{each['type']}: {why(each)}" for each in named or failed)


def _limits(pool: Object) -> Iterator[Finding]:
    used = (pool.get("status") or {}).get("resources") or {}
    for resource, limit in (pool["spec"].get("limits") or {}).items():
        taken = parse_quantity(used.get(resource, 0))
        if taken > parse_quantity(limit):
            yield note(
                f"NodePool {name_of(pool)}",
                f"its nodes have {used[resource]} {resource}, "
                f"and its limit is {limit}: Karpenter starts no more",
            )
        elif taken and taken == parse_quantity(limit):
            yield note(
                f"NodePool {name_of(pool)}",
                f"all {limit} {resource} of its limit are in use"
                ": further pods wait; `./kf verify --only gpu-holders` lists who holds them",
            )


def _use(pool: Object) -> str:
    used = (pool.get("status") or {}).get("resources") or {}
    limits = (pool["spec"].get("limits") or {}).items()
    return ", ".join(f"{used.get(name, 0)} of {limit} {name} in use" for name, limit in limits)


CHECKS: tuple[Check, ...] = (
    Check("nodes", "conditions, number and zones of nodes", nodes),
    Check("node-pools", "NodePools and EC2NodeClasses of Karpenter", node_pools),
)
