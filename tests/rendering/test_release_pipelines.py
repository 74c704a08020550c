"""Pipelines of the releases whose UI and API server are of version 2.16 and later."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import pytest
import yaml

from rendering import Object
from rendering.assembly import assemble
from rendering.objects import labels_of, pod_spec, pod_template
from rendering.optional import name_of, without
from rendering.pod_references import account_of, named_by
from tests.rendering.beijing import KEY_FORMAT, MANIFESTS, kubeflow, upstream

OLD, NEW = "26.03", "26.03.1"
POLICY = "ml-pipeline-ui-closed-proxy"

READ_WITHOUT_DEFAULT = {
    "DBDriverName": "mysql",
    "InitConnectionTimeout": "6m",
    "DBConfig.ConMaxLifeTime": "120s",
    "DBConfig.MySQLConfig.DBName": "mlpipeline",
    "ML_PIPELINE_VISUALIZATIONSERVER_SERVICE_HOST": "ml-pipeline-visualizationserver.kubeflow",
    "ML_PIPELINE_VISUALIZATIONSERVER_SERVICE_PORT": "8888",
}
"""What ends the API server where it is absent (kubeflow/pipelines 2.17.0 backend/src/apiserver:
main.go, client_manager/client_manager.go; common/config.go, GetStringConfig, GetDurationConfig)."""
OF_THE_IMAGE = {
    "DBConfig.MySQLConfig.GroupConcatMaxLen": "4194304",
    "ObjectStoreConfig.PipelinePath": "pipelines",
    "ARCHIVE_CONFIG_LOG_FILE_NAME": "main.log",
    "ARCHIVE_CONFIG_LOG_PATH_PREFIX": "/artifacts",
}
"""What the image's own config.json says besides, and the code's own default is another
(backend/src/apiserver/config/config.json of 2.17.0)."""


@cache
def default_objects() -> list[Object]:
    """The new release as kustomize prints it, without its optional parts."""
    assembly = assemble(MANIFESTS / NEW)
    return without(assembly.build(assembly.own), assembly.release.optional, ())


def settings_of_the_server() -> dict[str, str]:
    """As viper reads them: the file, and the variable of a key's name before it.

    The name is in capitals with _ for a dot (backend/src/apiserver/main.go, initConfig).
    """
    release = kubeflow(NEW)
    found = dict(flat(json.loads(release.text("ml-pipeline-server-config", "config.json"))))
    config = release.get("ConfigMap", "pipeline-install-config")["data"]
    for name, value in release.environment("ml-pipeline").items():
        if isinstance(value, str):
            found[name] = value
        elif reference := value.get("configMapKeyRef"):
            found[name] = config.get(reference["key"], "")
    return found


def flat(config: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for key, value in config.items():
        if isinstance(value, dict):
            yield from flat(value, f"{before}{key}.")  # pyright: ignore[reportUnknownArgumentType]
        else:
            yield f"{before}{key}", value


@pytest.mark.parametrize(("key", "value"), [*READ_WITHOUT_DEFAULT.items(), *OF_THE_IMAGE.items()])
def test_the_api_server_has_each_setting_that_its_own_file_would_give_it(
    key: str, value: str
) -> None:
    found = settings_of_the_server()
    assert found.get(key.upper().replace(".", "_"), found.get(key)) == value


def test_the_api_server_has_no_plugin_and_reads_our_file_in_place_of_its_own() -> None:
    release = kubeflow(NEW)
    config = json.loads(release.text("ml-pipeline-server-config", "config.json"))
    assert "plugins" not in {key.lower() for key in config}
    assert "minio" not in json.dumps(config)
    container = release.container("ml-pipeline", "ml-pipeline-api-server")
    # The image's command says --config=/config (backend/Dockerfile), which has samples besides.
    assert "command" not in container
    assert "args" not in container
    (mount,) = (m for m in container["volumeMounts"] if m["mountPath"].startswith("/config"))
    assert (mount["mountPath"], mount["subPath"]) == ("/config/config.json", "config.json")


@pytest.mark.parametrize("release", [OLD, NEW])
def test_every_pipeline_has_a_namespace(release: str) -> None:
    """CVE-2026-77596. Only true is true (strconv.ParseBool), and only with several users."""
    variables = kubeflow(release).environment("ml-pipeline", "ml-pipeline-api-server")
    assert variables["REQUIRE_NAMESPACE_FOR_PIPELINES"] == "true"
    (source,) = kubeflow(release).container("ml-pipeline", "ml-pipeline-api-server")["envFrom"]
    name = source["configMapRef"]["name"]
    assert kubeflow(release).get("ConfigMap", name)["data"]["MULTIUSER"] == "true"


def test_no_setting_of_pipelines_that_was_filled_before_is_empty() -> None:
    """2.17 copies values inside its bases, before ours are merged."""
    for old in kubeflow(OLD).all("ConfigMap"):
        key = name_of(old)
        for new in (each for each in kubeflow(NEW).all("ConfigMap") if name_of(each) == key):
            emptied = {name for name, value in (old.get("data") or {}).items() if value} & {
                name for name, value in (new.get("data") or {}).items() if not value
            }
            assert not emptied, key


@pytest.mark.parametrize("release", [OLD, NEW])
def test_a_run_without_a_root_of_its_profile_writes_below_the_stacks_prefix(release: str) -> None:
    root = kubeflow(release).text("kfp-launcher", "defaultPipelineRoot")
    assert root == "s3://<<bucket.name>>/<<bucket.prefix>>"
    if release == NEW:
        ui = kubeflow(release).environment("ml-pipeline-ui")
        assert ui["ARTIFACT_NAMESPACE_KEY_PREFIX"] == KEY_FORMAT.partition("/")[0]


def test_workflows_have_upstreams_defaults_and_a_node_to_themselves() -> None:
    def defaults(objects: list[Object]) -> dict[str, Any]:
        (found,) = (
            each
            for each in objects
            if name_of(each) == "ConfigMap kubeflow/workflow-controller-configmap"
        )
        return yaml.safe_load(found["data"]["workflowDefaults"])["spec"]

    ours, theirs = defaults(default_objects()), defaults([*upstream(NEW)])
    annotations = ours.pop("podMetadata")["annotations"]
    assert annotations == {"karpenter.sh/do-not-disrupt": "true"}
    assert ours == theirs


def test_paths_of_tensorboards_are_signed_with_no_published_key_and_closed_besides() -> None:
    """Without the variable it is that of MINIO_SECRET_KEY, by default minio123 (configs.ts)."""
    ui = kubeflow(NEW).environment("ml-pipeline-ui")
    assert ui["TENSORBOARD_PROXY_SIGNING_SECRET"] == {"fieldRef": {"fieldPath": "metadata.uid"}}
    assert "MINIO_SECRET_KEY" not in ui
    policy = kubeflow(NEW).get("AuthorizationPolicy", POLICY)["spec"]
    closed = policy["rules"][0]["to"][0]["operation"]["paths"]
    assert {"/apps/tensorboard*", "/pipeline/apps/tensorboard*"} <= {*closed}


# -- without the optional parts: the servers of Pipelines v1, Hub's catalog ------------------------


def pods(objects: list[Object]) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """Namespace, labels and spec of the pods of each workload."""
    for each in objects:
        template, spec = pod_template(each), pod_spec(each)
        if template is not None and spec is not None:
            yield each["metadata"].get("namespace", ""), labels_of(template), spec


SELECTORS = {
    "Service": ("selector",),
    "NetworkPolicy": ("podSelector", "matchLabels"),
    "AuthorizationPolicy": ("selector", "matchLabels"),
    "PodDisruptionBudget": ("selector", "matchLabels"),
}


def selecting(objects: list[Object]) -> set[str]:
    """The objects that select pods, and select some."""
    every = [*pods(objects)]
    found: set[str] = set()
    for each in objects:
        labels: Any = each.get("spec") or {}
        for key in SELECTORS.get(each["kind"], ("none",)):
            labels = (labels or {}).get(key)
        if labels and any(
            namespace == each["metadata"].get("namespace") and labels.items() <= of_pod.items()
            for namespace, of_pod, _ in every
        ):
            found.add(name_of(each))
    return found


OF_THE_NAMESPACE = {"NetworkPolicy kubeflow/model-catalog"}
"""Upstream's base of namespace kubeflow has it, with a catalog or without."""


def test_nothing_is_left_of_them_that_selects_their_pods() -> None:
    assembly = assemble(MANIFESTS / NEW)
    whole = selecting(assembly.build(assembly.own))
    left = {name_of(each) for each in default_objects()}
    assert whole & left == selecting(default_objects()) | OF_THE_NAMESPACE


def test_nothing_that_is_left_names_what_went_with_them() -> None:
    """By the pods' own references, webhooks' Services, bindings' subjects and roles."""
    assembly = assemble(MANIFESTS / NEW)
    gone = {each for part in assembly.release.optional.values() for each in part.objects}
    assert not gone & {name_of(each) for each in default_objects()}
    named: set[str] = set()
    for namespace, _, spec in pods(default_objects()):
        named |= {f"{n.kind} {namespace}/{n.name}" for n in named_by(spec) if not n.optional}
        named.add(f"ServiceAccount {namespace}/{account_of(spec)}")
    for each in default_objects():
        for webhook in each.get("webhooks") or []:
            service = (webhook.get("clientConfig") or {}).get("service") or {}
            named.add(f"Service {service.get('namespace')}/{service.get('name')}")
        if each["kind"].endswith("Binding"):
            role = each["roleRef"]
            scope = "" if role["kind"] == "ClusterRole" else f"{each['metadata']['namespace']}/"
            named.add(f"{role['kind']} {scope}{role['name']}")
            named |= {
                f"ServiceAccount {subject.get('namespace')}/{subject['name']}"
                for subject in each.get("subjects") or []
            }
    assert not gone & named


def test_the_page_offers_visualizations_only_with_their_server() -> None:
    ui = kubeflow(NEW).environment("ml-pipeline-ui")
    assert ui["ALLOW_CUSTOM_VISUALIZATIONS"] == "<<pipelines.v1>>"
