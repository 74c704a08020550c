"""The reason why a pod is not ready: one sentence, from the pod and its warnings.

Pure: objects come as JSON from the Kubernetes API. Fields: k8s.io/api core/v1, PodStatus.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

Object = Mapping[str, Any]
_STARTING = frozenset({"ContainerCreating", "PodInitializing"})
"""Reasons of a container that waits for its image, its volumes or another container."""


class Reason(NamedTuple):
    """Why a pod is not ready.

    Attributes:
        sentence: without the pod's name.
        starting: nothing has failed so far.
    """

    sentence: str
    starting: bool = False


def reason_of(pod: Object, warnings: Iterable[Object] = ()) -> Reason | None:
    """Why a pod is not ready; None when it is, has succeeded or is being deleted.

    Args:
        pod: as the API server returns it.
        warnings: events of the type Warning, of any object. They explain what a status leaves out,
            such as a Secret that cannot be mounted.
    """
    status = pod.get("status") or {}
    conditions = {each["type"]: each for each in status.get("conditions") or []}
    deleted = pod["metadata"].get("deletionTimestamp")
    ready = conditions.get("Ready", {}).get("status") == "True"
    if deleted or ready or status.get("phase") == "Succeeded":
        return None
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        return _without_node(pod, scheduled)
    if sentence := next(_failures(status), None):
        return Reason(sentence)
    if status.get("phase") == "Failed":
        return Reason(": ".join(filter(None, ["it failed", *map(status.get, _WHY)])))
    warned = [each for each in warnings if _about(each, pod)]
    if warned:
        return Reason(said_last(warned))
    return _start(status)


def said_last(warnings: Iterable[Object]) -> str:
    """Reason and message of the newest of these events, of which either may be missing."""
    last = max(warnings, key=lambda each: each.get("lastTimestamp") or each.get("eventTime") or "")
    return ": ".join(filter(None, map(last.get, _WHY))) or "a warning without a reason"


_WHY = ("reason", "message")


def _without_node(pod: Object, scheduled: Mapping[str, Any]) -> Reason:
    if scheduled.get("reason") == "SchedulingGated":
        gates = [str(each["name"]) for each in (pod.get("spec") or {}).get("schedulingGates") or []]
        held = ", ".join(gates) or "unknown"
        return Reason(f"it waits for whoever removes its scheduling gate ({held})", starting=True)
    return Reason(f"no node takes it: {scheduled.get('message') or scheduled.get('reason')}")


def _failures(status: Mapping[str, Any]) -> Iterator[str]:
    """A sentence per container that waits or has ended with a failure; init containers first."""
    for container in _containers(status):
        name, state = container["name"], container.get("state") or {}
        waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
        before = (container.get("lastState") or {}).get("terminated") or {}
        if waiting and waiting.get("reason") not in _STARTING:
            text = ": ".join(filter(None, map(waiting.get, _WHY)))
            yield f"container {name} waits: {text}{_ending(before)}"
        elif ended.get("exitCode"):
            yield f"container {name} ended{_ending(ended)}"


def _ending(ended: Mapping[str, Any]) -> str:
    if not ended:
        return ""
    why = ": ".join(filter(None, map(ended.get, _WHY)))
    return f" (exit code {ended['exitCode']}{why and f', {why}'})"


def _start(status: Mapping[str, Any]) -> Reason:
    for container in _containers(status):
        state = container.get("state") or {}
        if "waiting" in state:
            doing = "pulls its image or waits for its volumes"
            return Reason(f"container {container['name']} {doing}", starting=True)
        if "running" in state and not container.get("ready"):
            sentence = f"container {container['name']} runs and its readiness probe fails"
            return Reason(sentence, starting=True)
    return Reason("it was created and its node has not started it", starting=True)


def _containers(status: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [
        container
        for kind in ("initContainerStatuses", "containerStatuses")
        for container in status.get(kind) or []
    ]


def _about(event: Object, pod: Object) -> bool:
    uid = pod["metadata"].get("uid")
    return uid is not None and event.get("involvedObject", {}).get("uid") == uid
