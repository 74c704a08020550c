"""Release 1.5.1-aws-b1.0.0: the reference's install with each of its predecessor's defects mended.

The predecessor is awslabs/kubeflow-manifests v1.5.1-aws-b1.0.0, deployments/rds-s3.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from components.kubeflow.logins import DexAccount
from rendering.leak_tables import CREDENTIALS
from tests.rendering.beijing import (
    REGION,
    REGISTRY,
    ROTATION,
    S3,
    Release,
    config,
    containers,
    environment,
    kubeflow,
    secret,
    strings,
    upstream,
)

KEY_FORMAT = (
    "<<bucket.prefix>>/{{workflow.name}}/{{workflow.creationTimestamp.Y}}/"
    "{{workflow.creationTimestamp.m}}/{{workflow.creationTimestamp.d}}/{{pod.name}}"
)


@pytest.fixture(scope="module")
def release() -> Release:
    return kubeflow("1.5.1-aws-b1.0.0")


@pytest.fixture(scope="module")
def argo(release: Release) -> dict[str, Any]:
    return yaml.safe_load(release.text("workflow-controller-configmap", "config"))


def text_upstream(config_map: str, key: str) -> str:
    """A text as Kubeflow itself has it, before awslabs replaced it."""
    (found,) = [
        obj["data"][key]
        for obj in upstream("1.5.1-aws-b1.0.0")
        if obj["kind"] == "ConfigMap" and obj["metadata"]["name"] == config_map
    ]
    return found


# -- what awslabs lost by replacing ConfigMaps -----------------------------------------------------


def test_argo_runs_steps_without_docker(argo: dict[str, Any]) -> None:
    assert argo["containerRuntimeExecutor"] == "emissary"
    assert argo["executor"]["resources"]["limits"] == {"cpu": 0.5, "memory": "512Mi"}


def test_argo_keeps_the_dated_layout_below_the_stacks_prefix(argo: dict[str, Any]) -> None:
    assert argo["artifactRepository"]["s3"]["keyFormat"] == KEY_FORMAT
    assert "keyPrefix" not in argo["artifactRepository"]["s3"]


def test_argo_reaches_s3_of_the_region_by_tls_with_the_one_key(argo: dict[str, Any]) -> None:
    repository = argo["artifactRepository"]
    found = repository["s3"]
    assert repository["archiveLogs"] is True
    assert (found["endpoint"], found["region"], found["insecure"]) == (S3, REGION, False)
    assert found["bucket"] == "<<bucket.name>>"
    for part, key in (("accessKeySecret", "accesskey"), ("secretKeySecret", "secretkey")):
        assert found[part] == {"name": "mlpipeline-minio-artifact", "key": key}


def test_argo_reads_no_key_beside_config(release: Release) -> None:
    data = release.get("ConfigMap", "workflow-controller-configmap")["data"]
    assert set(data) == {"config"}


def test_viewer_pods_run_as_the_profiles_editor_and_read_only_what_a_profile_has(
    release: Release,
) -> None:
    pod = json.loads(release.text("ml-pipeline-ui-configmap", "viewer-pod-template.json"))["spec"]
    (container,) = pod["containers"]
    assert pod["serviceAccountName"] == "default-editor"
    assert environment(container) == {
        "AWS_ACCESS_KEY_ID": secret("mlpipeline-minio-artifact", "accesskey"),
        "AWS_SECRET_ACCESS_KEY": secret("mlpipeline-minio-artifact", "secretkey"),
        "AWS_REGION": REGION,
        "S3_ENDPOINT": S3,
        "S3_USE_HTTPS": "1",
    }


@pytest.mark.parametrize("namespace", ["kserve", "kubeflow"])
def test_models_are_read_from_s3_of_the_region(release: Release, namespace: str) -> None:
    found = json.loads(release.text("inferenceservice-config", "credentials", namespace))
    assert (found["s3"]["s3Endpoint"], found["s3"]["s3UseHttps"]) == (S3, "1")
    names = {"s3AccessKeyIDName": "AWS_ACCESS_KEY_ID"}
    assert names.items() <= found["s3"].items()
    assert found["gcs"] == {"gcsCredentialFileName": "gcloud-application-credentials.json"}


# -- Pipelines on S3 ------------------------------------------------------------------------------


def test_nothing_of_the_install_configuration_is_left_empty(release: Release) -> None:
    data = release.get("ConfigMap", "pipeline-install-config")["data"]
    assert {name: data[name] for name in data if not data[name]} == {}
    assert {key: data[key] for key in ("bucketName", "minioServiceHost", "minioServiceRegion")} == {
        "bucketName": "<<bucket.name>>",
        "minioServiceHost": S3,
        "minioServiceRegion": REGION,
    }
    assert data["defaultPipelineRoot"] == "s3://<<bucket.name>>/<<bucket.prefix>>"
    assert data["appVersion"] == "1.8.2"


def test_the_api_server_speaks_s3_by_tls_with_the_key_of_the_stack(release: Release) -> None:
    found = release.environment("ml-pipeline")
    assert {k: v for k, v in found.items() if k.startswith("OBJECTSTORECONFIG_")} == {
        "OBJECTSTORECONFIG_SECURE": "true",
        "OBJECTSTORECONFIG_BUCKETNAME": config("bucketName"),
        "OBJECTSTORECONFIG_HOST": config("minioServiceHost"),
        "OBJECTSTORECONFIG_REGION": config("minioServiceRegion"),
        "OBJECTSTORECONFIG_PORT": "",
        "OBJECTSTORECONFIG_ACCESSKEY": secret("mlpipeline-minio-artifact", "accesskey"),
        "OBJECTSTORECONFIG_SECRETACCESSKEY": secret("mlpipeline-minio-artifact", "secretkey"),
    }


def test_the_ui_knows_its_region_and_where_older_artifacts_are(release: Release) -> None:
    found = release.environment("ml-pipeline-ui")
    assert found["AWS_REGION"] == REGION
    assert found["MINIO_HOST"] == S3
    assert (found["MINIO_PORT"], found["MINIO_SSL"], found["MINIO_NAMESPACE"]) == (
        "443",
        "true",
        "",
    )
    assert found["AWS_ACCESS_KEY_ID"] == secret("mlpipeline-minio-artifact", "accesskey")


# -- what is left of what was removed --------------------------------------------------------------


@pytest.mark.parametrize(
    "kind",
    ["AuthorizationPolicy", "Deployment", "DestinationRule", "PersistentVolumeClaim", "Service"],
)
def test_no_object_of_minio_and_mysql_is_left(release: Release, kind: str) -> None:
    names = [obj["metadata"]["name"] for obj in release.all(kind)]
    assert [name for name in names if re.search("minio|mysql", name)] == []


def test_only_the_authservices_sessions_claim_a_volume(release: Release) -> None:
    claims = [obj["metadata"]["name"] for obj in release.all("PersistentVolumeClaim")]
    assert claims == ["authservice-pvc"]


def test_nobody_phones_home(release: Release) -> None:
    assert release.all("CronJob") == []
    assert [job["metadata"]["name"] for job in release.all("Job")] == [f"database-init-{ROTATION}"]


@pytest.mark.parametrize(
    "published",
    [*CREDENTIALS, "12341234", "user@example.com", "YOUR_RDS_USERNAME"],
)
def test_no_published_credential_is_left(release: Release, published: str) -> None:
    found = [
        f"{obj['kind']} {obj['metadata']['name']}"
        for obj in release.rendered.objects
        if any(published in text for text in strings(obj))
    ]
    assert found == []


# -- login ----------------------------------------------------------------------------------------


def test_dex_and_the_authservice_share_one_generated_client_secret(release: Release) -> None:
    dex = release.secret("dex-oidc-client", "auth")
    service = release.secret("oidc-authservice-client", "istio-system")
    assert dex["OIDC_CLIENT_SECRET"] == service["CLIENT_SECRET"] == "<<dex.client-secret>>"
    assert dex["OIDC_CLIENT_ID"] == service["CLIENT_ID"] == "kubeflow-oidc-authservice"


def test_dex_knows_the_stacks_users_and_waits_for_their_passwords(release: Release) -> None:
    users = [DexAccount("a@b.cn").static_password, DexAccount("c@b.cn").static_password]
    text = release.text("dex", "config.yaml", "auth")
    found = yaml.safe_load(text.replace("<<dex.static-passwords>>", json.dumps(users)))
    assert found["staticPasswords"] == users
    assert found["logger"]["level"] == "info"
    sources = containers(release.get("Deployment", "dex", "auth"))[0]["envFrom"]
    assert {"secretRef": {"name": "dex-passwords"}} in sources


def test_the_rest_of_dex_is_upstreams(release: Release) -> None:
    own = yaml.safe_load(
        release.text("dex", "config.yaml", "auth").replace("<<", "").replace(">>", "")
    )
    theirs = yaml.safe_load(text_upstream("dex", "config.yaml"))
    assert own.keys() == theirs.keys()
    for key in theirs.keys() - {"staticPasswords", "logger", "staticClients"}:
        assert own[key] == theirs[key], key


def test_the_authservice_and_dex_agree_on_the_callback(release: Release) -> None:
    dex = release.text("dex", "config.yaml", "auth")
    (client,) = yaml.safe_load(dex.replace("<<", "").replace(">>", ""))["staticClients"]
    parameters = release.get("ConfigMap", "oidc-authservice-parameters", "istio-system")["data"]
    assert client["redirectURIs"] == [f"{parameters['AUTHSERVICE_URL_PREFIX']}oidc/callback"]
    assert parameters["OIDC_PROVIDER"].startswith("http://dex.auth.svc.cluster.local:5556/")


# -- profiles -------------------------------------------------------------------------------------


def test_the_profile_controller_runs_our_script_with_complete_settings(release: Release) -> None:
    found = release.environment("kubeflow-pipelines-profile-controller")
    assert found["S3_ENDPOINT"] == config("minioServiceHost")
    assert found["AWS_REGION"] == config("minioServiceRegion")
    root = found["KFP_DEFAULT_PIPELINE_ROOT"]["configMapKeyRef"]
    assert (root["name"], root["key"]) == ("pipeline-install-config", "defaultPipelineRoot")
    assert found["MINIO_ACCESS_KEY"] == secret("mlpipeline-minio-artifact", "accesskey")


@pytest.mark.parametrize(
    ("variable", "sibling"),
    [
        ("FRONTEND_IMAGE", "ml-pipeline-ui"),
        ("VISUALIZATION_SERVER_IMAGE", "ml-pipeline-visualizationserver"),
    ],
)
def test_profiles_run_their_siblings_images_from_the_account_registry(
    release: Release, variable: str, sibling: str
) -> None:
    image = release.environment("kubeflow-pipelines-profile-controller")[variable]
    assert image == release.container(sibling)["image"]
    assert image.startswith(f"{REGISTRY}/gcr.io/ml-pipeline/")
