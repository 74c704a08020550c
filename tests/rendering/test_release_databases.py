"""Every release on RDS: its four clients read their own secrets, and follow a rotation."""

from __future__ import annotations

import re

import pytest

from components.backend.database_users import USERS
from tests.rendering.beijing import ROTATION, Release, kubeflow, secret, strings

CLIENTS = {
    "ml-pipeline": "ml-pipeline",
    "cache": "cache-server",
    "metadata": "metadata-grpc-deployment",
    "katib": "katib-db-manager",
}


@pytest.fixture(params=["26.03", "1.5.1-aws-b1.0.0"])
def release(request: pytest.FixtureRequest) -> Release:
    return kubeflow(request.param)


def test_each_client_reads_its_own_secret_and_no_other(release: Release) -> None:
    assert CLIENTS.keys() == USERS.keys()
    for component, name in CLIENTS.items():
        texts = " ".join(strings(release.get("Deployment", name)))
        secrets = set(re.findall(r"[a-z-]+-database-<<[a-z.]+>>", texts))
        assert secrets == {f"{component}-database-{ROTATION}"}


def test_the_databases_that_pipelines_asks_for_are_those_its_users_have(release: Release) -> None:
    data = release.get("ConfigMap", "pipeline-install-config")["data"]
    keys = {"pipelineDb": "ml-pipeline", "cacheDb": "cache", "mlmdDb": "metadata"}
    for key, component in keys.items():
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


def test_another_number_of_the_rotation_replaces_every_clients_pods(release: Release) -> None:
    for name in CLIENTS.values():
        template = release.get("Deployment", name)["spec"]["template"]
        assert any(ROTATION in text for text in strings(template)), name
