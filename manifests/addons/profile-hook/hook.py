"""The part that the sync hooks of every release share: settings, common objects, HTTP server.

Runs as /hooks/hook.py beside the release's /hooks/sync.py, in Deployment
kubeflow/kubeflow-pipelines-profile-controller on a plain Python of version 3.7 or newer, so it
imports the standard library only. metacontroller POSTs a namespace to /sync and makes the cluster
match the answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    Object = dict[str, Any]
else:
    Object = dict  # Python 3.7 cannot index it

ENABLED_LABEL = "pipelines.kubeflow.org/enabled"
ARTIFACT_SERVER = "ml-pipeline-ui-artifact"
PIPELINES_ACCESS = "access-ml-pipeline"
"""Name of the PodDefault and key of the label that asks for it, as in Kubeflow's documentation."""
UI = "cluster.local/ns/kubeflow/sa/ml-pipeline-ui"
"""Its requests for artifacts carry the header with the user's e-mail address as they came."""
PACKAGE_DEFAULTS = Path("/package-defaults")
"""Where deployment.yaml's ConfigMap of that name is; absent or empty: the stack sets nothing."""


class MissingSettingError(Exception):
    """An environment variable of deployment.yaml is absent or empty."""


@dataclass(frozen=True)
class CommonSettings:
    """What is the same for every profile."""

    endpoint: str  # host of the regional S3 endpoint, without a scheme
    region: str
    pipeline_root: str  # s3://bucket/prefix; a profile's own root lies below it
    frontend: str  # image of the UI's server
    istio_sidecar: bool


def common_settings(environment: Mapping[str, str]) -> dict[str, Any]:
    """The fields of CommonSettings from deployment.yaml's variables."""
    return {
        "endpoint": required(environment, "S3_ENDPOINT"),
        "region": required(environment, "AWS_REGION"),
        "pipeline_root": required(environment, "KFP_DEFAULT_PIPELINE_ROOT").rstrip("/"),
        "frontend": required(environment, "FRONTEND_IMAGE"),
        "istio_sidecar": environment.get("DISABLE_ISTIO_SIDECAR", "").lower() != "true",
    }


def required(environment: Mapping[str, str], name: str) -> str:
    """A variable's value; MissingSettingError rather than a guessed bucket."""
    value = environment.get(name, "")
    if not value:
        raise MissingSettingError(
            f"environment variable {name} is absent or empty; it is set in "
            "deployment.yaml beside the sync.py of the release, in manifests/"
        )
    return value


def is_enabled(namespace: Object) -> bool:
    """Whether a namespace should hold objects: not without the label, or with another value."""
    return namespace["metadata"].get("labels", {}).get(ENABLED_LABEL) == "true"


def config_map(namespace: str, name: str, data: dict[str, str]) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": data,
    }


def launcher_config(namespace: str, settings: CommonSettings, **more: str) -> Object:
    """Where KFP's driver and launcher put the artifacts of this namespace."""
    root = f"{settings.pipeline_root}/{namespace}/v2/artifacts"
    return config_map(namespace, "kfp-launcher", {"defaultPipelineRoot": root, **more})


def metadata_store_config(namespace: str) -> Object:
    """Where pipeline pods of this namespace find ML Metadata."""
    address = {
        "METADATA_GRPC_SERVICE_HOST": "metadata-grpc-service.kubeflow",
        "METADATA_GRPC_SERVICE_PORT": "8080",
    }
    return config_map(namespace, "metadata-grpc-configmap", address)


def package_defaults(namespace: str, folder: Path = PACKAGE_DEFAULTS) -> list[Object]:
    """Where pods of this namespace get packages and models: two ConfigMaps, or fewer.

    The pods refer to them by webhook/package_defaults.py, which has the names.
    """
    files = {"variables.json": "{}", "ca-bundle.crt": ""}
    for name in files:
        if (folder / name).exists():
            files[name] = (folder / name).read_text("utf-8")
    variables = {
        name: value.replace("<namespace>", namespace)
        for name, value in json.loads(files["variables.json"]).items()
    }
    objects = [config_map(namespace, "package-defaults", variables)] if variables else []
    if files["ca-bundle.crt"]:
        bundle = {"ca-bundle.crt": files["ca-bundle.crt"]}
        objects.append(config_map(namespace, "package-authorities", bundle))
    return objects


def pod_default(namespace: str, name: str, desc: str, label: str, **spec: Any) -> Object:
    """What the admission webhook of Kubeflow adds to pods with ``label`` on "true"."""
    return {
        "apiVersion": "kubeflow.org/v1alpha1",
        "kind": "PodDefault",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"desc": desc, "selector": {"matchLabels": {label: "true"}}, **spec},
    }


def pipelines_access(namespace: str) -> Object:
    """For pods that use Pipelines: what ``kfp.Client()`` reads when it has no argument.

    The client takes the token only where neither an argument nor KF_PIPELINES_ENDPOINT names a
    host (kubeflow/pipelines 2.16.0, sdk/python/kfp/client/client.py, ``_load_config``); it asks
    Service kubeflow/ml-pipeline then, so nothing here names a host. The API server asks Kubernetes
    for the audience (backend/src/apiserver/auth/authenticator_token_review.go).
    """
    folder, file = "/var/run/secrets/kubeflow/pipelines", "token"
    token = {"audience": "pipelines.kubeflow.org", "expirationSeconds": 7200, "path": file}
    return pod_default(
        namespace,
        PIPELINES_ACCESS,
        "Use Pipelines: kfp.Client() works without arguments",
        PIPELINES_ACCESS,
        env=[{"name": "KF_PIPELINES_SA_TOKEN_PATH", "value": f"{folder}/{file}"}],
        volumes=[
            {"name": PIPELINES_ACCESS, "projected": {"sources": [{"serviceAccountToken": token}]}}
        ],
        volumeMounts=[{"name": PIPELINES_ACCESS, "mountPath": folder, "readOnly": True}],
    )


def artifact_container(settings: CommonSettings, env: list[Object], **more: Any) -> Object:
    """The UI's server, as it serves the artifacts of one profile."""
    resources = {
        "requests": {"cpu": "10m", "memory": "70Mi"},
        "limits": {"cpu": "100m", "memory": "500Mi"},
    }
    return container(ARTIFACT_SERVER, settings.frontend, 3000, resources, env=env, **more)


def container(name: str, reference: str, port: int, resources: Object, **more: Any) -> Object:
    result: Object = {
        "name": name,
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"containerPort": port}],
        "resources": resources,
        **more,
    }
    # Neither a pair of the literal above nor a parameter: rendering looks for images in the text of
    # ConfigMaps, and this file is one.
    result["image"] = reference
    return result


def deployment(namespace: str, container: Object, settings: CommonSettings, **more: Any) -> Object:
    """One pod with one container, as the profile's own account; both have the container's name."""
    name = container["name"]
    labels = {"app": name}
    annotations = {} if settings.istio_sidecar else {"sidecar.istio.io/inject": "false"}
    pod = {"serviceAccountName": "default-editor", "containers": [container], **more}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels, "annotations": annotations}, "spec": pod},
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


def only_the_ui_for_artifacts(namespace: str) -> Object:
    """Denies the rest of the UI's server, its open proxy above all, and every caller but the UI.

    A denial, because the policies that allow requests to the whole namespace count here too.
    """
    artifacts = {"notPaths": ["/artifacts/*", "/pipeline/artifacts/*"]}
    return {
        "apiVersion": "security.istio.io/v1beta1",
        "kind": "AuthorizationPolicy",
        "metadata": {"name": ARTIFACT_SERVER, "namespace": namespace},
        "spec": {
            "action": "DENY",
            "selector": {"matchLabels": {"app": ARTIFACT_SERVER}},
            "rules": [
                {"from": [{"source": {"notPrincipals": [UI]}}]},
                {"to": [{"operation": artifacts}, {"operation": {"notMethods": ["GET"]}}]},
                {"when": [{"key": "request.headers[referer]", "values": ["*"]}]},
            ],
        },
    }


def server(answer: Callable[[Object], Object], port: int = 8080) -> ThreadingHTTPServer:
    """The HTTP server on ``port`` of all interfaces (0: any free one), not yet serving.

    ``answer`` turns one sync request into its reply.
    """

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            try:
                reply, code = answer(json.loads(body)), 200
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                # 400 makes metacontroller log the answer and try again, and the server lives on
                reply, code = {"error": repr(error)}, 400
            text = json.dumps(reply).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

    return ThreadingHTTPServer(("", port), Hook)
