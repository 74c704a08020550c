"""Pods that hold GPUs: whose they are, on which machine, since when, and how busy the GPUs are.

Pure: objects come as JSON from the Kubernetes API (``ops/live_cluster.py``), loads as the text of
DCGM exporters (``manifests/addons/dcgm-exporter``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ops.karpenter_status import Object, conditions
from ops.node_pool_fit import INSTANCE_TYPE, gpus_requested

_OWNERS = {
    "notebook-name": "notebook",
    "katib.kubeflow.org/experiment": "experiment",
    "workflows.argoproj.io/workflow": "workflow",
    "serving.kserve.io/inferenceservice": "InferenceService",
    "jobset.sigs.k8s.io/jobset-name": "training",
}
"""Label of pods -> what the user made; a pod's owner is an object that the user never named."""
_LOAD = re.compile(r"^DCGM_FI_DEV_GPU_UTIL\{(?P<labels>.*)\} (?P<percent>[\d.]+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


class Holder(NamedTuple):
    """One pod with GPUs, and the sentence about it.

    Attributes:
        name: ``namespace/name``.
        idle: whether DCGM measures no load; False without DCGM.
    """

    name: str
    sentence: str
    idle: bool


def nodes_of_holders(pods: Iterable[Object]) -> set[str]:
    """Names of the nodes whose GPUs are held."""
    return {pod["spec"]["nodeName"] for pod in pods if _holds(pod)}


def holders(
    pods: Iterable[Object], nodes: Iterable[Object], exported: Sequence[str] = ()
) -> Iterator[Holder]:
    """Every pod that holds GPUs, the longest first.

    Args:
        pods: all that have not succeeded.
        nodes: at least those of the pods.
        exported: what DCGM's exporters answered, a text per node.
    """
    types = {
        node["metadata"]["name"]: (node["metadata"].get("labels") or {}).get(INSTANCE_TYPE)
        for node in nodes
    }
    loads = _loads(exported)
    for pod in sorted(filter(_holds, pods), key=_since):
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        node = pod["spec"]["nodeName"]
        load = loads.get((namespace, name))
        amounts = " and ".join(f"{n} {resource}" for resource, n in gpus_requested(pod).items())
        measured = "" if load is None else f"; DCGM measures {load:g} % load"
        yield Holder(
            f"{namespace}/{name}",
            f"{_owner(pod)} holds {amounts} on {node} ({types.get(node) or 'type unknown'}) since "
            f"{_since(pod)}{measured}",
            load == 0,
        )


def _holds(pod: Object) -> bool:
    ended = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
    return bool(pod["spec"].get("nodeName")) and not ended and bool(gpus_requested(pod))


def _since(pod: Object) -> str:
    """When its node was chosen; as the API server writes times, which sort as text."""
    scheduled = (each for each in conditions(pod) if each["type"] == "PodScheduled")
    times = (each.get("lastTransitionTime") for each in scheduled if each["status"] == "True")
    return next(times, None) or pod["metadata"]["creationTimestamp"]


def _owner(pod: Object) -> str:
    labels = pod["metadata"].get("labels") or {}
    named = (f"{kind} {labels[label]}" for label, kind in _OWNERS.items() if label in labels)
    references = pod["metadata"].get("ownerReferences") or []
    owners = (f"{each['kind']} {each['name']}" for each in references)
    return next(named, None) or next(owners, "a pod of its own")


def _loads(exported: Iterable[str]) -> Mapping[tuple[str, str], float]:
    """Namespace and name of a pod -> the load of its busiest GPU, in percent."""
    loads: dict[tuple[str, str], float] = {}
    for line in (match for text in exported for match in _LOAD.finditer(text)):
        labels = dict(_LABEL.findall(line["labels"]))
        pod = labels.get("namespace", ""), labels.get("pod", "")
        loads[pod] = max(loads.get(pod, 0.0), float(line["percent"]))
    return loads
