"""Metacontroller's sync hook for Kubeflow profiles: what S3 and GPU nodes need in each of them.

Runs as /hooks/sync.py in Deployment kubeflow/kubeflow-pipelines-profile-controller on a plain
Python, so it imports the standard library only. The DecoratorController of the same name POSTs
every namespace labelled ``pipelines.kubeflow.org/enabled`` to /sync as ``{"object": namespace,
"attachments": {...}}`` and makes the cluster match the answer ``{"attachments": [objects]}``.

It makes no Secret and calls no API: pods reach S3 by the role on ServiceAccount default-editor.
What it must write is in kubeflow/pipelines 2.16.0 (backend/src/v2/config for kfp-launcher); the
settings are in deployment.yaml beside this file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

Object = dict[str, Any]

ENABLED_LABEL = "pipelines.kubeflow.org/enabled"
PORT = 8080
ARTIFACT_SERVER = "ml-pipeline-ui-artifact"
KEEP_NODE = "keep-node"
"""Name of the PodDefault and key of the label that asks for it."""


class MissingSettingError(Exception):
    """An environment variable of deployment.yaml is absent or empty."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"environment variable {name} is absent or empty; it is set in "
            "manifests/26.03/pipelines/profile-controller/deployment.yaml"
        )


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is the same for every profile."""

    bucket: str
    endpoint: str  # host of the regional S3 endpoint, without a scheme
    region: str
    pipeline_root: str  # s3://bucket/prefix; a profile's own root lies below it
    key_format: str  # Argo's, with its {{workflow...}} tags
    frontend: str  # image of the UI's server
    artifact_server: bool  # ARTIFACTS_PROXY_ENABLED: serve artifacts by the profile's own role
    istio_sidecar: bool

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read deployment.yaml's variables; MissingSettingError rather than a guessed bucket."""

        def required(name: str) -> str:
            value = environment.get(name, "")
            if not value:
                raise MissingSettingError(name)
            return value

        return cls(
            bucket=required("S3_BUCKET"),
            endpoint=required("S3_ENDPOINT"),
            region=required("AWS_REGION"),
            pipeline_root=required("KFP_DEFAULT_PIPELINE_ROOT").rstrip("/"),
            key_format=required("ARGO_KEYFORMAT"),
            frontend=required("FRONTEND_IMAGE"),
            artifact_server=environment.get("ARTIFACTS_PROXY_ENABLED", "").lower() == "true",
            istio_sidecar=environment.get("DISABLE_ISTIO_SIDECAR", "").lower() != "true",
        )


def desired(namespace: Object, settings: Settings) -> list[Object]:
    """Objects this namespace should hold; none when it has no (or another) enabled label."""
    metadata = namespace["metadata"]
    if metadata.get("labels", {}).get(ENABLED_LABEL) != "true":
        return []
    name: str = metadata["name"]
    objects = [
        launcher_config(name, settings),
        metadata_store_config(name),
        artifact_repositories(name, settings),
        keep_node(name),
    ]
    if settings.artifact_server:
        objects += [artifact_deployment(name, settings), artifact_service(name)]
    return objects


def launcher_config(namespace: str, settings: Settings) -> Object:
    """Where KFP's driver and launcher put the artifacts of this namespace.

    2.16 ignores endpoint and region when ``fromEnv`` is true and asks the SDK, which has the
    region from the pod identity webhook; 2.17 honours them (kubeflow/pipelines#13551).
    """
    providers = {
        "s3": {
            "default": {
                "endpoint": settings.endpoint,
                "region": settings.region,
                "disableSSL": False,
                "credentials": {"fromEnv": True},
            }
        }
    }
    return config_map(
        namespace,
        "kfp-launcher",
        {
            "defaultPipelineRoot": f"{settings.pipeline_root}/{namespace}/v2/artifacts",
            "providers": json.dumps(providers, indent=2),
        },
    )


def metadata_store_config(namespace: str) -> Object:
    """Where pipeline pods of this namespace find ML Metadata."""
    return config_map(
        namespace,
        "metadata-grpc-configmap",
        {
            "METADATA_GRPC_SERVICE_HOST": "metadata-grpc-service.kubeflow",
            "METADATA_GRPC_SERVICE_PORT": "8080",
        },
    )


def artifact_repositories(namespace: str, settings: Settings) -> Object:
    """Argo's repository for this namespace; it overrides workflow-controller-configmap's."""
    repository = {
        "archiveLogs": True,
        "s3": {
            "endpoint": settings.endpoint,
            "bucket": settings.bucket,
            "region": settings.region,
            "insecure": False,
            "useSDKCreds": True,
            "keyFormat": settings.key_format,
        },
    }
    result = config_map(
        namespace,
        "artifact-repositories",
        {"default-namespaced": json.dumps(repository, indent=2)},
    )
    result["metadata"]["annotations"] = {
        "workflows.argoproj.io/default-artifact-repository": "default-namespaced"
    }
    return result


def keep_node(namespace: str) -> Object:
    """Whatever carries the label stays on its node until it is done.

    The notebook spawner sets the label (spawner_ui_config.yaml, ``configurations``); it takes the
    first key of ``matchLabels`` and the value ``"true"``, and fails on a PodDefault without any.
    """
    return {
        "apiVersion": "kubeflow.org/v1alpha1",
        "kind": "PodDefault",
        "metadata": {"name": KEEP_NODE, "namespace": namespace},
        "spec": {
            "desc": "Keep its node: never moved by Karpenter while it runs",
            "selector": {"matchLabels": {KEEP_NODE: "true"}},
            "annotations": {"karpenter.sh/do-not-disrupt": "true"},
        },
    }


def artifact_deployment(namespace: str, settings: Settings) -> Object:
    """The UI's server as an artifact proxy that reads S3 by this profile's role."""
    labels = {"app": ARTIFACT_SERVER}
    annotations = {} if settings.istio_sidecar else {"sidecar.istio.io/inject": "false"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": ARTIFACT_SERVER, "namespace": namespace, "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels, "annotations": annotations},
                "spec": {
                    "serviceAccountName": "default-editor",
                    "securityContext": {
                        "runAsNonRoot": True,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "containers": [artifact_container(namespace, settings)],
                },
            },
        },
    }


def artifact_container(namespace: str, settings: Settings) -> Object:
    """As Deployment kubeflow/ml-pipeline-ui where both read S3; no key, so the role is used."""
    environment = {
        "AWS_S3_ENDPOINT": settings.endpoint,
        "AWS_REGION": settings.region,
        "AWS_SSL": "true",
        "ARGO_ARCHIVE_ARTIFACTORY": "s3",
        "ARGO_ARCHIVE_BUCKETNAME": settings.bucket,
        "ARGO_KEYFORMAT": settings.key_format,
        "ML_PIPELINE_SERVICE_HOST": "ml-pipeline.kubeflow.svc.cluster.local",
        "ML_PIPELINE_SERVICE_PORT": "8888",
        "FRONTEND_SERVER_NAMESPACE": namespace,
    }
    container: Object = {
        "name": ARTIFACT_SERVER,
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"containerPort": 3000}],
        "env": [{"name": name, "value": value} for name, value in environment.items()],
        "resources": {
            "requests": {"cpu": "10m", "memory": "70Mi"},
            "limits": {"cpu": "100m", "memory": "500Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "runAsUser": 1000,
        },
    }
    # Not a pair of the literal above: rendering looks for images in the text of ConfigMaps, and
    # this file is one.
    container["image"] = settings.frontend
    return container


def artifact_service(namespace: str) -> Object:
    """What ml-pipeline-ui's ARTIFACTS_SERVICE_PROXY_NAME and _PORT point at."""
    labels = {"app": ARTIFACT_SERVER}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": ARTIFACT_SERVER, "namespace": namespace, "labels": labels},
        "spec": {
            # Istio takes the protocol from the port's name
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 3000}],
            "selector": labels,
        },
    }


def config_map(namespace: str, name: str, data: dict[str, str]) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": data,
    }


def answer(body: bytes, settings: Settings) -> bytes:
    """One sync request to its answer. Without ``status`` the namespace's own is left alone."""
    request = cast(Object, json.loads(body))
    return json.dumps({"attachments": desired(request["object"], settings)}).encode()


def server(settings: Settings, port: int = PORT) -> ThreadingHTTPServer:
    """The HTTP server on ``port`` of all interfaces (0: any free one), not yet serving."""

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            try:
                reply, status = answer(body, settings), 200
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                # 400 makes metacontroller log the answer and try again, and the server lives on
                reply, status = json.dumps({"error": repr(error)}).encode(), 400
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

    return ThreadingHTTPServer(("", port), Hook)


if __name__ == "__main__":
    server(Settings.from_environment(os.environ)).serve_forever()
