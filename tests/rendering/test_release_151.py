"""Release 1.5.1-aws-b1.0.0: the reference's install with each of its predecessor's defects mended.

Numbers in brackets are sections of facts/awslabs-rds-s3.md.
"""

from __future__ import annotations

import json
import re
from typing import Any, cast

import pytest
import yaml

from components.database_users import USERS
from rendering import Object
from rendering.leak_tables import CREDENTIALS
from tests.rendering.beijing import (
    REGION,
    REGISTRY,
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

ROTATION = "<<database.rotation>>"
CLIENTS = {
    "ml-pipeline": "ml-pipeline",
    "cache": "cache-server",
    "metadata": "metadata-grpc-deployment",
    "katib": "katib-db-manager",
}
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


# -- what awslabs lost by replacing ConfigMaps (1.4) ----------------------------------------------


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


# -- the database (1.3) ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def database_class(release: Release) -> dict[str, Any]:
    return release.get("SecretProviderClass", f"rds-secret-{ROTATION}")["spec"]


@pytest.mark.parametrize("component", CLIENTS)
def test_each_client_reads_its_own_secret_and_no_other(release: Release, component: str) -> None:
    workload = release.get("Deployment", CLIENTS[component])
    named = set(re.findall(r"[a-z-]+-database-<<[a-z.]+>>", " ".join(strings(workload))))
    assert named == {f"{component}-database-{ROTATION}"}


@pytest.mark.parametrize("component", CLIENTS)
def test_the_driver_copies_a_components_whole_secret_from_secrets_manager(
    database_class: dict[str, Any], component: str
) -> None:
    objects = {o["objectAlias"]: o for o in yaml.safe_load(database_class["parameters"]["objects"])}
    read = {each["objectAlias"]: each["path"] for each in objects[component]["jmesPath"]}
    copied = {each["secretName"]: each["data"] for each in database_class["secretObjects"]}
    held = {
        each["key"]: read[each["objectName"]] for each in copied[f"{component}-database-{ROTATION}"]
    }
    assert objects[component]["objectName"] == f"<<secret.{component}>>"
    assert held == {key: key for key in ("username", "password", "host", "port", "database")}


def test_the_databases_that_pipelines_asks_for_are_those_its_users_have(release: Release) -> None:
    data = release.get("ConfigMap", "pipeline-install-config")["data"]
    for key, component in (
        ("pipelineDb", "ml-pipeline"),
        ("cacheDb", "cache"),
        ("mlmdDb", "metadata"),
    ):
        assert data[key] == USERS[component].database
    assert (data["dbHost"], data["dbPort"]) == ("<<database.host>>", "<<database.port>>")


def test_katib_reads_the_whole_database_address_from_its_secret(release: Release) -> None:
    own = f"katib-database-{ROTATION}"
    assert release.environment("katib-db-manager") == {
        "DB_NAME": "mysql",
        "DB_USER": secret(own, "username"),
        "DB_PASSWORD": secret(own, "password"),
        "KATIB_MYSQL_DB_DATABASE": secret(own, "database"),
        "KATIB_MYSQL_DB_HOST": secret(own, "host"),
        "KATIB_MYSQL_DB_PORT": secret(own, "port"),
    }


def test_clients_that_can_ask_for_tls_and_know_the_regions_authorities(release: Release) -> None:
    tls = '{"tls":"true"}'
    assert release.environment("ml-pipeline")["DBCONFIG_EXTRAPARAMS"] == tls
    assert f"--db_extra_params={tls}" in release.container("cache-server")["args"]
    for name in ("ml-pipeline", "cache-server"):
        assert release.environment(name)["SSL_CERT_DIR"] == "/etc/database-authorities"
    pod = release.get("Deployment", "metadata-grpc-deployment")["spec"]["template"]["spec"]
    script = pod["initContainers"][0]["command"][-1]
    assert "verify_server_cert: true" in script
    found = environment(pod["containers"][0])
    assert found["SSL_CERT_FILE"] == "/etc/database-authorities/authorities.pem"


def test_the_metadata_store_has_no_password_in_its_arguments(release: Release) -> None:
    pod = release.get("Deployment", "metadata-grpc-deployment")["spec"]["template"]["spec"]
    for container in containers({"spec": {"template": {"spec": pod}}}):
        words = " ".join([*container.get("args", []), *container.get("command", [])])
        assert not re.search(r"\$\((?:DBCONFIG|FLAGS)\w*(?:USER|PASSWORD)", words, re.IGNORECASE)
    assert "--fromenv=mysql_config_user,mysql_config_password" in pod["containers"][0]["args"]


def test_another_number_of_the_rotation_replaces_every_clients_pods(release: Release) -> None:
    for name in (*CLIENTS.values(), "aws-secrets-sync"):
        template = release.get("Deployment", name)["spec"]["template"]
        assert any(ROTATION in text for text in strings(template)), name


# -- secrets (1.2, 3.1) ---------------------------------------------------------------------------


def test_the_reference_names_of_accounts_and_classes_are_kept(release: Release) -> None:
    account = release.get("ServiceAccount", "kubeflow-secrets-manager-sa")
    role = account["metadata"]["annotations"]["eks.amazonaws.com/role-arn"]
    assert role == "<<role.database-clients>>"
    sync = release.get("Deployment", "aws-secrets-sync")["spec"]["template"]["spec"]
    mounted = {
        volume["csi"]["volumeAttributes"]["secretProviderClass"] for volume in sync["volumes"]
    }
    assert mounted == {f"rds-secret-{ROTATION}", "s3-secret"}
    assert sync["serviceAccountName"] == "kubeflow-secrets-manager-sa"


def test_every_class_names_its_region_and_secrets_of_this_stack_in_the_current_api(
    release: Release,
) -> None:
    classes = release.all("SecretProviderClass")
    assert len(classes) == 3
    for each in classes:
        parameters = each["spec"]["parameters"]
        named = [entry["objectName"] for entry in yaml.safe_load(parameters["objects"])]
        assert each["apiVersion"] == "secrets-store.csi.x-k8s.io/v1"
        assert parameters["region"] == REGION
        assert all(re.fullmatch(r"<<secret\.[a-z-]+>>", name) for name in named)


def test_the_master_users_secret_is_read_in_the_jobs_namespace_alone(release: Release) -> None:
    readers = [
        each["metadata"]["namespace"]
        for each in release.all("SecretProviderClass")
        if "<<secret.database-master>>" in each["spec"]["parameters"]["objects"]
    ]
    assert readers == ["kubeflow-database"]


def test_the_driver_brings_a_changed_secret_into_the_cluster(release: Release) -> None:
    (driver,) = [
        container
        for workload in release.all("DaemonSet")
        for container in containers(workload)
        if container["name"] == "secrets-store"
    ]
    assert "--enable-secret-rotation=true" in driver["args"]


def test_the_pod_that_mounts_the_classes_does_nothing_as_nobody(release: Release) -> None:
    sync = release.get("Deployment", "aws-secrets-sync")
    template = sync["spec"]["template"]
    (container,) = template["spec"]["containers"]
    assert container["image"] == f"{REGISTRY}/registry.k8s.io/pause:3.9"
    assert template["spec"]["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert template["metadata"]["annotations"]["sidecar.istio.io/inject"] == "false"
    assert "sidecar.istio.io/inject" not in sync["metadata"].get("annotations", {})


# -- what is left of what was removed (1.1, 1.3, 1.4) ---------------------------------------------


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
    users = [{"email": "a@b.cn", "hashFromEnv": "DEX_USER_PASSWORD_0", "username": "a"}]
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
    controller = release.get("CompositeController", "kubeflow-pipelines-profile-controller")
    methods = {
        each["resource"]: each["updateStrategy"]["method"]
        for each in cast("list[Object]", controller["spec"]["childResources"])
    }
    assert methods["secrets"] == methods["configmaps"] == methods["poddefaults"] == "InPlace"
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
