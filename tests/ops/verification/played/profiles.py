"""What Kubeflow's profile controller and the release's own hook make of Profiles.

kubeflow/kubeflow components/profile-controller/controllers/profile_controller.go.
"""

from __future__ import annotations

from typing import Any

import yaml

from rendering import Object
from rendering.objects import labels_of, pod_spec
from settings.users import User
from tests.ops.verification.played.live import Live, binding, user_subject
from tests.rendering.profile_hooks import SYNC


def owner_policy(user: User) -> Object:
    header = {"key": "request.headers[kubeflow-userid]", "values": [user.email]}
    own = {"key": "source.namespace", "values": [user.namespace]}
    probed = {"paths": ["/healthz", "/metrics", "/wait-for-drain"]}
    rules = [{"when": [header]}, {"when": [own]}, {"to": [{"operation": probed}]}]
    return {
        "apiVersion": "security.istio.io/v1beta1",
        "kind": "AuthorizationPolicy",
        "metadata": {
            "name": "ns-owner-access-istio",
            "namespace": user.namespace,
            "annotations": {"user": user.email, "role": "admin"},
        },
        "spec": {"rules": rules},
    }


def profile_objects(live: Live, user: User) -> None:
    name = user.namespace
    owned = live.get("Profile", name)
    (labels,) = [
        yaml.safe_load(text)
        for key, obj in live.objects.items()
        if key[0] == "ConfigMap"
        for file, text in (obj.get("data") or {}).items()
        if file == "namespace-labels.yaml"
    ]
    kept = {key: str(value) for key, value in (labels or {}).items() if value}
    namespace = live.put(
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": name,
                "labels": {
                    "istio-injection": "enabled",
                    "kubernetes.io/metadata.name": name,
                    **kept,
                },
                "annotations": {"owner": user.email},
            },
            "status": {"phase": "Active"},
        }
    )
    for account, role in (("default-editor", "kubeflow-edit"), ("default-viewer", "kubeflow-view")):
        arns = [each["spec"]["awsIamRole"] for each in owned["spec"].get("plugins") or []]
        noted = {"eks.amazonaws.com/role-arn": arns[0]} if arns and "editor" in account else {}
        live.put(
            {
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": {"name": account, "namespace": name, "annotations": noted},
            }
        )
        subject = {"kind": "ServiceAccount", "name": account, "namespace": name}
        live.put(binding("RoleBinding", f"{name}/{account}", role, subject))
    owner = user_subject(user.email)
    live.put(
        binding(
            "RoleBinding",
            f"{name}/namespaceAdmin",
            "kubeflow-admin",
            owner,
            user=user.email,
            role="admin",
        )
    )
    live.put(owner_policy(user))
    hook = SYNC[live.settings.release]
    for obj in hook.desired(namespace, hook.settings_from(_environment(live))):
        live.put(obj)


def _environment(live: Live) -> dict[str, str]:
    """Of the pod that runs the release's hook."""
    name = "kubeflow/kubeflow-pipelines-profile-controller"
    (container,) = (pod_spec(live.get("Deployment", name)) or {})["containers"]
    found: dict[str, str] = {}
    for variable in container["env"]:
        source = variable.get("valueFrom") or {}
        reference = source.get("configMapKeyRef")
        if reference:
            data = live.get("ConfigMap", f"kubeflow/{reference['name']}")["data"]
            found[variable["name"]] = data[reference["key"]]
        else:
            found[variable["name"]] = variable.get("value", "from a Secret")
    return found


def aggregated_roles(live: Live) -> None:
    """kubernetes/kubernetes pkg/controller/clusterroleaggregation."""
    roles = [obj for obj in live.all("ClusterRole") if obj.get("aggregationRule")]
    for _ in roles:  # one aggregates another
        for obj in roles:
            rules: list[Any] = []
            for selector in obj["aggregationRule"]["clusterRoleSelectors"]:
                for other in live.all("ClusterRole"):
                    wanted = selector.get("matchLabels") or {}
                    if other is not obj and wanted.items() <= labels_of(other).items():
                        rules += [rule for rule in other.get("rules") or [] if rule not in rules]
            obj["rules"] = rules
