"""Hub's programs log in to PostgreSQL and read the team's files with the render of the catalog."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.consumers import catalog
from tests.consumers.catalog import CatalogDatabase
from tests.consumers.stack import stack
from tests.services.certificates import Authority


@pytest.fixture(scope="module")
def rds(tmp_path_factory: pytest.TempPathFactory) -> Generator[CatalogDatabase]:
    with catalog.database(stack(), tmp_path_factory.mktemp("postgres")) as running:
        yield running


def test_tables_are_made_over_tls_by_a_user_that_is_no_superuser(
    rds: CatalogDatabase, tmp_path: Path
) -> None:
    with catalog.storing(rds, tmp_path):
        clients = rds.server.query(
            "SELECT DISTINCT usename, ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) "
            "WHERE client_addr IS NOT NULL"
        )
        made = rds.server.query("SELECT count(*) > 0, bool_and(NOT dirty) FROM schema_migrations")
        owners = rds.server.query(
            "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname='public'"
        )
    assert clients.split() == ["kubeflow", "t"]
    assert made.split() == ["t", "t"]
    assert owners.split() == ["kubeflow"]


def test_a_server_of_another_authority_is_refused(rds: CatalogDatabase, tmp_path: Path) -> None:
    other = Authority(tmp_path, "another authority").file.read_text()
    message = catalog.refusal(rds.of_authority(other), tmp_path / "pod")
    assert "signed by unknown authority" in message


def test_a_server_of_another_name_is_refused(rds: CatalogDatabase, tmp_path: Path) -> None:
    message = catalog.refusal(rds, tmp_path, PGHOST="another.name")
    assert "certificate is valid for" in message


def test_nobody_gets_in_without_tls(rds: CatalogDatabase, tmp_path: Path) -> None:
    message = catalog.refusal(rds, tmp_path, PGSSLMODE="disable")
    assert "no pg_hba.conf entry" in message
    assert "no encryption" in message


def test_a_model_of_the_teams_file_is_served(tmp_path: Path) -> None:
    with catalog.serving(stack(), tmp_path) as address:
        api = f"{address}/api/model_catalog/v1alpha1/sources"
        (source,) = catalog.read(api)["items"]
        assert (source["id"], source["name"]) == ("team", "团队的模型")
        model = catalog.read(f"{api}/team/models/line")
        (artifact,) = catalog.read(f"{api}/team/models/line/artifacts")["items"]
    assert model["tasks"] == ["tabular-regression"]
    assert artifact["uri"].startswith("s3://")
