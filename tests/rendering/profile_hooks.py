"""The sync hooks of all releases as Python modules, and what they answer."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType
from typing import Any

from rendering.release import load
from tests.releases import DEFAULT, PIPELINES_2, version_of_pipelines
from tests.rendering.beijing import MANIFESTS

HOOK = MANIFESTS / "addons/profile-hook/hook.py"
OLD = "1.5.1-aws-b1.0.0"
SCRIPTS = {
    **dict.fromkeys(PIPELINES_2, HOOK.parent / "s3/sync.py"),
    OLD: MANIFESTS / OLD / "pipelines/profile-controller/sync.py",
}
KEY_FORMAT = "private-artifacts/{{workflow.namespace}}/{{workflow.name}}/{{pod.name}}"
FRONTENDS = {
    name: f"ghcr.io/kubeflow/kfp-frontend:{version_of_pipelines(name)}" for name in PIPELINES_2
}
WITH_REGISTRY = {
    name for name in PIPELINES_2 if "model_registry" in load(MANIFESTS / name).parts.present
}
REGISTRY_HOST = "model-registry-service.kubeflow.svc.cluster.local"
CATALOG_HOST = "model-catalog.kubeflow.svc.cluster.local"
WITH_CATALOG = {name for name in PIPELINES_2 if "model-catalog" in load(MANIFESTS / name).optional}
ENVIRONMENTS = {
    **{
        name: {
            "S3_BUCKET": "kf-artifacts",
            "S3_ENDPOINT": "s3.cn-north-1.amazonaws.com.cn",
            "AWS_REGION": "cn-north-1",
            "KFP_DEFAULT_PIPELINE_ROOT": "s3://kf-artifacts/private-artifacts",
            "ARGO_KEYFORMAT": KEY_FORMAT,
            "FRONTEND_IMAGE": image,
            "ARTIFACTS_PROXY_ENABLED": "true",
            "DISABLE_ISTIO_SIDECAR": "false",
            **({"MODEL_REGISTRY": REGISTRY_HOST} if name in WITH_REGISTRY else {}),
        }
        for name, image in FRONTENDS.items()
    },
    OLD: {
        "S3_ENDPOINT": "s3.cn-north-1.amazonaws.com.cn",
        "AWS_REGION": "cn-north-1",
        "KFP_DEFAULT_PIPELINE_ROOT": "s3://kf-artifacts/private-artifacts",
        "FRONTEND_IMAGE": "registry.example/frontend:1.8.2",
        "VISUALIZATION_SERVER_IMAGE": "registry.example/visualization-server:1.8.2",
        "MINIO_ACCESS_KEY": "key-id",
        "MINIO_SECRET_KEY": "key-secret",
    },
}


def _module(release: str) -> ModuleType:
    if str(HOOK.parent) not in sys.path:
        sys.path.append(str(HOOK.parent))
    spec = importlib.util.spec_from_file_location(f"sync_of_{release}", SCRIPTS[release])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


SYNC: dict[str, Any] = {release: _module(release) for release in SCRIPTS}
SETTINGS = {release: SYNC[release].settings_from(ENVIRONMENTS[release]) for release in SYNC}


def namespace(name: str = "alice", enabled: str | None = "true") -> dict[str, Any]:
    labels = {} if enabled is None else {"pipelines.kubeflow.org/enabled": enabled}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def objects(
    release: str = DEFAULT, settings: Any = None, name: str = "alice"
) -> dict[str, dict[str, Any]]:
    """``Kind name`` -> an object that the release's hook makes in a profile."""
    desired = SYNC[release].desired(namespace(name), settings or SETTINGS[release])
    return {f"{obj['kind']} {obj['metadata']['name']}": obj for obj in desired}


def container(release: str, deployment: str, settings: Any = None) -> dict[str, Any]:
    pod = objects(release, settings)[f"Deployment {deployment}"]["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == "default-editor"
    (container,) = pod["containers"]
    return container
