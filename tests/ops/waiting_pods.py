"""Pods, NodePools, NodeClaims and events as the API server has them, in few words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from components.gpu.karpenter_objects import node_pool
from components.gpu.node_pools import GPU_RESOURCE, Pool
from ops.karpenter_status import ClusterState
from ops.pending_pods import Cause, explain

Object = dict[str, Any]

TOLERATION = {"key": GPU_RESOURCE, "operator": "Exists", "effect": "NoSchedule"}
MADE = "2026-11-27T10:00:00Z"
LATER = "2026-11-27T10:01:00Z"
BEFORE = "2026-11-27T09:59:00Z"


def pool(
    *families: str,
    max_gpus: int = 8,
    gpu_counts: Sequence[int] = (),
    used: int = 0,
    name: str = "gpu",
) -> Object:
    """The NodePool this project makes, with the GPUs its nodes have."""
    made = node_pool(
        Pool(families=families or ("g4dn", "g5"), gpu_counts=gpu_counts, max_gpus=max_gpus)
    )
    made["metadata"]["name"] = name
    return {**made, "status": {"resources": {GPU_RESOURCE: str(used)}}}


def cpu_pool(name: str = "cpu") -> Object:
    requirements = [
        {"key": "karpenter.k8s.aws/instance-family", "operator": "In", "values": ["m5"]}
    ]
    return {
        "metadata": {"name": name},
        "spec": {"template": {"spec": {"requirements": requirements}}, "limits": {"cpu": "100"}},
    }


def pod(
    gpus: int = 1,
    *,
    name: str = "train",
    tolerations: list[Object] | None = None,
    resource: str = GPU_RESOURCE,
    **spec: Any,
) -> Object:
    """A pending pod whose one container asks for GPUs; tolerates what EKS would let it tolerate."""
    limits = {resource: str(gpus)} if gpus else {"cpu": "1"}
    return {
        "metadata": {"namespace": "alice", "name": name, "creationTimestamp": MADE},
        "spec": {
            "containers": [{"name": "main", "resources": {"limits": limits}}],
            "tolerations": [TOLERATION] if tolerations is None else tolerations,
            **spec,
        },
        "status": {"phase": "Pending"},
    }


def affinity(*terms: list[Object]) -> Object:
    required = {"nodeSelectorTerms": [{"matchExpressions": term} for term in terms]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}


def expression(key: str, operator: str, *values: str) -> Object:
    return {"key": key, "operator": operator, **({"values": list(values)} if values else {})}


def node_claim(name: str = "gpu-x7k2p", **conditions: str | tuple[str, str, str]) -> Object:
    """Condition -> its status, or its status, reason and message."""
    told: list[Object] = []
    for kind, state in conditions.items():
        status, reason, message = (state, kind, "") if isinstance(state, str) else state
        told.append({"type": kind, "status": status, "reason": reason, "message": message})
    return {
        "metadata": {
            "name": name,
            "labels": {"karpenter.sh/nodepool": name.rpartition("-")[0]},
            "creationTimestamp": LATER,
        },
        "status": {"conditions": told},
    }


def event(reason: str, message: str, *, kind: str, name: str, at: str = LATER) -> Object:
    """About a pod of alice's, or about something without a namespace."""
    about = {"kind": kind, "name": name, **({"namespace": "alice"} if kind == "Pod" else {})}
    return {"reason": reason, "message": message, "involvedObject": about, "lastTimestamp": at}


def no_capacity(message: str, at: str = LATER, claim: str = "gpu-x7k2p") -> Object:
    reason = "InsufficientCapacityError"
    return event(reason, message, kind="NodeClaim", name=claim, at=at)


def why(waiting: Object, *pools: Object, **seen: Any) -> tuple[Cause, str]:
    """The cause and sentence of one pod, with the usual pool where none is given."""
    reasons = explain(ClusterState(pods=[waiting], node_pools=pools or (pool(),), **seen))
    assert list(reasons) == ["alice/train"]
    return reasons["alice/train"]
