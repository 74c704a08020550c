"""The state of Karpenter's objects: conditions of NodeClaims, and events.

kubernetes-sigs/karpenter v1.14.1, ``pkg/events/reason.go`` for the reasons and
``pkg/controllers/nodeclaim/lifecycle`` for the conditions. A NodeClaim without capacity is deleted
at once, so only its event remains.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Object = Mapping[str, Any]
"""A Kubernetes object, as the JSON of the API server."""

POOL_LABEL = "karpenter.sh/nodepool"
REASONS = (
    "FailedScheduling",
    "InsufficientCapacityError",
    "NoCompatibleInstanceTypes",
    "Nominated",
)
"""Of the events that explain why a pod is pending."""
_EFA = "vpc.amazonaws.com/efa"
_NOT_YET = "AwaitingReconciliation"  # of a condition not reconciled yet (awslabs/operatorpkg)


@dataclass(frozen=True)
class ClusterState:
    """Objects of a cluster.

    Attributes:
        pods: at least those that are pending.
        node_pools: all of karpenter.sh/v1.
        node_claims: all of karpenter.sh/v1.
        events: at least those of ``REASONS``.
    """

    pods: Sequence[Object]
    node_pools: Sequence[Object]
    node_claims: Sequence[Object] = ()
    events: Sequence[Object] = ()

    def starting_claims(self, pool: str) -> list[Object]:
        """The NodeClaims of a NodePool whose nodes are not ready for pods yet."""
        return [
            claim
            for claim in self.node_claims
            if (claim["metadata"].get("labels") or {}).get(POOL_LABEL) == pool
            and "Initialized" not in _reached(claim)
        ]

    def events_of(self, reason: str) -> list[Object]:
        """Events of one reason, the newest first."""
        events = [event for event in self.events if event.get("reason") == reason]
        return sorted(events, key=time_of, reverse=True)

    def messages_about(self, obj: Object, reason: str) -> list[str]:
        """Messages of the events of one reason about one object, the newest first."""
        metadata = obj["metadata"]
        key = (metadata.get("namespace"), metadata["name"])
        return [
            event.get("message", "")
            for event in self.events_of(reason)
            for involved in [event["involvedObject"]]
            if (involved.get("namespace"), involved["name"]) == key
        ]


def time_of(event: Object) -> str:
    """The time of an event, as the API server writes times."""
    return event.get("lastTimestamp") or event.get("eventTime") or ""


def conditions(obj: Object) -> list[dict[str, Any]]:
    """``status.conditions``."""
    return (obj.get("status") or {}).get("conditions") or []


def trouble(claim: Object) -> str | None:
    """The failure of a NodeClaim that is starting, with the way out."""
    for condition in conditions(claim):
        reason, message = condition.get("reason", ""), condition.get("message", "")
        failed = condition["status"] != "True" and reason not in ("", _NOT_YET)
        if condition["type"] == "Launched" and failed:
            return f"was not launched ({reason}: {message}): correct that, Karpenter retries"
        if condition["type"] == "Initialized" and reason == "ResourceNotRegistered":
            if _EFA in message:
                return (
                    f"has joined without its EFA devices ({message}): the platform has no EFA "
                    f"device plugin, so remove {_EFA} from the pods, or install the plugin"
                )
            return (
                f"has joined without its GPUs ({message}): look at the device plugin's pods with "
                "`kubectl -n kube-system get pods -o wide`"
            )
    return None


def stage(claim: Object) -> str:
    """The name of a NodeClaim and the last stage it reached."""
    created = claim["metadata"].get("creationTimestamp", "an unknown time")
    return f"{claim['metadata']['name']} of {created} is {['requested', *_reached(claim)][-1]}"


def _reached(claim: Object) -> list[str]:
    true = {condition["type"] for condition in conditions(claim) if condition["status"] == "True"}
    return [stage for stage in ("Launched", "Registered", "Initialized") if stage in true]
