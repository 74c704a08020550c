"""Releases with Pipelines 2 on RDS: how each client reaches its own database as its own user."""

from __future__ import annotations

import json
import re

import pytest
from packaging.version import Version

from rendering.release import load
from tests.database_users import users
from tests.releases import PIPELINES_2
from tests.rendering.beijing import (
    MANIFESTS,
    ROTATION,
    Release,
    config,
    containers,
    environment,
    kubeflow,
    secret,
    strings,
)
from tests.rendering.secret_writer import REMOTE, written

AUTHORITIES = "/etc/database-authorities"


COMPONENTS = [(name, component) for name in PIPELINES_2 for component in users(name)]


def hosts(name: str) -> tuple[str, str]:
    """The pair of keys that the cache server reads; from Pipelines 2.17 on one pair is for all."""
    pipelines = load(MANIFESTS / name).pipelines
    assert pipelines is not None
    old = Version(pipelines.version) < Version("2.17")
    return ("dbHost", "dbPort") if old else ("mysqlHost", "mysqlPort")


def secret_of(release: Release, component: str) -> dict[str, str]:
    name = f"{component}-database-{ROTATION}"
    return written(release.get("ExternalSecret", name), REMOTE)


def test_every_host_pair_of_pipelines_points_at_the_database(name: str, release: Release) -> None:
    data = release.get("ConfigMap", "pipeline-install-config")["data"]
    pairs = {("mysqlHost", "mysqlPort"), hosts(name)}
    for host, port in pairs:
        assert (data[host], data[port]) == ("<<database.host>>", "<<database.port>>")
    assert {key for key in data if re.fullmatch(r"(db|mysql)(Host|Port)", key)} == {
        key for pair in pairs for key in pair
    }


@pytest.mark.parametrize(("name", "component"), COMPONENTS)
def test_a_client_reads_the_secret_of_its_name_and_is_told_within_the_hour(
    name: str, component: str
) -> None:
    external = kubeflow(name).get("ExternalSecret", f"{component}-database-{ROTATION}")
    spec = external["spec"]
    assert spec["dataFrom"] == [{"extract": {"key": f"<<secret.{component}>>"}}]
    assert spec["target"]["name"] == external["metadata"]["name"]
    assert spec["refreshInterval"] == "1h"
    assert spec["secretStoreRef"] == {"kind": "SecretStore", "name": "secrets-manager"}


def test_the_api_server_reads_host_name_user_and_password_of_its_database(
    release: Release,
) -> None:
    variables = release.environment("ml-pipeline")
    own = f"ml-pipeline-database-{ROTATION}"
    assert variables["DBCONFIG_MYSQLCONFIG_HOST"] == config("mysqlHost")
    assert variables["DBCONFIG_MYSQLCONFIG_PORT"] == config("mysqlPort")
    assert variables["DBCONFIG_MYSQLCONFIG_DBNAME"] == config("pipelineDb")
    assert variables["DBCONFIG_MYSQLCONFIG_USER"] == secret(own, "username")
    assert variables["DBCONFIG_MYSQLCONFIG_PASSWORD"] == secret(own, "password")


def test_the_cache_server_reads_its_host_pair(name: str, release: Release) -> None:
    variables = release.environment("cache-server")
    host, port = hosts(name)
    own = f"cache-database-{ROTATION}"
    assert variables["DBCONFIG_HOST_NAME"] == config(host)
    assert variables["DBCONFIG_PORT"] == config(port)
    assert variables["DBCONFIG_DB_NAME"] == config("cacheDb")
    assert variables["DBCONFIG_USER"] == secret(own, "username")
    assert variables["DBCONFIG_PASSWORD"] == secret(own, "password")


def test_the_cache_server_keeps_upstreams_arguments(release: Release) -> None:
    arguments = release.container("cache-server")["args"]
    assert {"--db_host=$(DBCONFIG_HOST_NAME)", "--tls_cert_filename=tls.crt"} <= set(arguments)


def test_katibs_database_has_the_name_that_upstream_expects(release: Release) -> None:
    assert secret_of(release, "katib")["database"] == "kubeflow"


def test_mlmd_reads_its_database_from_a_file_and_from_nothing_else(release: Release) -> None:
    container = release.container("metadata-grpc-deployment")
    channel = ",".join(
        (
            "grpc.max_metadata_size=16384",
            "grpc.max_receive_message_length=104857600",
            "grpc.max_send_message_length=104857600",
        )
    )
    assert container["args"] == [
        "--grpc_port=8080",
        # a file that cannot be read must not mean a database in memory
        "--metadata_source_config_type=config_file",
        "--metadata_store_server_config_file=/etc/metadata-database/config.pbtxt",
        f"--grpc_channel_arguments={channel}",
    ]
    mounted = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    volumes = release.get("Deployment", "metadata-grpc-deployment")["spec"]["template"]["spec"][
        "volumes"
    ]
    by_name = {volume["name"]: volume for volume in volumes}
    file = by_name[mounted["/etc/metadata-database"]]
    assert file["secret"]["secretName"] == f"metadata-database-{ROTATION}"


def test_mlmds_file_is_a_whole_server_configuration(release: Release) -> None:
    assert secret_of(release, "metadata") == {
        "config.pbtxt": """\
connection_config {
  mysql {
    host: "db.example.rds.cn-north-1.amazonaws.com.cn"
    port: 3306
    database: "metadb"
    user: "metadata"
    password: "passwordOfmetadata"
    ssl_options {
      verify_server_cert: true
    }
  }
}
migration_options {
  enable_upgrade_migration: true
}
"""
    }


def test_the_clients_written_in_go_check_the_servers_certificate(release: Release) -> None:
    extra = release.environment("ml-pipeline")["DBCONFIG_MYSQLCONFIG_EXTRAPARAMS"]
    assert json.loads(extra) == {"tls": "true"}
    assert f"--db_extra_params={extra}" in release.container("cache-server")["args"]
    for deployment in ("ml-pipeline", "cache-server"):
        variables = release.environment(deployment)
        # added to the public authorities, which S3 needs, never instead of them
        assert variables["SSL_CERT_DIR"] == f"/etc/ssl/certs:{AUTHORITIES}"
        assert "SSL_CERT_FILE" not in variables


def test_mlmd_trusts_the_authorities_of_the_database_alone(release: Release) -> None:
    variables = release.environment("metadata-grpc-deployment")
    assert variables == {"SSL_CERT_FILE": f"{AUTHORITIES}/authorities.pem"}


@pytest.mark.parametrize("client", ["ml-pipeline", "cache-server", "metadata-grpc-deployment"])
def test_whoever_checks_the_server_has_the_authorities(release: Release, client: str) -> None:
    pods = release.get("Deployment", client)["spec"]["template"]["spec"]
    (volume,) = [
        each["name"]
        for each in pods["volumes"]
        if each.get("configMap", {}).get("name") == "database-authorities"
    ]
    assert {"name": volume, "mountPath": AUTHORITIES, "readOnly": True} in pods["containers"][0][
        "volumeMounts"
    ]
    assert release.get("ConfigMap", "database-authorities")["data"] == {
        "authorities.pem": "<<database.authorities>>"
    }


def test_only_the_cache_server_is_given_its_password_as_an_argument(release: Release) -> None:
    deployments = {
        obj["metadata"]["name"]
        for kind in ("Deployment", "StatefulSet", "DaemonSet", "Job")
        for obj in release.all(kind)
        for container in containers(obj)
        for variable, source in environment(container).items()
        if isinstance(source, dict) and "secretKeyRef" in source
        for argument in [*container.get("command", []), *container.get("args", [])]
        if f"$({variable})" in argument and "password" in argument
    }
    assert deployments == {"cache-server"}


def test_no_pod_can_sign_in_to_secrets_manager_by_itself(release: Release) -> None:
    may = {"role.database-clients", "role.database-init"}
    accounts = {
        (obj["metadata"]["namespace"], obj["metadata"]["name"])
        for obj in release.all("ServiceAccount")
        if any(role in text for role in may for text in strings(obj))
    }
    assert accounts == {("kubeflow", "database-clients"), ("kubeflow-database", "database-init")}
    running = {
        (obj["metadata"]["namespace"], obj["spec"]["template"]["spec"].get("serviceAccountName"))
        for kind in ("Deployment", "StatefulSet", "DaemonSet", "Job")
        for obj in release.all(kind)
    }
    assert accounts & running == set()
