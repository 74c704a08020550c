"""Whether the node group has room for the platform's own pods, by their requests."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import yaml
from kubernetes.utils.quantity import parse_quantity

from ops.checks import Subject
from ops.findings import Finding, good, note, problem
from program import Renders, render_stack
from settings.errors import full_key

ABOUT = "node group"

_TABLE: dict[str, Any] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text("utf-8"))
_GIB, _MIB = 2**30, 2**20
_WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet")
_ANYWHERE = ("kubernetes.io/os", "kubernetes.io/arch")


@dataclass(frozen=True)
class Pods:
    """Equal pods.

    Attributes:
        name: of their workload.
        count: how many there are; None: one per node.
        cpus, memory: requests of one pod, in CPUs and bytes.
    """

    name: str
    count: int | None
    cpus: float
    memory: float


@dataclass(frozen=True)
class Capacity:
    """What one node offers to pods: CPUs, bytes of memory, number of pods."""

    cpus: float
    memory: float
    pods: int


def node_group_findings(stack: Subject) -> Iterator[Finding]:
    """Compares the requests of every pod that a stack starts with ``nodeGroup.desired`` nodes."""
    group = stack.settings.node_group
    node = capacity(group.instance_type)
    if node is None:
        key = full_key("nodeGroup.instanceType")
        yield note(ABOUT, f"{key} is {group.instance_type}, whose size is not in the table")
        return
    try:
        renders = render_stack(stack.settings, stack.region)
    except pulumi.RunError:  # ``ops.checks`` reports sources that are missing
        return
    pods = pods_of(renders)
    nodes = f"{group.desired} {group.instance_type} ({full_key('nodeGroup.desired')})"
    counts = [(group.desired if each.count is None else each.count, each) for each in pods]
    asked = {
        "CPUs": sum(count * each.cpus for count, each in counts),
        "GiB": sum(count * each.memory for count, each in counts) / _GIB,
        "pods": sum(count for count, _ in counts),
    }
    offered = {
        "CPUs": group.desired * node.cpus,
        "GiB": group.desired * node.memory / _GIB,
        "pods": group.desired * node.pods,
    }
    text = ", ".join(f"{value:.1f} of {offered[unit]:.1f} {unit}" for unit, value in asked.items())
    sentence = f"the platform's own pods take {text} of {nodes}"
    larger = f"use more or larger ones ({full_key('nodeGroup.instanceType')})"
    widest = [each.name for each in pods if each.cpus > node.cpus or each.memory > node.memory]
    if any(asked[unit] > offered[unit] for unit in asked):
        yield problem(ABOUT, f"{sentence}: {larger}")
    elif widest:
        yield problem(ABOUT, f"no {group.instance_type} holds a pod of {widest[0]}: {larger}")
    else:
        yield good(ABOUT, sentence)


def capacity(instance_type: str) -> Capacity | None:
    """What a node of this type offers; None where its name reveals no size.

    AL2023 reserves CPU and memory for the kubelet (awslabs/amazon-eks-ami
    nodeadm/internal/kubelet/config.go); 7.5 % of the memory is the hypervisor's (karpenter.sh,
    settings, vmMemoryOverheadPercent).
    """
    family, _, size = instance_type.partition(".")
    vcpus = _TABLE["vcpus"].get(size)
    ratio = _TABLE["gib_per_vcpu"].get(family[0]) if re.match(r"[cmrt]\d", family) else None
    if vcpus is None or ratio is None:
        return None
    gib = _TABLE["burstable_gib"].get(size, vcpus * ratio) if family[0] == "t" else vcpus * ratio
    pods = _TABLE["pods"].get(size, _TABLE["most_pods"])
    shares = (0.06, 0.01, 0.005, 0.005)
    reserved = sum(shares[:vcpus]) + 0.0025 * max(0, vcpus - len(shares))
    memory = gib * _GIB * 0.925 - (255 + 11 * pods + 100) * _MIB
    return Capacity(vcpus - reserved, memory, pods)


def pods_of(renders: Renders) -> list[Pods]:
    """Every pod that runs all the time on the node group, sidecars included."""
    objects = [obj for part in renders.all() for obj in part.objects]
    least = {
        (obj["metadata"].get("namespace"), obj["spec"]["scaleTargetRef"]["name"]): int(
            obj["spec"].get("minReplicas", 1)
        )
        for obj in objects
        if obj["kind"] == "HorizontalPodAutoscaler"
    }
    sidecar = _sidecar(objects)
    injected = {
        obj["metadata"]["name"]
        for obj in objects
        if obj["kind"] == "Namespace"
        and (obj["metadata"].get("labels") or {}).get("istio-injection") == "enabled"
    }
    pods: list[Pods] = []
    for obj in objects:
        if obj["kind"] not in _WORKLOADS:
            continue
        name, namespace = obj["metadata"]["name"], obj["metadata"].get("namespace")
        template = obj["spec"]["template"]
        if any(key not in _ANYWHERE for key in template["spec"].get("nodeSelector") or {}):
            continue
        requests = [_requests(each) for each in template["spec"]["containers"]]
        if namespace in injected and not _opted_out(template.get("metadata") or {}):
            requests.append(sidecar)
        replicas = least.get((namespace, name), int(obj["spec"].get("replicas") or 1))
        count = None if obj["kind"] == "DaemonSet" else replicas
        pods.append(Pods(name, count, *map(sum, zip(*requests, strict=True))))
    own = [*_TABLE["add_ons"], *([_TABLE["karpenter"]] if renders.karpenter else [])]
    return pods + [
        Pods(row["name"], row.get("replicas"), *_requests({"resources": {"requests": row}}))
        for row in own
    ]


def _requests(container: dict[str, Any]) -> tuple[float, float]:
    asked = (container.get("resources") or {}).get("requests") or {}
    return float(parse_quantity(asked.get("cpu", 0))), float(parse_quantity(asked.get("memory", 0)))


def _opted_out(metadata: dict[str, Any]) -> bool:
    marks = {**(metadata.get("annotations") or {}), **(metadata.get("labels") or {})}
    return marks.get("sidecar.istio.io/inject") == "false"


def _sidecar(objects: Iterable[dict[str, Any]]) -> tuple[float, float]:
    """The requests of the container that istiod adds to pods (its injector's values)."""
    for obj in objects:
        if obj["kind"] == "ConfigMap" and obj["metadata"]["name"] == "istio-sidecar-injector":
            return _requests(json.loads(obj["data"]["values"])["global"]["proxy"])
    return 0.0, 0.0
