"""Databases of an old platform, on a real server: what is asked before, and users made afterwards.

The columns are those that gorm 1 made of kubeflow/pipelines 1.8.2 backend/src/apiserver/model
(text without a size is varchar(255)), and of google/ml-metadata v1.5.0, as far as they matter here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.database_users import users
from tests.documents import ROOT
from tests.services import mariadb
from tests.services.database_job import Job

BEFORE = (ROOT / "adoption/before.sql").read_text()
TABLES = Path(__file__).with_name("old_tables.sql").read_text()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[mariadb.Server]:
    with mariadb.running(tmp_path_factory.mktemp("mariadb")) as server:
        made = server.query(TABLES)
        assert made.returncode == 0, made.stderr
        yield server


def test_too_long_values_and_numbers_of_rows_are_told(server: mariadb.Server) -> None:
    asked = server.query(BEFORE)
    assert asked.returncode == 0, asked.stderr
    rows = [line.split("\t") for line in asked.stdout.splitlines()]
    assert sorted(row for row in rows if len(row) == 4) == sorted(
        [
            ["experiments.Name", "e1", "129", "128"],
            ["experiments.Namespace", "e1", "64", "63"],
            ["pipelines.Name", "p2", "129", "128"],
            ["pipeline_versions.Name", "v2", "128", "127"],
            ["run_details.Namespace", "r2", "64", "63"],
            ["run_details.Conditions", "r2", "126", "125"],
            ["run_metrics.Name", "r1", "192", "191"],
            ["run_metrics.NodeID", "r1", "192", "191"],
        ]
    )
    counts = dict(row for row in rows if len(row) == 2)
    assert (counts["runs"], counts["pipelines"], counts["events"]) == ("2", "2", "3")
    assert counts["schema of ML Metadata"] == "7"


def test_users_are_made_beside_what_is_there(server: mariadb.Server, tmp_path: Path) -> None:
    master = {"username": "unused", "password": "unused", "host": "unused", "port": "0"}
    logins = {
        f"<<secret.{component}>>": {
            "username": user.user,
            "password": f"passwordOf{component.replace('-', '')}1",
            "host": mariadb.HOST,
            "port": str(server.port),
            "database": user.database,
        }
        for component, user in users("26.03.1").items()
    }
    job = Job(server, tmp_path, {"<<secret.database-master>>": master, **logins})
    job.mount()
    for _ in range(2):
        answer = job.run()
        assert answer.returncode == 0, answer.stderr
    # As the components do at their first start: a column shortened, a table made anew.
    pipelines = "ALTER TABLE mlpipeline.jobs MODIFY UUID varchar(191); SELECT COUNT(*) FROM "
    assert job.query("ml-pipeline", f"{pipelines}mlpipeline.run_details") == (0, "2\n")
    renewed = (
        "USE metadb; CREATE TABLE EventTemp (id int PRIMARY KEY);"
        " INSERT INTO EventTemp SELECT * FROM Event; DROP TABLE Event;"
        " ALTER TABLE EventTemp RENAME TO Event; SELECT COUNT(*) FROM Event"
    )
    assert job.query("metadata", renewed) == (0, "3\n")
    assert job.query("cache", "SELECT COUNT(*) FROM mlpipeline.run_details")[0] != 0
