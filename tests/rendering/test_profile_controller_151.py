"""The profile controller of release 1.5.1: what Pipelines 1.8.2 needs in each profile, on S3."""

from __future__ import annotations

import ast
import base64
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from threading import Thread
from typing import Any

import pytest

from tests.rendering.test_profile_controller import MANIFESTS, load_script, namespace, post

SCRIPT = MANIFESTS / "1.5.1-aws-b1.0.0/pipelines/profile-controller/sync.py"
sync = load_script(SCRIPT)
ENVIRONMENT = {
    "S3_ENDPOINT": "s3.cn-north-1.amazonaws.com.cn",
    "AWS_REGION": "cn-north-1",
    "KFP_DEFAULT_PIPELINE_ROOT": "s3://kf-artifacts/private-artifacts",
    "FRONTEND_IMAGE": "registry.example/frontend:1.8.2",
    "VISUALIZATION_SERVER_IMAGE": "registry.example/visualization-server:1.8.2",
    "MINIO_ACCESS_KEY": "key-id",
    "MINIO_SECRET_KEY": "key-secret",
}
SETTINGS = sync.settings_from(ENVIRONMENT)
ENABLED = {sync.ENABLED_LABEL: "true"}


def objects(settings: Any = SETTINGS, name: str = "alice") -> dict[str, dict[str, Any]]:
    found: list[dict[str, Any]] = sync.desired(namespace(name, **ENABLED), settings)
    return {f"{obj['kind']} {obj['metadata']['name']}": obj for obj in found}


def container(deployment: str, settings: Any = SETTINGS) -> dict[str, Any]:
    pod = objects(settings)[f"Deployment {deployment}"]["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == "default-editor"
    (found,) = pod["containers"]
    return found


def test_a_profile_gets_what_upstream_gives_it_and_the_launchers_credentials() -> None:
    assert list(objects()) == [
        "Secret mlpipeline-minio-artifact",
        "ConfigMap kfp-launcher",
        "ConfigMap metadata-grpc-configmap",
        "PodDefault pipeline-artifacts",
        "Deployment ml-pipeline-visualizationserver",
        "Service ml-pipeline-visualizationserver",
        "DestinationRule ml-pipeline-visualizationserver",
        "AuthorizationPolicy ml-pipeline-visualizationserver",
        "Deployment ml-pipeline-ui-artifact",
        "Service ml-pipeline-ui-artifact",
    ]


@pytest.mark.parametrize("labels", [{}, {sync.ENABLED_LABEL: "false"}, {"other": "true"}])
def test_a_namespace_that_is_not_enabled_gets_nothing(labels: dict[str, str]) -> None:
    assert sync.desired(namespace(**labels), SETTINGS) == []


def test_every_object_stands_in_its_own_profile() -> None:
    assert {obj["metadata"]["namespace"] for obj in objects(name="bob").values()} == {"bob"}


def test_the_key_is_in_the_secret_and_nowhere_else() -> None:
    found = objects()
    data = found.pop("Secret mlpipeline-minio-artifact")["data"]
    decoded = {name: base64.b64decode(value).decode() for name, value in data.items()}
    assert decoded == {"accesskey": "key-id", "secretkey": "key-secret"}
    assert not re.search("key-id|key-secret", json.dumps(found) + repr(SETTINGS))


def test_the_pipeline_root_of_each_profile_is_its_own_prefix_on_s3() -> None:
    launcher = objects(name="bob")["ConfigMap kfp-launcher"]["data"]
    assert launcher["defaultPipelineRoot"] == "s3://kf-artifacts/private-artifacts/bob/v2/artifacts"


@pytest.mark.parametrize(
    "variables",
    [
        pytest.param(objects()["PodDefault pipeline-artifacts"]["spec"]["env"], id="pods of runs"),
        pytest.param(container("ml-pipeline-ui-artifact")["env"], id="artifact server"),
    ],
)
def test_whoever_opens_s3_in_a_profile_has_key_and_region(variables: list[dict[str, Any]]) -> None:
    found = {each["name"]: each.get("value", each.get("valueFrom")) for each in variables}
    key = "mlpipeline-minio-artifact"
    assert found["AWS_REGION"] == "cn-north-1"
    assert found["AWS_ACCESS_KEY_ID"] == {"secretKeyRef": {"name": key, "key": "accesskey"}}
    assert found["AWS_SECRET_ACCESS_KEY"] == {"secretKeyRef": {"name": key, "key": "secretkey"}}


def test_the_artifact_server_reads_older_artifacts_from_s3_of_the_region_by_tls() -> None:
    found = {
        each["name"]: each.get("value") for each in container("ml-pipeline-ui-artifact")["env"]
    }
    assert found["MINIO_HOST"] == "s3.cn-north-1.amazonaws.com.cn"
    assert (found["MINIO_PORT"], found["MINIO_SSL"], found["MINIO_NAMESPACE"]) == (
        "443",
        "true",
        "",
    )


@pytest.mark.parametrize(
    ("deployment", "image", "port"),
    [
        ("ml-pipeline-ui-artifact", "registry.example/frontend:1.8.2", 80),
        ("ml-pipeline-visualizationserver", "registry.example/visualization-server:1.8.2", 8888),
    ],
)
def test_each_server_runs_the_image_it_was_given_behind_its_service(
    deployment: str, image: str, port: int
) -> None:
    service = objects()[f"Service {deployment}"]["spec"]
    template = objects()[f"Deployment {deployment}"]["spec"]["template"]
    assert container(deployment)["image"] == image
    assert service["selector"].items() <= template["metadata"]["labels"].items()
    assert service["ports"][0]["port"] == port
    (served,) = container(deployment)["ports"]
    assert service["ports"][0]["targetPort"] == served["containerPort"]


def test_only_the_api_server_reaches_the_visualization_server() -> None:
    policy = objects()["AuthorizationPolicy ml-pipeline-visualizationserver"]["spec"]
    sources = [
        source["source"]["principals"] for rule in policy["rules"] for source in rule["from"]
    ]
    assert sources == [["cluster.local/ns/kubeflow/sa/ml-pipeline"]]


@pytest.mark.parametrize(("istio", "annotated"), [(True, False), (False, True)])
def test_the_sidecar_can_be_refused(istio: bool, annotated: bool) -> None:
    made = objects(replace(SETTINGS, istio_sidecar=istio))["Deployment ml-pipeline-ui-artifact"]
    annotations = made["spec"]["template"]["metadata"]["annotations"]
    assert ("sidecar.istio.io/inject" in annotations) is annotated


@pytest.mark.parametrize("name", ENVIRONMENT)
@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_setting_stops_the_script_by_its_name(name: str, value: str | None) -> None:
    environment = {key: text for key, text in ENVIRONMENT.items() if key != name}
    if value is not None:
        environment[name] = value
    with pytest.raises(sync.MissingSettingError, match=name):
        sync.settings_from(environment)


def test_the_script_runs_on_python_3_7_with_the_standard_library_only() -> None:
    text = SCRIPT.read_text()
    ast.parse(text, feature_version=(3, 7))
    imported = re.findall(r"^(?:import|from) (\w+)", text, re.MULTILINE)
    assert set(imported) <= sys.stdlib_module_names


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = sync.hook(SETTINGS, port=0)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/sync"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize(("complete", "ready"), [(False, "False"), (True, "True")])
def test_metacontroller_gets_the_children_and_whether_all_are_there(
    url: str, complete: bool, ready: str
) -> None:
    wanted = sync.desired(namespace(**ENABLED), SETTINGS)
    children: dict[str, dict[str, Any]] = {}
    for obj in wanted if complete else wanted[:1]:
        kind = children.setdefault(f"{obj['kind']}.{obj['apiVersion']}", {})
        kind[obj["metadata"]["name"]] = obj
    body = {"parent": namespace(**ENABLED), "children": children}
    status, reply = post(url, json.dumps(body).encode())
    assert status == 200
    assert reply == {"status": {"kubeflow-pipelines-ready": ready}, "children": wanted}


@pytest.mark.parametrize("body", [b"", b"not json", b"[]", b"{}", b'{"parent": {}}'])
def test_a_request_that_is_no_hook_is_refused_and_the_next_one_answered(
    url: str, body: bytes
) -> None:
    assert post(url, body)[0] == 400
    assert post(url, json.dumps({"parent": namespace(), "children": {}}).encode())[0] == 200
