"""What Karpenter tells of its doings: conditions of NodeClaims, and events.

kubernetes-sigs/karpenter v1.14.1, ``pkg/events/reason.go`` for the reasons and
``pkg/controllers/nodeclaim/lifecycle`` for the conditions. A NodeClaim that gets no capacity is
deleted at once, so only its event is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ops.node_pool_fit import POOL_LABEL, Object


@dataclass(frozen=True)
class Seen:
    """What a cluster holds, as JSON objects.

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

    def claims_of(self, pool: Object) -> list[Object]:
        """The NodeClaims that a NodePool made."""
        name = pool["metadata"]["name"]
        return [
            claim
            for claim in self.node_claims
            if (claim["metadata"].get("labels") or {}).get(POOL_LABEL) == name
        ]

    def told(self, reason: str, about: Object | None = None) -> list[Object]:
        """Events of one reason, the newest first; ``about`` one object, or whichever."""
        found = [each for each in self.events if each.get("reason") == reason]
        if about is not None:
            metadata = about["metadata"]
            whose = (metadata.get("namespace"), metadata["name"])
            found = [
                each
                for each in found
                if (each["involvedObject"].get("namespace"), each["involvedObject"]["name"])
                == whose
            ]
        return sorted(found, key=when, reverse=True)


REASONS = (
    "FailedScheduling",
    "InsufficientCapacityError",
    "NoCompatibleInstanceTypes",
    "Nominated",
)
"""Of the events that say why a pod waits."""
_NOT_YET = "AwaitingReconciliation"  # of a condition that nobody looked at (awslabs/operatorpkg)


def when(event: Object) -> str:
    """The time of an event, as the API server writes times."""
    return event.get("lastTimestamp") or event.get("eventTime") or ""


def conditions(obj: Object) -> list[dict[str, Any]]:
    """``status.conditions``"""
    return obj.get("status", {}).get("conditions") or []


def reached(obj: Object, condition: str) -> bool:
    """Whether a condition is true."""
    return any(each["type"] == condition and each["status"] == "True" for each in conditions(obj))


def trouble(claim: Object) -> str | None:
    """What is wrong with a NodeClaim that is starting, with the way out."""
    for each in conditions(claim):
        reason, message = each.get("reason", ""), each.get("message", "")
        failed = each["status"] != "True" and reason not in ("", _NOT_YET)
        if each["type"] == "Launched" and failed:
            return f"was not launched ({reason}: {message}): mend that, Karpenter tries again"
        if each["type"] == "Initialized" and reason == "ResourceNotRegistered":
            return (
                f"has joined without its GPUs ({message}): look at the device plugin's pods with "
                "`kubectl -n kube-system get pods -o wide`"
            )
    return None


def stage(claim: Object) -> str:
    """How far a NodeClaim is, with its name."""
    steps = [step for step in ("Launched", "Registered", "Initialized") if reached(claim, step)]
    made = claim["metadata"].get("creationTimestamp", "an unknown time")
    return f"{claim['metadata']['name']} of {made} is {steps[-1] if steps else 'requested'}"
