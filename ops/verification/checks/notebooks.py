"""A notebook as the dashboard's form makes it, with its workspace volume, and the end of both."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from components.objects.pod_reasons import said_last
from ops.cli_errors import Refused
from ops.findings import Finding, good, problem
from ops.live_cluster import Rejected
from ops.verification.check import Check
from ops.verification.platform import Platform
from ops.verification.profile import refuse_exceeded_quota, refuse_used_up_quota, user_of
from ops.verification.waiting import obstacles, pods_of, wait, warnings_of

READY_SECONDS = 15 * 60
GONE_SECONDS = 5 * 60
_FORM = "spawner_ui_config.yaml"
_API = "/apis/kubeflow.org/v1/namespaces"
Object = Mapping[str, Any]


def form_of(platform: Platform) -> dict[str, Any]:
    """The defaults of the form, as the web app has them now. Raises ``Refused``: it has none."""
    name = platform.parts.notebook_form.deployments[0]
    namespace, _, own = name.partition("/")
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{own}"
    deployment = platform.cluster.one(path) or {}
    pod = ((deployment.get("spec") or {}).get("template") or {}).get("spec") or {}
    maps = [each["configMap"]["name"] for each in pod.get("volumes") or [] if "configMap" in each]
    for each in maps:
        found = platform.cluster.one(f"/api/v1/namespaces/{namespace}/configmaps/{each}") or {}
        if text := (found.get("data") or {}).get(_FORM):
            return yaml.safe_load(text)["spawnerFormDefaults"]
    raise Refused(f"Deployment {name} mounts no {_FORM}: `pulumi up`.")


def notebook_objects(form: Object, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The claim of the workspace, and the notebook, as the web app makes them of the defaults.

    kubeflow/kubeflow v1.10.0 components/crud-web-apps/jupyter/backend/apps/common/form.py. The
    controller knows the container by the notebook's name (kubeflow/notebooks v1.11.0-rc.1
    components/notebook-controller/controllers/notebook_controller.go).

    Args:
        form: its defaults.
        name: of the notebook.
    """
    volume = form["workspaceVolume"]["value"]
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": f"{name}-workspace"},
        "spec": volume["newPvc"]["spec"],
    }
    requests = {"cpu": str(form["cpu"]["value"]), "memory": str(form["memory"]["value"])}
    container = {
        "name": name,
        "image": form["image"]["value"],
        "imagePullPolicy": form["imagePullPolicy"]["value"],
        "resources": {"requests": requests},
        "volumeMounts": [{"name": "workspace", "mountPath": volume["mount"]}],
    }
    mounted = {"claimName": f"{name}-workspace"}
    pod = {
        "serviceAccountName": "default-editor",
        "containers": [container],
        "volumes": [{"name": "workspace", "persistentVolumeClaim": mounted}],
    }
    chosen = dict.fromkeys((form.get("configurations") or {}).get("value") or [], "true")
    notebook = {
        "apiVersion": "kubeflow.org/v1",
        "kind": "Notebook",
        "metadata": {"name": name, "labels": {"app": name, **chosen}},
        "spec": {"template": {"spec": pod}},
    }
    return claim, notebook


def notebook(platform: Platform) -> Iterator[Finding]:
    """Start of a notebook, and the end of its volume."""
    cluster, namespace = platform.cluster, user_of(platform).namespace
    workspace = platform.workspace(namespace)
    name = f"{workspace.run}-notebook"
    claim, wanted = notebook_objects(form_of(platform), name)
    about = f"{namespace}/notebook"
    image = wanted["spec"]["template"]["spec"]["containers"][0]["image"]
    begun = time.monotonic()
    try:
        workspace.create(claim)
        workspace.create(wanted)
    except Rejected as rejected:
        refuse_exceeded_quota(str(rejected))
        yield problem(about, f"{rejected}: correct the form's defaults")
        return
    path = f"{_API}/{namespace}/notebooks/{name}"
    selector = f"notebook-name={name}"

    def ready() -> str | None:
        status = (cluster.one(path) or {}).get("status") or {}
        return "ready" if int(status.get("readyReplicas") or 0) else None

    def doing() -> str:
        pods, warnings = pods_of(cluster, namespace, selector), warnings_of(cluster, namespace)
        if not pods:
            refuse_used_up_quota(warnings, workspace.run)
        return next(obstacles(pods, warnings), "")

    if wait(workspace, "a notebook to start", ready, READY_SECONDS, doing) is None:
        yield problem(about, f"it is not ready after {READY_SECONDS} s: {_reason(platform, name)}")
        return
    yield good(about, f"{image} is ready in {time.monotonic() - begun:.0f} s")
    begun = time.monotonic()
    for obj in (wanted, claim):
        workspace.delete(obj)
    volume = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{name}-workspace"

    def gone() -> str | None:
        return None if cluster.one(volume) else "gone"

    if wait(workspace, "the end of the notebook's volume", gone, GONE_SECONDS) is None:
        finalizers = (cluster.one(volume) or {}).get("metadata", {}).get("finalizers") or []
        yield problem(
            about,
            f"its volume claim {name}-workspace is still there {GONE_SECONDS} s after its "
            f"deletion, with the finalizers {', '.join(finalizers) or 'none'}: a pod mounts it, "
            f"`kubectl --namespace {namespace} describe persistentvolumeclaim {name}-workspace` "
            "names it",
        )
        return
    took = time.monotonic() - begun
    yield good(about, f"is gone with its volume, {took:.0f} s after its deletion")


def _reason(platform: Platform, name: str) -> str:
    """Why a notebook is not ready: by its pod, its claim, or its StatefulSet's events."""
    namespace = user_of(platform).namespace
    warnings = warnings_of(platform.cluster, namespace)
    pods = pods_of(platform.cluster, namespace, f"notebook-name={name}")
    if waiting := next(obstacles(pods, warnings), ""):
        return waiting
    own = [each for each in warnings if name in str(_involved(each).get("name"))]
    if own:
        last = max(own, key=lambda event: event.get("lastTimestamp") or "")
        return f"{_involved(last).get('kind', 'an object')}: {said_last([last])}"
    return f"it has no pod: {platform.parts.notebooks.log} has the reason"


def _involved(event: Object) -> Mapping[str, Any]:
    return event.get("involvedObject") or {}


CHECKS: tuple[Check, ...] = (
    Check(
        "notebook",
        "a notebook of the form's default image with its volume, and the end of both",
        notebook,
        creates=True,
    ),
)
