"""The profile controller's own script: what it puts into a profile, and what it must never put."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any

import pytest

MANIFESTS = Path(__file__).parents[2] / "manifests"
SCRIPT = MANIFESTS / "26.03/pipelines/profile-controller/sync.py"
KEY_FORMAT = "private-artifacts/{{workflow.namespace}}/{{workflow.name}}/{{pod.name}}"


def load_script(script: Path = SCRIPT) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"sync_of_{script.parents[2].name}", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


sync = load_script()
ENVIRONMENT = {
    "S3_BUCKET": "kf-artifacts",
    "S3_ENDPOINT": "s3.cn-north-1.amazonaws.com.cn",
    "AWS_REGION": "cn-north-1",
    "KFP_DEFAULT_PIPELINE_ROOT": "s3://kf-artifacts/private-artifacts",
    "ARGO_KEYFORMAT": KEY_FORMAT,
    "FRONTEND_IMAGE": "ghcr.io/kubeflow/kfp-frontend:2.16.0",
    "ARTIFACTS_PROXY_ENABLED": "true",
    "DISABLE_ISTIO_SIDECAR": "false",
}
SETTINGS = sync.Settings.from_environment(ENVIRONMENT)


def namespace(name: str = "alice", **labels: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def profile(name: str = "alice") -> dict[str, Any]:
    return namespace(name, **{sync.ENABLED_LABEL: "true"})


def objects(settings: Any = SETTINGS, name: str = "alice") -> dict[str, dict[str, Any]]:
    found: list[dict[str, Any]] = sync.desired(profile(name), settings)
    return {f"{obj['kind']} {obj['metadata']['name']}": obj for obj in found}


def container(settings: Any = SETTINGS) -> dict[str, Any]:
    deployment = objects(settings)["Deployment ml-pipeline-ui-artifact"]
    return deployment["spec"]["template"]["spec"]["containers"][0]


def test_a_profile_gets_its_configuration_and_its_artifact_server() -> None:
    assert list(objects()) == [
        "ConfigMap kfp-launcher",
        "ConfigMap metadata-grpc-configmap",
        "ConfigMap artifact-repositories",
        "PodDefault keep-node",
        "Deployment ml-pipeline-ui-artifact",
        "Service ml-pipeline-ui-artifact",
    ]


def test_without_the_proxy_a_profile_gets_configuration_only() -> None:
    kinds = {name.split()[0] for name in objects(replace(SETTINGS, artifact_server=False))}
    assert kinds == {"ConfigMap", "PodDefault"}


@pytest.mark.parametrize("labels", [{}, {sync.ENABLED_LABEL: "false"}, {"other": "true"}])
def test_a_namespace_that_is_not_enabled_gets_nothing(labels: dict[str, str]) -> None:
    assert sync.desired(namespace(**labels), SETTINGS) == []


def test_a_namespace_without_any_label_gets_nothing() -> None:
    assert sync.desired({"metadata": {"name": "alice"}}, SETTINGS) == []


def test_every_object_stands_in_its_own_profile() -> None:
    assert {obj["metadata"]["namespace"] for obj in objects(name="bob").values()} == {"bob"}


def test_the_pipeline_root_of_each_profile_is_its_own_prefix_on_s3() -> None:
    launcher = objects(name="bob")["ConfigMap kfp-launcher"]["data"]
    assert launcher["defaultPipelineRoot"] == "s3://kf-artifacts/private-artifacts/bob/v2/artifacts"


def test_the_launcher_takes_its_credentials_from_the_pod() -> None:
    providers = json.loads(objects()["ConfigMap kfp-launcher"]["data"]["providers"])
    assert providers == {
        "s3": {
            "default": {
                "endpoint": "s3.cn-north-1.amazonaws.com.cn",
                "region": "cn-north-1",
                "disableSSL": False,
                "credentials": {"fromEnv": True},
            }
        }
    }


def test_argo_writes_the_artifacts_of_a_profile_to_the_bucket_by_the_pods_role() -> None:
    config = objects()["ConfigMap artifact-repositories"]
    default = config["metadata"]["annotations"]["workflows.argoproj.io/default-artifact-repository"]
    assert json.loads(config["data"][default]) == {
        "archiveLogs": True,
        "s3": {
            "endpoint": "s3.cn-north-1.amazonaws.com.cn",
            "bucket": "kf-artifacts",
            "region": "cn-north-1",
            "insecure": False,
            "useSDKCreds": True,
            "keyFormat": KEY_FORMAT,
        },
    }


def test_pipeline_pods_find_the_metadata_store() -> None:
    assert objects()["ConfigMap metadata-grpc-configmap"]["data"] == {
        "METADATA_GRPC_SERVICE_HOST": "metadata-grpc-service.kubeflow",
        "METADATA_GRPC_SERVICE_PORT": "8080",
    }


def test_the_artifact_server_reads_s3_as_the_profiles_editor() -> None:
    pod = objects()["Deployment ml-pipeline-ui-artifact"]["spec"]["template"]["spec"]
    variables = {entry["name"]: entry["value"] for entry in container()["env"]}
    assert pod["serviceAccountName"] == "default-editor"
    assert variables["AWS_S3_ENDPOINT"] == "s3.cn-north-1.amazonaws.com.cn"
    assert variables["AWS_REGION"] == "cn-north-1"
    assert variables["AWS_SSL"] == "true"
    assert variables["ARGO_ARCHIVE_ARTIFACTORY"] == "s3"
    assert variables["ARGO_ARCHIVE_BUCKETNAME"] == "kf-artifacts"
    assert variables["ARGO_KEYFORMAT"] == KEY_FORMAT


def test_the_artifact_server_meets_the_restricted_pod_security_standard() -> None:
    pod = objects()["Deployment ml-pipeline-ui-artifact"]["spec"]["template"]["spec"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container()["securityContext"]["allowPrivilegeEscalation"] is False
    assert container()["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_the_artifact_server_runs_the_image_it_was_given() -> None:
    copy = "registry.example/kubeflow/ghcr.io/kubeflow/kfp-frontend:2.16.0"
    assert container(replace(SETTINGS, frontend=copy))["image"] == copy


@pytest.mark.parametrize(("istio", "annotated"), [(True, False), (False, True)])
def test_the_sidecar_can_be_refused(istio: bool, annotated: bool) -> None:
    template = objects(replace(SETTINGS, istio_sidecar=istio))[
        "Deployment ml-pipeline-ui-artifact"
    ]["spec"]["template"]
    assert ("sidecar.istio.io/inject" in template["metadata"]["annotations"]) is annotated


def test_the_service_selects_the_artifact_server_on_the_port_the_ui_asks() -> None:
    found = objects()
    service = found["Service ml-pipeline-ui-artifact"]["spec"]
    template = found["Deployment ml-pipeline-ui-artifact"]["spec"]["template"]
    assert service["selector"].items() <= template["metadata"]["labels"].items()
    assert service["ports"][0]["port"] == 80
    assert service["ports"][0]["targetPort"] == container()["ports"][0]["containerPort"]


def test_no_key_and_no_store_of_our_own_reaches_a_profile() -> None:
    text = json.dumps(objects())
    assert "Secret" not in {name.split()[0] for name in objects()}
    assert not re.search(r"minio|seaweedfs|secretKeyRef|ACCESS_KEY|accessKey|insecure\W+true", text)


def test_the_script_imports_the_standard_library_only() -> None:
    imported = re.findall(r"^(?:import|from) (\w+)", SCRIPT.read_text(), re.MULTILINE)
    assert set(imported) <= sys.stdlib_module_names


@pytest.mark.parametrize(
    "name",
    [
        "S3_BUCKET",
        "S3_ENDPOINT",
        "AWS_REGION",
        "KFP_DEFAULT_PIPELINE_ROOT",
        "ARGO_KEYFORMAT",
        "FRONTEND_IMAGE",
    ],
)
@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_setting_stops_the_script_by_its_name(name: str, value: str | None) -> None:
    environment = {key: text for key, text in ENVIRONMENT.items() if key != name}
    if value is not None:
        environment[name] = value
    with pytest.raises(sync.MissingSettingError, match=name):
        sync.Settings.from_environment(environment)


@pytest.mark.parametrize(("value", "served"), [("true", True), ("false", False), ("", False)])
def test_the_artifact_server_follows_upstreams_switch(value: str, served: bool) -> None:
    settings = sync.Settings.from_environment({**ENVIRONMENT, "ARTIFACTS_PROXY_ENABLED": value})
    assert settings.artifact_server is served


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = sync.server(SETTINGS, port=0)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/sync"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def post(url: str, body: bytes) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(url, data=body, method="POST")  # noqa: S310 (our own server)
    try:
        with urllib.request.urlopen(request, timeout=5) as response:  # noqa: S310
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_metacontroller_gets_the_attachments_and_no_status(url: str) -> None:
    hook = {"controller": {}, "object": profile(), "attachments": {}, "finalizing": False}
    status, reply = post(url, json.dumps(hook).encode())
    assert status == 200
    assert reply == {"attachments": sync.desired(profile(), SETTINGS)}


@pytest.mark.parametrize("body", [b"", b"not json", b"[]", b"{}", b'{"object": {}}'])
def test_a_request_that_is_no_hook_is_refused_and_the_next_one_answered(
    url: str, body: bytes
) -> None:
    assert post(url, body)[0] == 400
    assert post(url, json.dumps({"object": profile()}).encode())[0] == 200
