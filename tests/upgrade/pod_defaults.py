"""The webhook for PodDefaults, played after its source: what it adds, and what it refuses.

kubeflow/dashboard v2.0.0 components/poddefaults-webhooks/main.go; that of Kubeflow 1.10
(components/admission-webhook/main.go) merges in the same way. Volumes, variables and mounts are
merged here, of which the token for Pipelines is made.
"""

from __future__ import annotations

import base64
import copy
import json
from typing import Any

from rendering import Object
from tests.cluster.client import Cluster
from tests.live.egress import Answerer, Response

_MARK = "poddefault.admission.kubeflow.org/poddefault-"
_PATHS = ("/metadata/annotations", "/spec/volumes", "/spec/containers")


class Conflict(Exception):
    """What is there already is not what a PodDefault would add."""


def webhook(cluster: Cluster) -> Answerer:
    """The server of either release."""

    def answer(_method: str, _path: str, body: bytes) -> Response:
        review = json.loads(body)
        request = review["request"]
        path = f"/apis/kubeflow.org/v1alpha1/namespaces/{request['namespace']}/poddefaults"
        response: dict[str, Any] = {"uid": request["uid"], "allowed": True}
        try:
            response |= _patch(request["object"], cluster.get(path)["items"])
        except Conflict as conflict:
            response |= {"allowed": False, "status": {"message": str(conflict)}}
        answered = {"apiVersion": review["apiVersion"], "kind": "AdmissionReview"}
        return 200, "application/json", json.dumps({**answered, "response": response}).encode()

    return answer


def _patch(pod: Object, pod_defaults: list[Object]) -> dict[str, Any]:
    changed = copy.deepcopy(pod)
    for each in pod_defaults:
        wanted = each["spec"]["selector"]["matchLabels"].items()
        if wanted <= (pod["metadata"].get("labels") or {}).items():
            _apply(changed, each)
    values = (
        changed["metadata"].get("annotations"),
        *map(changed["spec"].get, ("volumes", "containers")),
    )
    patch = [
        {"op": "add", "path": path, "value": value}
        for path, value in zip(_PATHS, values, strict=True)
        if value
    ]
    return {
        "patchType": "JSONPatch",
        "patch": base64.b64encode(json.dumps(patch).encode()).decode(),
    }


def _apply(pod: Object, pod_default: Object) -> None:
    spec, name = pod_default["spec"], pod_default["metadata"]["name"]
    _merge(pod["spec"], "volumes", spec, name)
    for container in pod["spec"]["containers"]:
        for key in ("env", "volumeMounts"):
            _merge(container, key, spec, name)
    annotations = pod["metadata"].setdefault("annotations", {})
    annotations[f"{_MARK}{name}"] = pod_default["metadata"]["resourceVersion"]


def _merge(into: dict[str, Any], key: str, spec: dict[str, Any], name: str) -> None:
    there = {each["name"]: each for each in into.get(key) or []}
    for each in spec.get(key, []):
        if there.setdefault(each["name"], each) != each:
            raise Conflict(f"merging {key} for {name} has a conflict on {each['name']}")
    if there:
        into[key] = list(there.values())
