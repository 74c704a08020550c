"""Metacontroller's sync hook for Kubeflow profiles: what Pipelines 1.8.2 needs in each, on S3.

Runs as /hooks/sync.py in Deployment kubeflow/kubeflow-pipelines-profile-controller on a plain
Python 3.7, so it imports the standard library only. The CompositeController of the same name POSTs
every namespace to /sync as ``{"parent": namespace, "children": {kind: {name: object}}}`` and makes
the cluster match the answer ``{"status": ..., "children": [objects]}``.

Pipelines 1.8.2 can use S3 only with a static key, so every profile holds a copy of it in Secret
mlpipeline-minio-artifact, readable by its owner. The key can use the artifact bucket and nothing
else; within the bucket profiles are not kept apart. Settings are in deployment.yaml beside this
file; formats are those of kubeflow/pipelines 1.8.2 and metacontroller 2.0 (CompositeController).
"""

from __future__ import annotations

import base64
import json
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    Object = dict[str, Any]
else:
    Object = dict  # Python 3.7 cannot index it

ENABLED_LABEL = "pipelines.kubeflow.org/enabled"
V2_COMPONENT_LABEL = "pipelines.kubeflow.org/v2_component"
"""On pods of runs in v2-compatible mode (kfp 1.8, sdk/python/kfp/compiler/v2_compat.py)."""
KEY = "mlpipeline-minio-artifact"
ARTIFACT_SERVER = "ml-pipeline-ui-artifact"
VISUALIZATION_SERVER = "ml-pipeline-visualizationserver"
API_SERVER = "cluster.local/ns/kubeflow/sa/ml-pipeline"
PORT = 8080


class MissingSettingError(Exception):
    """An environment variable of deployment.yaml is absent or empty."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"environment variable {name} is absent or empty; it is set in "
            "manifests/1.5.1-aws-b1.0.0/pipelines/profile-controller/deployment.yaml"
        )


@dataclass(frozen=True)
class Settings:
    """What is the same for every profile. The key is never shown by ``repr`` or logged."""

    endpoint: str
    """Host of the regional S3 endpoint, without a scheme."""
    region: str
    pipeline_root: str
    """s3://bucket/prefix; a profile's own root lies below it."""
    frontend: str
    """Image of the UI's server."""
    visualization: str
    """Image of the visualization server."""
    istio_sidecar: bool
    key: Key


@dataclass(frozen=True, repr=False)
class Key:
    """The access key that can use the artifact bucket."""

    access: str
    secret: str


def settings_from(environment: Mapping[str, str]) -> Settings:
    """Reads deployment.yaml's variables; MissingSettingError rather than a guessed bucket."""

    def required(name: str) -> str:
        value = environment.get(name, "")
        if not value:
            raise MissingSettingError(name)
        return value

    return Settings(
        endpoint=required("S3_ENDPOINT"),
        region=required("AWS_REGION"),
        pipeline_root=required("KFP_DEFAULT_PIPELINE_ROOT").rstrip("/"),
        frontend=required("FRONTEND_IMAGE"),
        visualization=required("VISUALIZATION_SERVER_IMAGE"),
        istio_sidecar=environment.get("DISABLE_ISTIO_SIDECAR", "").lower() != "true",
        key=Key(required("MINIO_ACCESS_KEY"), required("MINIO_SECRET_KEY")),
    )


def desired(namespace: Object, settings: Settings) -> list[Object]:
    """Objects this namespace should hold; none when it has no (or another) enabled label."""
    metadata = namespace["metadata"]
    if metadata.get("labels", {}).get(ENABLED_LABEL) != "true":
        return []
    name: str = metadata["name"]
    return [
        artifact_key(name, settings),
        launcher_config(name, settings),
        metadata_store_config(name),
        launcher_credentials(name, settings),
        server(name, VISUALIZATION_SERVER, visualization_container(settings), settings),
        service(name, VISUALIZATION_SERVER, port=8888, target=8888),
        *only_the_api_server(name, VISUALIZATION_SERVER),
        server(name, ARTIFACT_SERVER, artifact_container(settings), settings),
        service(name, ARTIFACT_SERVER, port=80, target=3000),
    ]


def artifact_key(namespace: str, settings: Settings) -> Object:
    """Argo's executor, the artifact server and TensorBoard pods read it."""
    values = {"accesskey": settings.key.access, "secretkey": settings.key.secret}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": KEY, "namespace": namespace},
        "data": {name: base64.b64encode(value.encode()).decode() for name, value in values.items()},
    }


def launcher_config(namespace: str, settings: Settings) -> Object:
    """Where runs in v2-compatible mode put the artifacts of this namespace."""
    root = f"{settings.pipeline_root}/{namespace}/v2/artifacts"
    return config_map(namespace, "kfp-launcher", {"defaultPipelineRoot": root})


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


def launcher_credentials(namespace: str, settings: Settings) -> Object:
    """Key and region for pods in v2-compatible mode.

    Their launcher opens an s3:// root with whatever the AWS SDK finds in the pod (v2/objectstore),
    which without this is nothing.
    """
    return {
        "apiVersion": "kubeflow.org/v1alpha1",
        "kind": "PodDefault",
        "metadata": {"name": "pipeline-artifacts", "namespace": namespace},
        "spec": {
            "desc": "Access to the bucket of pipeline artifacts",
            "selector": {"matchLabels": {V2_COMPONENT_LABEL: "true"}},
            "env": aws_environment(settings),
        },
    }


def aws_environment(settings: Settings) -> list[Object]:
    """What an AWS SDK reads, the key by reference."""
    return [
        variable_from_key("AWS_ACCESS_KEY_ID", "accesskey"),
        variable_from_key("AWS_SECRET_ACCESS_KEY", "secretkey"),
        {"name": "AWS_REGION", "value": settings.region},
    ]


def artifact_container(settings: Settings) -> Object:
    """As Deployment kubeflow/ml-pipeline-ui where both read S3 (pipelines/ui.yaml says why)."""
    fixed = {
        "MINIO_HOST": settings.endpoint,
        "MINIO_PORT": "443",
        "MINIO_SSL": "true",
        "MINIO_NAMESPACE": "",
    }
    container: Object = {
        "name": ARTIFACT_SERVER,
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"containerPort": 3000}],
        "env": [
            *aws_environment(settings),
            variable_from_key("MINIO_ACCESS_KEY", "accesskey"),
            variable_from_key("MINIO_SECRET_KEY", "secretkey"),
            *({"name": name, "value": value} for name, value in fixed.items()),
        ],
        "resources": {
            "requests": {"cpu": "10m", "memory": "70Mi"},
            "limits": {"cpu": "100m", "memory": "500Mi"},
        },
    }
    # Not a pair of the literal above: rendering looks for images in the text of ConfigMaps, and
    # this file is one.
    container["image"] = settings.frontend
    return container


def visualization_container(settings: Settings) -> Object:
    container: Object = {
        "name": VISUALIZATION_SERVER,
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"containerPort": 8888}],
        "resources": {
            "requests": {"cpu": "50m", "memory": "200Mi"},
            "limits": {"cpu": "500m", "memory": "1Gi"},
        },
    }
    container["image"] = settings.visualization  # as above
    return container


def server(namespace: str, name: str, container: Object, settings: Settings) -> Object:
    """A Deployment of one pod with one container, as the profile's own account."""
    labels = {"app": name}
    annotations = {} if settings.istio_sidecar else {"sidecar.istio.io/inject": "false"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels, "annotations": annotations},
                "spec": {"serviceAccountName": "default-editor", "containers": [container]},
            },
        },
    }


def service(namespace: str, name: str, port: int, target: int) -> Object:
    # Istio takes the protocol from the port's name
    ports = [{"name": "http", "port": port, "protocol": "TCP", "targetPort": target}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        "spec": {"ports": ports, "selector": {"app": name}},
    }


def only_the_api_server(namespace: str, name: str) -> list[Object]:
    """Mesh rules that keep everybody but the Pipelines API server away from a server."""
    return [
        {
            "apiVersion": "networking.istio.io/v1alpha3",
            "kind": "DestinationRule",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"host": name, "trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL"}}},
        },
        {
            "apiVersion": "security.istio.io/v1beta1",
            "kind": "AuthorizationPolicy",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {
                "selector": {"matchLabels": {"app": name}},
                "rules": [{"from": [{"source": {"principals": [API_SERVER]}}]}],
            },
        },
    ]


def variable_from_key(name: str, part: str) -> Object:
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": KEY, "key": part}}}


def config_map(namespace: str, name: str, data: dict[str, str]) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": data,
    }


def status(children: Mapping[str, Mapping[str, Object]], wanted: list[Object]) -> dict[str, str]:
    """Whether as many objects of each kind exist as are wanted; empty where none is wanted."""
    if not wanted:
        return {}
    counts = Counter(f"{obj['kind']}.{obj['apiVersion']}" for obj in wanted)
    ready = all(len(children.get(kind) or {}) == count for kind, count in counts.items())
    return {"kubeflow-pipelines-ready": str(ready)}


def answer(body: bytes, settings: Settings) -> bytes:
    """One sync request to its answer."""
    request = cast(Object, json.loads(body))
    wanted = desired(request["parent"], settings)
    reply = {"status": status(request["children"], wanted), "children": wanted}
    return json.dumps(reply).encode()


def hook(settings: Settings, port: int = PORT) -> ThreadingHTTPServer:
    """The HTTP server on ``port`` of all interfaces (0: any free one), not yet serving."""

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            try:
                reply, code = answer(body, settings), 200
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                # 400 makes metacontroller log the answer and try again, and the server lives on
                reply, code = json.dumps({"error": repr(error)}).encode(), 400
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

    return ThreadingHTTPServer(("", port), Hook)


if __name__ == "__main__":
    hook(settings_from(os.environ)).serve_forever()
