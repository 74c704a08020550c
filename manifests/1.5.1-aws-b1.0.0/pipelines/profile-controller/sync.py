"""Metacontroller's sync hook for Kubeflow profiles: what Pipelines 1.8.2 needs in each, on S3.

Runs as /hooks/sync.py on a plain Python 3.7, beside hook.py (manifests/addons/profile-hook). The
CompositeController kubeflow-pipelines-profile-controller POSTs every namespace to /sync as
``{"parent": namespace, "children": {kind: {name: object}}}`` and makes the cluster match the answer
``{"status": ..., "children": [objects]}``.

Pipelines 1.8.2 can use S3 only with a static key, so every profile holds a copy of it in Secret
mlpipeline-minio-artifact, readable by its owner. The key can use the artifact bucket and nothing
else; within the bucket profiles are not kept apart. Settings are in deployment.yaml beside this
file; formats are those of kubeflow/pipelines 1.8.2 and metacontroller 2.0 (CompositeController).
"""

from __future__ import annotations

import base64
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import hook
from hook import ARTIFACT_SERVER, Object, required

V2_COMPONENT_LABEL = "pipelines.kubeflow.org/v2_component"
"""On pods of runs in v2-compatible mode (kfp 1.8, sdk/python/kfp/compiler/v2_compat.py)."""
KEY = "mlpipeline-minio-artifact"
VISUALIZATION_SERVER = "ml-pipeline-visualizationserver"
API_SERVER = "cluster.local/ns/kubeflow/sa/ml-pipeline"


@dataclass(frozen=True)
class Settings(hook.CommonSettings):
    """What is the same for every profile. The key is never shown by ``repr`` or logged."""

    visualization: str  # image of the visualization server
    access_key: str = field(repr=False)  # of the key that can use the artifact bucket
    secret_key: str = field(repr=False)


def settings_from(environment: Mapping[str, str]) -> Settings:
    """Reads deployment.yaml's variables."""
    return Settings(
        **hook.common_settings(environment),
        visualization=required(environment, "VISUALIZATION_SERVER_IMAGE"),
        access_key=required(environment, "MINIO_ACCESS_KEY"),
        secret_key=required(environment, "MINIO_SECRET_KEY"),
    )


def desired(namespace: Object, settings: Settings) -> list[Object]:
    """Objects this namespace should hold."""
    if not hook.is_enabled(namespace):
        return []
    name: str = namespace["metadata"]["name"]
    return [
        artifact_key(name, settings),
        hook.launcher_config(name, settings),
        hook.metadata_store_config(name),
        launcher_credentials(name, settings),
        hook.deployment(name, visualization_container(settings), settings),
        hook.service(name, VISUALIZATION_SERVER, port=8888, target=8888),
        *only_the_api_server(name, VISUALIZATION_SERVER),
        hook.deployment(name, artifact_container(settings), settings),
        hook.service(name, ARTIFACT_SERVER, port=80, target=3000),
        hook.only_the_ui_for_artifacts(name),
    ]


def artifact_key(namespace: str, settings: Settings) -> Object:
    """Argo's executor, the artifact server and TensorBoard pods read it."""
    values = {"accesskey": settings.access_key, "secretkey": settings.secret_key}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": KEY, "namespace": namespace},
        "data": {name: base64.b64encode(value.encode()).decode() for name, value in values.items()},
    }


def launcher_credentials(namespace: str, settings: Settings) -> Object:
    """Key and region for pods in v2-compatible mode.

    Their launcher opens an s3:// root with whatever the AWS SDK finds in the pod (v2/objectstore),
    which without this is nothing.
    """
    return hook.pod_default(
        namespace,
        "pipeline-artifacts",
        "Access to the bucket of pipeline artifacts",
        V2_COMPONENT_LABEL,
        env=aws_environment(settings),
    )


def aws_environment(settings: Settings) -> list[Object]:
    """What an AWS SDK reads, the key by reference."""
    return [
        variable_from_key("AWS_ACCESS_KEY_ID", "accesskey"),
        variable_from_key("AWS_SECRET_ACCESS_KEY", "secretkey"),
        {"name": "AWS_REGION", "value": settings.region},
    ]


def artifact_container(settings: Settings) -> Object:
    """With the key (pipelines/ui.yaml says why)."""
    fixed = {
        "MINIO_HOST": settings.endpoint,
        "MINIO_PORT": "443",
        "MINIO_SSL": "true",
        "MINIO_NAMESPACE": "",
    }
    environment = [
        *aws_environment(settings),
        variable_from_key("MINIO_ACCESS_KEY", "accesskey"),
        variable_from_key("MINIO_SECRET_KEY", "secretkey"),
        *({"name": name, "value": value} for name, value in fixed.items()),
    ]
    return hook.artifact_container(settings, environment)


def visualization_container(settings: Settings) -> Object:
    resources = {
        "requests": {"cpu": "50m", "memory": "200Mi"},
        "limits": {"cpu": "500m", "memory": "1Gi"},
    }
    return hook.container(VISUALIZATION_SERVER, settings.visualization, 8888, resources)


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


def status(children: Mapping[str, Mapping[str, Object]], objects: list[Object]) -> dict[str, str]:
    """Whether as many objects of each kind exist as are desired; empty where none is."""
    if not objects:
        return {}
    counts = Counter(f"{obj['kind']}.{obj['apiVersion']}" for obj in objects)
    ready = all(len(children.get(kind) or {}) == count for kind, count in counts.items())
    return {"kubeflow-pipelines-ready": str(ready)}


def answer(request: Object, settings: Settings) -> Object:
    """One sync request to its answer."""
    objects = desired(request["parent"], settings)
    return {"status": status(request["children"], objects), "children": objects}


if __name__ == "__main__":
    common = settings_from(os.environ)
    hook.server(lambda request: answer(request, common)).serve_forever()
