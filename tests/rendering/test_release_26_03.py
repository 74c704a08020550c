"""Releases with Pipelines 2 on S3: how each consumer learns where its artifacts are."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from rendering.objects import ObjectKey
from rendering.rbac import Rbac
from tests.releases import version_of_pipelines
from tests.rendering.beijing import (
    KEY_FORMAT,
    REGION,
    S3,
    Release,
    config,
    containers,
    environment,
)


def test_the_rest_of_the_install_configuration_is_upstreams(name: str, release: Release) -> None:
    data = release.get("ConfigMap", "pipeline-install-config")["data"]
    kept = {"dbType": "mysql", "mlmdDb": "metadb", "cacheDb": "cachedb", "pipelineDb": "mlpipeline"}
    assert kept.items() <= data.items()
    assert data["ConMaxLifeTime"] == "120s"
    assert data["appVersion"] == version_of_pipelines(name)
    assert "defaultSecurityContextRunAsNonRoot" in data


def test_the_api_server_speaks_s3_without_a_key(release: Release) -> None:
    variables = release.environment("ml-pipeline")
    assert {k: v for k, v in variables.items() if k.startswith("OBJECTSTORECONFIG_")} == {
        "OBJECTSTORECONFIG_HOST": S3,
        "OBJECTSTORECONFIG_PORT": "",
        "OBJECTSTORECONFIG_SECURE": "true",
        "OBJECTSTORECONFIG_REGION": REGION,
        "OBJECTSTORECONFIG_BUCKETNAME": config("bucketName"),
        # empty, not absent: absent, the image's own config.json fills in minio/minio123
        "OBJECTSTORECONFIG_ACCESSKEY": "",
        "OBJECTSTORECONFIG_SECRETACCESSKEY": "",
    }


def test_the_workflow_controller_writes_artifacts_to_the_bucket_by_irsa(release: Release) -> None:
    repository = yaml.safe_load(release.text("workflow-controller-configmap", "artifactRepository"))
    assert repository == {
        "archiveLogs": True,
        "s3": {
            "endpoint": S3,
            "bucket": "<<bucket.name>>",
            "region": REGION,
            "insecure": False,
            "useSDKCreds": True,
            "keyFormat": KEY_FORMAT,
        },
    }


def test_the_workflow_controller_keeps_upstreams_executor(release: Release) -> None:
    executor = yaml.safe_load(release.text("workflow-controller-configmap", "executor"))
    assert executor["imagePullPolicy"] == "IfNotPresent"
    assert executor["securityContext"]["runAsUser"] == 65532
    assert executor["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_the_ui_has_neither_role_nor_key_nor_store(release: Release) -> None:
    variables = release.environment("ml-pipeline-ui")
    assert variables["ARGO_ARCHIVE_LOGS"] == "false"
    assert variables["AWS_S3_ENDPOINT"].endswith(".invalid")
    assert {name for name in variables if name.startswith(("MINIO_", "AWS_"))} == {
        "AWS_S3_ENDPOINT"
    }
    account = release.get("ServiceAccount", "ml-pipeline-ui")["metadata"]
    assert "eks.amazonaws.com/role-arn" not in account.get("annotations", {})


@pytest.mark.parametrize(
    ("namespace", "allowed"),
    [
        ("team-a", True),
        ("a", True),
        ("team-a.evil.example", False),
        ("x@evil", False),
        ("team-a:80@evil", False),
        ("team-a\\@evil", False),
        ("team-a#@evil", False),
        ("", False),
        ("-", False),
    ],
)
def test_the_ui_hands_a_request_to_the_server_of_a_namespace_only(
    release: Release, namespace: str, allowed: bool
) -> None:
    variables = release.environment("ml-pipeline-ui")
    install = release.get("ConfigMap", "pipeline-install-config")["data"]
    enabled = variables["ARTIFACTS_SERVICE_PROXY_ENABLED"]["configMapKeyRef"]["key"]
    assert install[enabled] == "true"
    server = f"{variables['ARTIFACTS_SERVICE_PROXY_NAME']}.{namespace}"
    # domain_from_url of kubeflow/pipelines 2.16.0 frontend/server/handlers/domain-checker.ts
    part = re.match(r"^(?:https?://)?(?:[^@/\n]+@)?([^:/?\n]+)", f"http://{server}:80")
    assert part
    expression = variables["ALLOWED_ARTIFACT_DOMAIN_REGEX"]
    assert bool(re.search(expression, part[0])) is allowed


@pytest.mark.parametrize(
    "url", ["http://2130706433", "http://ml-pipeline-ui-artifact", "https://x"]
)
def test_the_ui_fetches_no_artifact_by_http(release: Release, url: str) -> None:
    expression = release.environment("ml-pipeline-ui")["ALLOWED_ARTIFACT_DOMAIN_REGEX"]
    assert not re.search(expression, url)


def test_the_ui_reads_no_secret_and_does_not_find_its_own_pod(release: Release) -> None:
    rbac = Rbac({ObjectKey.of(obj): obj for obj in release.rendered.objects})
    roles = {
        role
        for binding in rbac.bindings_of("kubeflow", "ml-pipeline-ui")
        for role in rbac.roles_of(binding)
    }
    assert {role.kind for role in roles} == {"ClusterRole", "Role"}
    rules = [rule for role in roles for rule in release.get(role.kind, role.name)["rules"]]
    assert not {"secrets", "*"} & {resource for rule in rules for resource in rule["resources"]}
    assert release.environment("ml-pipeline-ui")["HOSTNAME"] == ""


def test_tensorboards_of_the_ui_still_run_as_the_profiles_editor(release: Release) -> None:
    template = json.loads(release.text("ml-pipeline-ui-configmap", "viewer-pod-template.json"))
    assert template["spec"]["serviceAccountName"] == "default-editor"


def test_the_api_server_has_its_role(release: Release) -> None:
    annotations = release.get("ServiceAccount", "ml-pipeline")["metadata"]["annotations"]
    assert annotations["eks.amazonaws.com/role-arn"] == "<<role.ml-pipeline>>"


def test_every_container_that_speaks_to_aws_knows_its_region(release: Release) -> None:
    speaks = re.compile(r"AWS_.*|S3_.*|OBJECTSTORECONFIG_.*")
    regions = {
        container["name"]: environment(container).get("AWS_REGION")
        for obj in release.all("Deployment")
        for container in containers(obj)
        if any(speaks.fullmatch(name) for name in environment(container))
    }
    assert regions == {
        "ml-pipeline-api-server": REGION,
        "ml-pipeline-ui": None,  # its host of S3 is none
        "profile-controller": REGION,
        "external-secrets": REGION,
    }


def test_the_pipeline_root_is_on_s3(release: Release) -> None:
    root = "s3://<<bucket.name>>/<<bucket.prefix>>"
    assert release.text("pipeline-install-config", "defaultPipelineRoot") == root
    assert release.text("kfp-launcher", "defaultPipelineRoot") == root


def test_the_rest_of_kserves_configuration_is_upstreams(release: Release) -> None:
    data = release.get("ConfigMap", "inferenceservice-config")["data"]
    assert set(data) == {
        "agent",
        "autoscaler",
        "batcher",
        "credentials",
        "deploy",
        "explainers",
        "inferenceService",
        "ingress",
        "localModel",
        "logger",
        "metricsAggregator",
        "opentelemetryCollector",
        "router",
        "security",
        "storageInitializer",
    }
    assert json.loads(data["ingress"])["ingressGateway"] == "kubeflow/kubeflow-gateway"
