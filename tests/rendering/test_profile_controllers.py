"""The profile controllers' own scripts: what they put into a profile, and what they must not put.

Pipelines 2 gives pods a role for S3; Pipelines 1.8.2 of 1.5.1 can use a static key only.
"""

from __future__ import annotations

import ast
import base64
import json
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.releases import PIPELINES_2
from tests.rendering.beijing import environment, kubeflow, rendered
from tests.rendering.profile_hooks import (
    ENVIRONMENTS,
    FRONTENDS,
    HOOK,
    KEY_FORMAT,
    OLD,
    SCRIPTS,
    SETTINGS,
    SYNC,
    container,
    namespace,
    objects,
)

NEW = PIPELINES_2[-1]
ARTIFACTS, VISUALIZATION = "ml-pipeline-ui-artifact", "ml-pipeline-visualizationserver"
KEY = "mlpipeline-minio-artifact"
each_release = pytest.mark.parametrize("release", SCRIPTS)
each_new = pytest.mark.parametrize("release", PIPELINES_2)


@pytest.mark.parametrize(
    ("release", "names"),
    [
        *(
            (
                release,
                [
                    "ConfigMap kfp-launcher",
                    "ConfigMap metadata-grpc-configmap",
                    "ConfigMap artifact-repositories",
                    "PodDefault keep-node",
                    "PodDefault access-ml-pipeline",
                    f"Deployment {ARTIFACTS}",
                    f"Service {ARTIFACTS}",
                    f"AuthorizationPolicy {ARTIFACTS}",
                    f"NetworkPolicy {ARTIFACTS}",
                ],
            )
            for release in PIPELINES_2
        ),
        (
            OLD,
            [
                f"Secret {KEY}",
                "ConfigMap kfp-launcher",
                "ConfigMap metadata-grpc-configmap",
                "PodDefault pipeline-artifacts",
                "PodDefault access-ml-pipeline",
                f"Deployment {VISUALIZATION}",
                f"Service {VISUALIZATION}",
                f"DestinationRule {VISUALIZATION}",
                f"AuthorizationPolicy {VISUALIZATION}",
                f"Deployment {ARTIFACTS}",
                f"Service {ARTIFACTS}",
                f"AuthorizationPolicy {ARTIFACTS}",
            ],
        ),
    ],
)
def test_a_profile_gets_these_objects_in_its_own_namespace(release: str, names: list[str]) -> None:
    in_bobs = objects(release, name="bob")
    assert list(in_bobs) == names
    assert {obj["metadata"]["namespace"] for obj in in_bobs.values()} == {"bob"}


@each_release
@pytest.mark.parametrize(
    "other", [namespace(enabled=None), namespace(enabled="false"), {"metadata": {"name": "alice"}}]
)
def test_a_namespace_that_is_not_enabled_gets_nothing(release: str, other: dict[str, Any]) -> None:
    assert SYNC[release].desired(other, SETTINGS[release]) == []


@each_release
def test_every_profile_has_its_own_prefix_on_s3_and_the_metadata_store(release: str) -> None:
    in_bobs = objects(release, name="bob")
    root = in_bobs["ConfigMap kfp-launcher"]["data"]["defaultPipelineRoot"]
    assert root == "s3://kf-artifacts/private-artifacts/bob/v2/artifacts"
    assert in_bobs["ConfigMap metadata-grpc-configmap"]["data"] == {
        "METADATA_GRPC_SERVICE_HOST": "metadata-grpc-service.kubeflow",
        "METADATA_GRPC_SERVICE_PORT": "8080",
    }


@pytest.mark.parametrize(
    ("release", "deployment", "image", "port"),
    [
        *((release, ARTIFACTS, image, 80) for release, image in FRONTENDS.items()),
        (OLD, ARTIFACTS, "registry.example/frontend:1.8.2", 80),
        (OLD, VISUALIZATION, "registry.example/visualization-server:1.8.2", 8888),
    ],
)
def test_each_server_runs_the_image_of_its_setting_behind_its_service(
    release: str, deployment: str, image: str, port: int
) -> None:
    service = objects(release)[f"Service {deployment}"]["spec"]
    template = objects(release)[f"Deployment {deployment}"]["spec"]["template"]
    assert container(release, deployment)["image"] == image
    assert service["selector"].items() <= template["metadata"]["labels"].items()
    assert service["ports"][0]["port"] == port
    (served,) = container(release, deployment)["ports"]
    assert service["ports"][0]["targetPort"] == served["containerPort"]


@pytest.mark.parametrize(("value", "annotated"), [("false", False), ("", False), ("true", True)])
def test_the_sidecar_can_be_refused_in_1_5_1(value: str, annotated: bool) -> None:
    variables = {**ENVIRONMENTS[OLD], "DISABLE_ISTIO_SIDECAR": value}
    settings = SYNC[OLD].settings_from(variables)
    template = objects(OLD, settings)[f"Deployment {ARTIFACTS}"]["spec"]["template"]
    assert ("sidecar.istio.io/inject" in template["metadata"]["annotations"]) is annotated


@each_release
def test_policies_select_the_artifact_server_and_admit_the_ui(release: str) -> None:
    labels = objects(release)[f"Deployment {ARTIFACTS}"]["spec"]["template"]["metadata"]["labels"]
    policy = objects(release)[f"AuthorizationPolicy {ARTIFACTS}"]["spec"]
    assert policy["selector"]["matchLabels"].items() <= labels.items()
    assert policy["action"] == "DENY"
    account = SYNC[release].hook.UI.rpartition("/")[2]
    ui = kubeflow(release).get("Deployment", "ml-pipeline-ui")["spec"]["template"]
    assert ui["spec"]["serviceAccountName"] == account
    if release in PIPELINES_2:
        network = objects(release)[f"NetworkPolicy {ARTIFACTS}"]["spec"]
        assert network["podSelector"]["matchLabels"].items() <= labels.items()
        (source,) = network["ingress"][0]["from"]
        assert source["podSelector"]["matchLabels"].items() <= ui["metadata"]["labels"].items()


# -- Pipelines 2 ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("proxy", "no_sidecar", "served"),
    [
        ("true", "false", True),
        ("true", "", True),
        ("false", "false", False),
        ("", "", False),
        # Nobody would judge the user.
        ("true", "true", False),
    ],
)
def test_without_upstreams_proxy_or_a_sidecar_a_profile_gets_configuration_only(
    proxy: str, no_sidecar: str, served: bool
) -> None:
    variables = {"ARTIFACTS_PROXY_ENABLED": proxy, "DISABLE_ISTIO_SIDECAR": no_sidecar}
    settings = SYNC[NEW].settings_from({**ENVIRONMENTS[NEW], **variables})
    kinds = {name.split()[0] for name in objects(NEW, settings)}
    of_server = {"Deployment", "Service", "AuthorizationPolicy", "NetworkPolicy"}
    assert kinds == {"ConfigMap", "PodDefault"} | (of_server if served else set())


@pytest.mark.parametrize("release", SCRIPTS)
def test_changed_settings_reach_the_profiles_that_exist_within_minutes(release: str) -> None:
    """OnDelete leaves what exists as it is, and only a resync calls the hook again."""
    (controller,) = (
        obj["spec"]
        for obj in rendered(release).objects
        if obj["kind"] in ("DecoratorController", "CompositeController")
        and obj["metadata"]["name"] == "kubeflow-pipelines-profile-controller"
    )
    assert controller["resyncPeriodSeconds"] == 300
    children = controller.get("attachments") or controller["childResources"]
    methods = {each["resource"]: each["updateStrategy"]["method"] for each in children}
    assert "configmaps" in methods
    assert set(methods.values()) == {"InPlace"}


@each_new
def test_metacontroller_may_make_what_the_script_answers_with(release: str) -> None:
    rendering = kubeflow(release)
    controller = rendering.get("DecoratorController", "kubeflow-pipelines-profile-controller")
    attached = {(a["apiVersion"], a["resource"]) for a in controller["spec"]["attachments"]}
    rules = rendering.get("ClusterRole", "kubeflow-metacontroller")["rules"]
    allowed = {
        (group, resource)
        for rule in rules
        if {"create", "update", "delete", "list", "watch"} <= set(rule["verbs"])
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    for obj in objects(release).values():
        kind: str = obj["kind"].lower()
        plural = kind.removesuffix("y") + "ies" if kind.endswith("y") else kind + "s"
        assert (obj["apiVersion"], plural) in attached
        group = obj["apiVersion"].rpartition("/")[0]
        assert (group, plural) in allowed


def test_the_launcher_and_argo_use_the_role_of_their_pod_for_s3_of_the_region() -> None:
    launcher = json.loads(objects(NEW)["ConfigMap kfp-launcher"]["data"]["providers"])
    assert launcher == {
        "s3": {
            "default": {
                "endpoint": "s3.cn-north-1.amazonaws.com.cn",
                "region": "cn-north-1",
                "disableSSL": False,
                "credentials": {"fromEnv": True},
            }
        }
    }
    argo = objects(NEW)["ConfigMap artifact-repositories"]
    default = argo["metadata"]["annotations"]["workflows.argoproj.io/default-artifact-repository"]
    assert json.loads(argo["data"][default]) == {
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


def test_the_artifact_server_reads_s3_of_the_region_as_a_restricted_pod() -> None:
    variables = environment(container(NEW, ARTIFACTS))
    expected = {
        "AWS_S3_ENDPOINT": "s3.cn-north-1.amazonaws.com.cn",
        "AWS_REGION": "cn-north-1",
        "AWS_SSL": "true",
        "FRONTEND_SERVER_NAMESPACE": "alice",
    }
    assert expected.items() <= variables.items()
    pod = objects(NEW)[f"Deployment {ARTIFACTS}"]["spec"]["template"]["spec"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["securityContext"]["runAsNonRoot"] is True
    security = container(NEW, ARTIFACTS)["securityContext"]
    assert security["allowPrivilegeEscalation"] is False
    assert security["capabilities"] == {"drop": ["ALL"]}


def test_the_artifact_server_has_no_way_to_a_file_a_secret_or_a_host() -> None:
    # The source volume and providerInfo ask Kubernetes, http and https the expression.
    pod = objects(NEW)[f"Deployment {ARTIFACTS}"]["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    expression = environment(container(NEW, ARTIFACTS))["ALLOWED_ARTIFACT_DOMAIN_REGEX"]
    for host in ("http://x", "https://kubernetes.default", "http://2130706433"):
        assert not re.search(expression, host)


def test_no_key_and_no_store_of_our_own_reaches_a_profile() -> None:
    text = json.dumps(objects(NEW))
    assert "Secret" not in {name.split()[0] for name in objects(NEW)}
    assert not re.search(r"minio|seaweedfs|secretKeyRef|ACCESS_KEY|accessKey|insecure\W+true", text)


# -- 1.5.1 ----------------------------------------------------------------------------------------


def test_the_key_is_in_the_secret_and_nowhere_else() -> None:
    rest = objects(OLD)
    data = rest.pop(f"Secret {KEY}")["data"]
    decoded = {name: base64.b64decode(value).decode() for name, value in data.items()}
    assert decoded == {"accesskey": "key-id", "secretkey": "key-secret"}
    assert not re.search("key-id|key-secret", json.dumps(rest) + repr(SETTINGS[OLD]))


def test_whoever_opens_s3_in_a_profile_has_key_and_region() -> None:
    of_runs = objects(OLD)["PodDefault pipeline-artifacts"]["spec"]
    of_server = container(OLD, ARTIFACTS)
    for variables in (environment(of_runs), environment(of_server)):
        assert variables["AWS_REGION"] == "cn-north-1"
        for name, part in (("ACCESS_KEY_ID", "accesskey"), ("SECRET_ACCESS_KEY", "secretkey")):
            assert variables[f"AWS_{name}"] == {"secretKeyRef": {"name": KEY, "key": part}}
    # Older artifacts have a MinIO address.
    minio = {"HOST": "s3.cn-north-1.amazonaws.com.cn", "PORT": "443", "SSL": "true"}
    older = {f"MINIO_{name}": value for name, value in {**minio, "NAMESPACE": ""}.items()}
    assert older.items() <= environment(of_server).items()


def test_only_the_api_server_reaches_the_visualization_server() -> None:
    policy = objects(OLD)[f"AuthorizationPolicy {VISUALIZATION}"]["spec"]
    assert policy["rules"] == [
        {"from": [{"source": {"principals": ["cluster.local/ns/kubeflow/sa/ml-pipeline"]}}]}
    ]
    assert policy["selector"] == {"matchLabels": {"app": VISUALIZATION}}


# -- the programs ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("release", "name"),
    [
        (release, name)
        for release, variables in ENVIRONMENTS.items()
        for name in variables
        if name not in ("ARTIFACTS_PROXY_ENABLED", "DISABLE_ISTIO_SIDECAR")
    ],
)
@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_setting_stops_the_script_by_its_name(
    release: str, name: str, value: str | None
) -> None:
    variables = {key: text for key, text in ENVIRONMENTS[release].items() if key != name}
    if value is not None:
        variables[name] = value
    with pytest.raises(SYNC[release].hook.MissingSettingError, match=name):
        SYNC[release].settings_from(variables)


def test_the_scripts_are_of_python_3_7_with_its_standard_library_and_each_other() -> None:
    for script in (HOOK, *SCRIPTS.values()):
        text = script.read_text()
        ast.parse(text, feature_version=(3, 7))
        imported = set(re.findall(r"^(?:import|from) (\w+)", text, re.MULTILINE))
        assert imported - sys.stdlib_module_names == (set() if script == HOOK else {"hook"})


@each_release
def test_the_pod_has_both_files_in_one_folder_where_the_script_starts(
    release: str, tmp_path: Path
) -> None:
    code = kubeflow(release).get("ConfigMap", "kubeflow-pipelines-profile-controller-code")
    assert code["data"] == {"hook.py": HOOK.read_text(), "sync.py": SCRIPTS[release].read_text()}
    workload = kubeflow(release).get("Deployment", "kubeflow-pipelines-profile-controller")
    pod = workload["spec"]["template"]["spec"]
    (volume,) = [
        volume["name"]
        for volume in pod["volumes"]
        if volume.get("configMap", {}).get("name") == code["metadata"]["name"]
    ]
    (mount,) = [m for m in pod["containers"][0]["volumeMounts"] if m["name"] == volume]
    assert (mount["mountPath"], "subPath" in mount) == ("/hooks", False)
    assert pod["containers"][0]["command"] == ["python", "/hooks/sync.py"]
    # As the kubelet writes a ConfigMap: links into a folder that is itself behind a link.
    (tmp_path / "..version").mkdir()
    (tmp_path / "..data").symlink_to("..version")
    for name, text in code["data"].items():
        (tmp_path / "..version" / name).write_text(text)
        (tmp_path / name).symlink_to(f"..data/{name}")
    done = subprocess.run(
        [sys.executable, "-B", str(tmp_path / "sync.py")],
        env={},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "hook.MissingSettingError: environment variable S3_ENDPOINT is absent" in done.stderr


@pytest.fixture(scope="module", params=SCRIPTS)
def served(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """A release and the URL of its hook."""
    release: str = request.param
    answer = partial(SYNC[release].answer, settings=SETTINGS[release])
    server = SYNC[release].hook.server(answer, port=0)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield release, f"http://127.0.0.1:{server.server_address[1]}/sync"
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


def hook_request(release: str, children: dict[str, Any]) -> bytes:
    if release in PIPELINES_2:
        whole = {"controller": {}, "object": namespace(), "attachments": {}, "finalizing": False}
        return json.dumps(whole).encode()
    return json.dumps({"parent": namespace(), "children": children}).encode()


@pytest.mark.parametrize(("complete", "ready"), [(False, "False"), (True, "True")])
def test_metacontroller_gets_the_objects_and_from_1_5_1_whether_all_are_there(
    served: tuple[str, str], complete: bool, ready: str
) -> None:
    release, url = served
    desired = SYNC[release].desired(namespace(), SETTINGS[release])
    children: dict[str, dict[str, Any]] = {}
    for obj in desired if complete else desired[:1]:
        kind = children.setdefault(f"{obj['kind']}.{obj['apiVersion']}", {})
        kind[obj["metadata"]["name"]] = obj
    expected: dict[str, Any] = {"attachments": desired}
    if release == OLD:
        expected = {"status": {"kubeflow-pipelines-ready": ready}, "children": desired}
    assert post(url, hook_request(release, children)) == (200, expected)


@pytest.mark.parametrize(
    "body", [b"", b"not json", b"[]", b"{}", b'{"object": {}, "parent": {}, "children": {}}']
)
def test_a_request_that_is_no_hook_is_refused_and_the_next_one_answered(
    served: tuple[str, str], body: bytes
) -> None:
    release, url = served
    assert post(url, body)[0] == 400
    assert post(url, hook_request(release, {}))[0] == 200
