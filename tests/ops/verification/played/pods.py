"""What the controllers of workloads make, with a pod per replica, and istiod's sidecars.

k8s.io/api apps/v1, batch/v1, policy/v1.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, cast

from images.reference import parse
from ops.verification.checks.live_objects import digests, namespace_of
from rendering import Object
from rendering.objects import annotations_of, labels_of, pod_spec, pod_template
from tests.ops.verification.played.live import CREATED, Live, condition

_SIDECAR: Mapping[str, Any] = {
    "name": "istio-proxy",
    "securityContext": {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "runAsUser": 1337,
        "seccompProfile": {"type": "RuntimeDefault"},
    },
}
"""As istiod injects it where Istio's CNI plugin sets up the network."""


def workloads(live: Live) -> None:
    minimum = {
        (namespace_of(obj), obj["spec"]["scaleTargetRef"]["name"]): obj["spec"].get(
            "minReplicas", 1
        )
        for obj in live.all("HorizontalPodAutoscaler")
    }
    nodes = len(live.all("Node"))
    for kind in ("Deployment", "StatefulSet", "DaemonSet", "Job"):
        for obj in live.all(kind):
            key = (namespace_of(obj), obj["metadata"]["name"])
            obj["metadata"]["generation"] = 1
            if kind == "DaemonSet":
                # On GPU nodes alone, of which there is none.
                count = 0 if "nvidia" in key[1] or "dcgm" in key[1] else nodes
                obj["status"] = {
                    "observedGeneration": 1,
                    "desiredNumberScheduled": count,
                    "numberReady": count,
                }
            elif kind == "Job":
                count = 0
                conditions = [condition("SuccessCriteriaMet"), condition("Complete")]
                obj["status"] = {
                    "conditions": conditions,
                    "succeeded": 1,
                    "startTime": CREATED,
                    "completionTime": CREATED,
                }
            else:
                count = obj["spec"].get("replicas") or minimum.get(key, 1)
                obj["spec"]["replicas"] = count
                progressing = condition("Progressing", reason="NewReplicaSetAvailable")
                conditions = (
                    [{**progressing, "lastUpdateTime": CREATED}] if kind == "Deployment" else []
                )
                obj["status"] = {
                    "observedGeneration": 1,
                    "replicas": count,
                    "readyReplicas": count,
                    "conditions": conditions,
                }
            for number in range(count):
                live.put(_pod(live, obj, number))


def _pod(live: Live, workload: Object, number: int) -> Object:
    template = copy.deepcopy(cast("dict[str, Any]", pod_template(workload)))
    metadata = template.get("metadata") or {}
    namespace = live.objects["Namespace", namespace_of(workload)]
    spec = template["spec"]
    inject = labels_of(template).get("sidecar.istio.io/inject") or annotations_of(template).get(
        "sidecar.istio.io/inject"
    )
    if labels_of(namespace).get("istio-injection") == "enabled" and inject != "false":
        spec["containers"].append({**_SIDECAR, "image": _proxy(live)})
    for claim in workload["spec"].get("volumeClaimTemplates") or []:
        name = f"{claim['metadata']['name']}-{workload['metadata']['name']}-{number}"
        volume = {"name": claim["metadata"]["name"], "persistentVolumeClaim": {"claimName": name}}
        spec["volumes"] = [*(spec.get("volumes") or []), volume]
        live.put(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "spec": dict(claim["spec"]),
                "metadata": {"name": name, "namespace": namespace_of(workload)},
            }
        )
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            **metadata,
            "name": f"{workload['metadata']['name']}-{number}",
            "namespace": namespace_of(workload),
        },
        "spec": spec,
        "status": {
            "phase": "Running",
            "conditions": [condition("Ready")],
            "containerStatuses": _statuses(live, spec["containers"]),
            "initContainerStatuses": _statuses(live, spec.get("initContainers") or []),
        },
    }


def _proxy(live: Live) -> str:
    containers = (pod_spec(live.get("Deployment", "istio-system/istio-ingressgateway")) or {})[
        "containers"
    ]
    return next(each["image"] for each in containers if each["name"] == "istio-proxy")


def _statuses(live: Live, containers: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "name": each["name"],
            "ready": True,
            "image": each["image"],
            "imageID": image_id(live, each["image"]),
        }
        for each in containers
    ]


def image_id(live: Live, image: str) -> str:
    """As containerd writes it."""
    reference = parse(image)
    source = reference.origin(live.context.image_prefix) or reference
    known = source.digest or digests(live.settings).get(str(source))
    made = f"sha256:{hashlib.sha256(str(source).encode()).hexdigest()}"
    return f"{reference.name}@{known or made}"


def services(live: Live) -> None:
    pods = live.all("Pod")
    for obj in live.all("Service"):
        selector = obj["spec"].get("selector")
        ready = [
            pod
            for pod in pods
            if selector
            and namespace_of(pod) == namespace_of(obj)
            and selector.items() <= labels_of(pod).items()
        ]
        name = obj["metadata"]["name"]
        live.put(
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {
                    "name": f"{name}-abcde",
                    "namespace": namespace_of(obj),
                    "labels": {"kubernetes.io/service-name": name},
                },
                "addressType": "IPv4",
                "endpoints": [
                    {"addresses": ["10.64.1.1"], "conditions": {"ready": True}} for _ in ready
                ],
            }
        )


def volumes(live: Live) -> None:
    for obj in live.all("PersistentVolumeClaim"):
        obj["spec"].setdefault("storageClassName", "gp3")
        obj["status"] = {"phase": "Bound"}


def autoscalers(live: Live) -> None:
    for obj in live.all("HorizontalPodAutoscaler"):
        kinds = (("AbleToScale", "ReadyForNewScale"), ("ScalingActive", "ValidMetricFound"))
        obj["status"] = {"conditions": [condition(kind, reason=why) for kind, why in kinds]}


def budgets(live: Live) -> None:
    """kubernetes/kubernetes pkg/controller/disruption/disruption.go."""
    for obj in live.all("PodDisruptionBudget"):
        selector = obj["spec"]["selector"].get("matchLabels") or {}
        expected = sum(
            namespace_of(pod) == namespace_of(obj) and selector.items() <= labels_of(pod).items()
            for pod in live.all("Pod")
        )
        desired = obj["spec"].get("minAvailable", expected - obj["spec"].get("maxUnavailable", 0))
        if isinstance(desired, str):
            desired = -(-expected * int(desired.rstrip("%")) // 100)
        obj["status"] = {
            "expectedPods": expected,
            "currentHealthy": expected,
            "desiredHealthy": max(desired, 0),
            "disruptionsAllowed": max(expected - desired, 0),
        }
