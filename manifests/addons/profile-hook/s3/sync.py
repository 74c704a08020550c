"""Metacontroller's sync hook for Kubeflow profiles: what S3 and GPU nodes need in each of them.

Runs as /hooks/sync.py on a plain Python, beside hook.py (manifests/addons/profile-hook). The
DecoratorController kubeflow-pipelines-profile-controller POSTs every namespace labelled
``pipelines.kubeflow.org/enabled`` to /sync as ``{"object": namespace, "attachments": {...}}`` and
makes the cluster match the answer ``{"attachments": [objects]}``.

It makes no Secret and calls no API: pods reach S3 by the role on ServiceAccount default-editor.
What it must write is in kubeflow/pipelines 2.16.0 (backend/src/v2/config for kfp-launcher); the
settings are in deployment.yaml beside this file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass

import hook
from hook import ARTIFACT_SERVER, Object, required

KEEP_NODE = "keep-node"
"""Name of the PodDefault and key of the label that asks for it."""


@dataclass(frozen=True)
class Settings(hook.CommonSettings):
    """What is the same for every profile."""

    bucket: str
    key_format: str  # Argo's, with its {{workflow...}} tags
    artifact_server: bool  # ARTIFACTS_PROXY_ENABLED, and a sidecar, which judges the user
    model_registry: str  # host of its Service; empty: the release has none
    model_catalog: str  # likewise; empty: the stack has none


def settings_from(environment: Mapping[str, str]) -> Settings:
    """Reads deployment.yaml's variables."""
    common = hook.common_settings(environment)
    enabled = environment.get("ARTIFACTS_PROXY_ENABLED", "").lower() == "true"
    return Settings(
        **common,
        bucket=required(environment, "S3_BUCKET"),
        key_format=required(environment, "ARGO_KEYFORMAT"),
        artifact_server=enabled and common["istio_sidecar"],
        model_registry=environment.get("MODEL_REGISTRY", ""),
        model_catalog=environment.get("MODEL_CATALOG", ""),
    )


def desired(namespace: Object, settings: Settings) -> list[Object]:
    """Objects this namespace should hold."""
    if not hook.is_enabled(namespace):
        return []
    name: str = namespace["metadata"]["name"]
    objects = [
        launcher_config(name, settings),
        hook.metadata_store_config(name),
        artifact_repositories(name, settings),
        keep_node(name),
        hook.pipelines_access(name),
        *hook.package_defaults(name),
    ]
    if settings.artifact_server:
        # ml-pipeline-ui's ARTIFACTS_SERVICE_PROXY_NAME and _PORT point at the Service.
        service = hook.service(name, ARTIFACT_SERVER, port=80, target=3000)
        objects += [artifact_deployment(name, settings), service]
        objects += [hook.only_the_ui_for_artifacts(name), only_from_the_ui(name)]
    if settings.model_registry:
        objects += shown(name, "model-registry", "Model registry", settings.model_registry)
    if settings.model_catalog:
        objects += shown(name, "model-catalog", "Model catalog", settings.model_catalog)
    return objects


def launcher_config(namespace: str, settings: Settings) -> Object:
    """With the way to S3.

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
    return hook.launcher_config(namespace, settings, providers=json.dumps(providers, indent=2))


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
    data = {"default-namespaced": json.dumps(repository, indent=2)}
    result = hook.config_map(namespace, "artifact-repositories", data)
    result["metadata"]["annotations"] = {
        "workflows.argoproj.io/default-artifact-repository": "default-namespaced"
    }
    return result


def keep_node(namespace: str) -> Object:
    """Whatever carries the label stays on its node until it is done.

    The notebook spawner sets the label (spawner_ui_config.yaml, ``configurations``); it takes the
    first key of ``matchLabels`` and the value ``"true"``, and fails on a PodDefault without any.
    """
    return hook.pod_default(
        namespace,
        KEEP_NODE,
        "Keep its node: never moved by Karpenter while it runs",
        KEEP_NODE,
        annotations={"karpenter.sh/do-not-disrupt": "true"},
    )


def artifact_deployment(namespace: str, settings: Settings) -> Object:
    """The UI's server as an artifact proxy that reads S3 by this profile's role, without a key.

    It judges no user. The sidecar does, by the profile controller's ns-owner-access-istio and by
    the contributors' policies: from the UI, only with the header of somebody who belongs here.
    Without a token of Kubernetes the server reads no Secret and no file of a volume, its source
    ``volume`` (frontend/server/helpers/server-info.ts); its role has a token of its own. The
    expression lets no other host be asked for an ``http`` artifact (handlers/domain-checker.ts).
    """
    environment = {
        "AWS_S3_ENDPOINT": settings.endpoint,
        "AWS_REGION": settings.region,
        "AWS_SSL": "true",
        "ALLOWED_ARTIFACT_DOMAIN_REGEX": "^$",
        "FRONTEND_SERVER_NAMESPACE": namespace,
    }
    container = hook.artifact_container(
        settings,
        [{"name": name, "value": value} for name, value in environment.items()],
        securityContext={
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "runAsUser": 1000,
        },
    )
    security = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    return hook.deployment(
        namespace,
        container,
        settings,
        securityContext=security,
        automountServiceAccountToken=False,
    )


def only_from_the_ui(namespace: str) -> Object:
    """No connection but the UI's, should the pod ever run without its sidecar."""
    ui = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kubeflow"}},
        "podSelector": {"matchLabels": {"app": "ml-pipeline-ui"}},
    }
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": ARTIFACT_SERVER, "namespace": namespace},
        "spec": {
            "podSelector": {"matchLabels": {"app": ARTIFACT_SERVER}},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [ui]}],
        },
    }


def shown(namespace: str, name: str, title: str, host: str) -> list[Object]:
    """The platform's one registry or catalog of models, where Hub's pages look for it.

    They list the Services of the user's namespace with this label, of the catalog take the one of
    this name, and ask it at its cluster IP and the port of this name (kubeflow/hub v0.3.8
    clients/ui/bff/internal/integrations/kubernetes/shared_k8s_client.go,
    clients/ui/bff/internal/repositories/model_catalog.go). The Service has no pods: the sidecar of
    the pages sends what goes to it to the one server, by the route beside it.
    """
    metadata, kind = {"name": name, "namespace": namespace}, title.rpartition(" ")[2]
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            **metadata,
            "labels": {"component": name},
            "annotations": {
                "displayName": title,
                "description": f"The platform's {kind}, the same for every profile",
            },
        },
        "spec": {"ports": [{"name": "http-api", "port": 8080, "protocol": "TCP"}]},
    }
    to = {"destination": {"host": host, "port": {"number": 8080}}}
    route = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": metadata,
        "spec": {"hosts": [f"{name}.{namespace}.svc.cluster.local"], "http": [{"route": [to]}]},
    }
    return [service, route]


def answer(request: Object, settings: Settings) -> Object:
    """One sync request to its answer. Without ``status`` the namespace's own is left alone."""
    return {"attachments": desired(request["object"], settings)}


if __name__ == "__main__":
    common = settings_from(os.environ)
    hook.server(lambda request: answer(request, common)).serve_forever()
