"""An API server that has the objects of a live platform."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from images.reference import parse
from ops.cli_errors import Refused
from ops.live_cluster import LiveCluster
from ops.verification.checks.live_objects import PATHS, name_of, namespace_of
from rendering import Object
from rendering.objects import pod_spec
from rendering.pod_references import classes_of
from tests.ops.verification.played.live import Live

_METRICS_NODES = "/apis/metrics.k8s.io/v1beta1/nodes"
_CLASS_STATUSES = "/apis/secrets-store.csi.x-k8s.io/v1/secretproviderclasspodstatuses"


class PlayedCluster(LiveCluster):
    """Lists of a live platform; it knows the paths of the API server, and nothing else.

    Attributes:
        asked: paths, in order.
        refused: paths that the user has no right to.
        version: what it says of itself.
    """

    def __init__(self, live: Live) -> None:
        self.host = "https://played.example"
        self.live = live
        self.asked: list[str] = []
        self.refused: set[str] = set()
        self.version = f"v{live.settings.cluster.version}.1-eks-1234567"

    def all(self, path: str, **selected: str) -> list[Any]:
        self.asked.append(path)
        if path in self.refused:
            raise Refused(f"{self.host} does not let you use {path} (403 Forbidden): check that.")
        if path == _METRICS_NODES:
            return [{"metadata": {"name": name_of(node)}} for node in self.live.all("Node")]
        if path == _CLASS_STATUSES:
            return list(self._class_statuses())
        (kind,) = [kind for kind, paths in PATHS.items() if path in paths]
        version = path.removeprefix("/apis/").removeprefix("/api/").rpartition("/")[0]
        return [
            {key: value for key, value in obj.items() if key not in ("apiVersion", "kind")}
            for obj in self.live.all(kind)
            if _served(obj, version) and _selected(obj, selected)
        ]

    def _class_statuses(self) -> Iterator[dict[str, Any]]:
        for kind in ("Deployment", "StatefulSet", "Job"):
            for obj in self.live.all(kind):
                for name in classes_of(pod_spec(obj) or {}):
                    status = {"mounted": True, "secretProviderClassName": name}
                    yield {"metadata": {"namespace": namespace_of(obj)}, "status": status}

    def answer(
        self, method: str, path: str, query: dict[str, str], body: Any = None
    ) -> dict[str, Any]:
        self.asked.append(path)
        if path == "/version":
            return {"gitVersion": self.version}
        if path.endswith("/subjectaccessreviews"):
            return {"status": _reviewed(self.live, body["spec"])}
        assert (method, path, query) == (
            "POST",
            "/api/v1/namespaces/default/pods",
            {"dryRun": "All"},
        )
        pod = copy.deepcopy(body)
        mirror = self.live.objects.get(("MutatingWebhookConfiguration", "image-mirror"))
        if mirror:
            for each in pod["spec"]["containers"]:
                each["image"] = parse(each["image"]).mirrored(self.live.context.image_prefix)
        return pod


def _served(obj: Object, version: str) -> bool:
    """Versions of a group are converted into each other; only this one is a kind of its own."""
    beta = "autoscaling/v2beta2"
    same_group = obj["apiVersion"].rpartition("/")[0] == version.rpartition("/")[0]
    return same_group and (obj["apiVersion"] == beta) == (version == beta)


def _selected(obj: Object, selected: Mapping[str, str]) -> bool:
    assert selected in ({}, {"fieldSelector": "status.phase!=Succeeded"})
    return not selected or obj.get("status", {}).get("phase") != "Succeeded"


def _reviewed(live: Live, spec: Mapping[str, Any]) -> dict[str, Any]:
    """kubernetes/kubernetes plugin/pkg/auth/authorizer/rbac/rbac.go, without resource names."""
    asked = spec["resourceAttributes"]
    for kind in ("ClusterRoleBinding", "RoleBinding"):
        for obj in live.all(kind):
            if kind == "RoleBinding" and namespace_of(obj) != asked["namespace"]:
                continue
            role = live.objects.get((obj["roleRef"]["kind"], obj["roleRef"]["name"]), {})
            for subject in obj.get("subjects") or []:
                if _is_subject(spec, subject) and _allows(role, asked):
                    reason = (
                        f'RBAC: allowed by {kind} "{name_of(obj)}" of '
                        f'{obj["roleRef"]["kind"]} "{obj["roleRef"]["name"]}" to '
                        f'{subject["kind"]} "{subject["name"]}"'
                    )
                    return {"allowed": True, "reason": reason}
    return {"allowed": False}


def _is_subject(spec: Mapping[str, Any], subject: Mapping[str, Any]) -> bool:
    if subject["kind"] == "Group":
        return subject["name"] in spec.get("groups", [])
    if subject["kind"] == "ServiceAccount":
        account = f"system:serviceaccount:{subject.get('namespace')}:{subject['name']}"
        return spec["user"] == account
    return spec["user"] == subject["name"]


def _allows(role: Mapping[str, Any], asked: Mapping[str, str]) -> bool:
    part = asked.get("subresource")
    resource = f"{asked['resource']}/{part}" if part else asked["resource"]
    return any(
        {asked["group"], "*"} & set(rule.get("apiGroups") or [])
        and {resource, "*"} & set(rule.get("resources") or [])
        and {asked["verb"], "*"} & set(rule.get("verbs") or [])
        and not rule.get("resourceNames")
        for rule in role.get("rules") or []
    )
