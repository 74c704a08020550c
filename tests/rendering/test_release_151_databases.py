"""Release 1.5.1-aws-b1.0.0 on RDS: each client its own user, by the Secrets Store CSI driver.

The predecessor is awslabs/kubeflow-manifests v1.5.1-aws-b1.0.0, deployments/rds-s3.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.database_users import users
from tests.rendering.beijing import (
    REGION,
    REGISTRY,
    ROTATION,
    Release,
    containers,
    environment,
    kubeflow,
)


@pytest.fixture(scope="module")
def release() -> Release:
    return kubeflow("1.5.1-aws-b1.0.0")


# -- the database ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def database_class(release: Release) -> dict[str, Any]:
    return release.get("SecretProviderClass", f"rds-secret-{ROTATION}")["spec"]


@pytest.mark.parametrize("component", users("1.5.1-aws-b1.0.0"))
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


# -- secrets ---------------------------------------------------------------------------------------


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
