"""Databases of an old platform, on a real server: what is asked before, and users made afterwards.

The tables of Pipelines are those that kubeflow/pipelines 1.8.2 makes; those of ML Metadata and
Katib have the columns that matter here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.database_users import users
from tests.documents import ROOT
from tests.services import mariadb
from tests.services.database_job import Job
from tests.upgrade.old_platform import OLD_ROWS, pipelines_made, recorded

BEFORE = (ROOT / "adoption/before.sql").read_text()
TABLES = Path(__file__).with_name("old_tables.sql").read_text()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[mariadb.Server]:
    with mariadb.running(tmp_path_factory.mktemp("mariadb")) as server:
        made = server.query(pipelines_made("1.8.2") + OLD_ROWS.read_text() + TABLES)
        assert made.returncode == 0, made.stderr
        yield server


def test_too_long_values_and_numbers_of_rows_are_told(server: mariadb.Server) -> None:
    asked = server.query(BEFORE)
    assert asked.returncode == 0, asked.stderr
    rows = [line.split("\t") for line in asked.stdout.splitlines()]
    assert sorted(row for row in rows if len(row) == 4) == sorted(
        [
            ["experiments.Name", "e-3", "129", "128"],
            ["experiments.Namespace", "e-3", "64", "63"],
            ["pipelines.Name", "p-2", "129", "128"],
            ["pipeline_versions.Name", "v-2", "128", "127"],
            ["run_details.Namespace", "r-2", "64", "63"],
            ["run_details.Conditions", "r-2", "126", "125"],
            ["run_metrics.Name", "r-1", "192", "191"],
            ["run_metrics.NodeID", "r-1", "192", "191"],
        ]
    )
    counts = dict(row for row in rows if len(row) == 2)
    assert (counts["runs"], counts["pipelines"], counts["events"]) == ("4", "3", "3")
    assert (counts["archived runs"], counts["archived experiments"]) == ("1", "1")
    assert counts["events that are there already"] == "1"
    assert counts["schema of ML Metadata"] == "7"
    assert counts["tables of another collation"] == "0"
    # By the run's reference to a version of the pipeline, and by its own column.
    assert [row for row in rows if len(row) == 3] == [["p-1", "n" * 128, "team-a"]]


def test_tables_are_counted_whose_collation_the_database_has_not(server: mariadb.Server) -> None:
    """New tables have the database's, and a foreign key needs the same on both sides."""
    changed = "ALTER DATABASE mlpipeline COLLATE "
    asked = server.query(f"{changed} utf8mb4_unicode_ci; {BEFORE}")
    assert "tables of another collation\t10" in asked.stdout.splitlines()
    assert server.query(f"{changed} utf8mb4_general_ci").returncode == 0


def test_every_value_that_people_write_is_asked_for_its_length() -> None:
    written_by_programs = {"DefaultExperimentId", "ExperimentUUID", "PipelineId", "ReferenceUUID"}
    written_by_programs |= {"ResourceUUID", "RunUUID", "UUID"}
    limits = {
        (f"{table}.{column}", str(most))
        for table, column, most in recorded()["lengths"]
        if column not in written_by_programs
    }
    asked = r"SELECT '([\w.]+)'.*CHAR_LENGTH\(\w+\)(?: AS characters)?, (\d+)"
    assert set(re.findall(asked, BEFORE)) == limits


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
    assert job.query("ml-pipeline", f"{pipelines}mlpipeline.run_details") == (0, "4\n")
    renewed = (
        "USE metadb; CREATE TABLE EventTemp LIKE Event;"
        " INSERT INTO EventTemp SELECT * FROM Event; DROP TABLE Event;"
        " ALTER TABLE EventTemp RENAME TO Event; SELECT COUNT(*) FROM Event"
    )
    assert job.query("metadata", renewed) == (0, "3\n")
    assert job.query("cache", "SELECT COUNT(*) FROM mlpipeline.run_details")[0] != 0
