"""The databases of a platform of awslabs with rows in them, and 26.03.1's first start on them.

Pipelines 1.8.2 is that of awslabs 1.5.1, 2.0.0-alpha.7 that of 1.7; ML Metadata is 1.5.0 in both.
The tests are one story on one server, in the order of the file.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.consumers.database import Database, database
from tests.consumers.stack import stack
from tests.documents import ROOT
from tests.services import mariadb
from tests.upgrade.databases import (
    OWNER,
    Columns,
    Rows,
    columns,
    metadata,
    metadata_pod,
    metadata_session,
    rows,
    versions,
)
from tests.upgrade.old_platform import (
    NEW,
    NEW_PIPELINES,
    OLD_SCHEMA,
    RUNS,
    new_pipelines,
    old_metadata,
    old_pipelines,
    query,
    schema,
    start_new_pipelines,
)
from tests.upgrade.schema_recorder import NEW_VERSION, OLD_VERSIONS

SCHEMA_NUMBER = "metadb.MLMDEnv"
NEW_SCHEMA = 10
"""Of ml_metadata 1.14.0 and of the wheel (ml_metadata/util/metadata_source_query_config.cc)."""
_START = """
import sys
from google.protobuf import text_format
from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as proto

config = text_format.Parse(open(sys.argv[1]).read(), proto.MetadataStoreServerConfig())
metadata_store.MetadataStore(config.connection_config, enable_upgrade_migration={upgrade})
"""
REFUSED, UPGRADED = (_START.format(upgrade=upgrade) for upgrade in (False, True))


@pytest.fixture(scope="module")
def rds(tmp_path_factory: pytest.TempPathFactory) -> Generator[Database]:
    with database(stack(), tmp_path_factory.mktemp("rds"), release=NEW) as server:
        old_metadata(server, tmp_path_factory.mktemp("old-metadata"))
        new_pipelines(server)
        yield server


def lineage(rds: Database) -> tuple[Columns, Rows]:
    """Columns of ML Metadata's tables, and what they hold."""
    there = {k: v for k, v in columns(rds).items() if k.startswith("metadb.")}
    return there, rows(rds, there)


def test_lineage_of_schema_7_is_refused_unless_the_configuration_says_otherwise(
    rds: Database, tmp_path: Path
) -> None:
    _, held = lineage(rds)
    assert {table for table, found in held.items() if not found} == {"metadb.ParentType"}
    refused = metadata_session(rds, metadata_pod(rds, NEW, tmp_path), REFUSED)
    assert refused.returncode != 0
    assert f"version {OLD_SCHEMA} is older than library version {NEW_SCHEMA}" in refused.stderr
    assert lineage(rds)[1] == held


def test_an_upgrade_of_the_schema_that_was_stopped_is_not_taken_up(
    rds: Database, tmp_path: Path
) -> None:
    """Its statements are no transaction in MySQL, and no probe may end it (26.03.1,
    pipelines/metadata-grpc.yaml)."""
    table, index = "ALTER TABLE metadb.ArtifactProperty", "INDEX idx_artifact_property_int"
    query(rds, f"{table} ADD {index} (name, is_custom_property, int_value)")
    again = metadata_session(rds, metadata_pod(rds, NEW, tmp_path), UPGRADED)
    query(rds, f"{table} DROP {index}")
    assert again.returncode != 0
    assert "Duplicate key name" in again.stderr
    assert lineage(rds)[1][SCHEMA_NUMBER] == [str(OLD_SCHEMA)]


def test_an_upgrade_of_the_schema_loses_nothing_but_events_that_are_there_twice(
    rds: Database, tmp_path: Path
) -> None:
    """Schema 7 has no key on artifact, execution and type; schema 8 has, and its migration ignores
    what is there already, from the newest to the oldest."""
    before, held = lineage(rds)
    twin = "INSERT INTO metadb.Event SELECT 3, artifact_id, execution_id, type, 1 FROM metadb.Event"
    query(rds, f"{twin} WHERE id = 1")
    path = "INSERT INTO metadb.EventPath SELECT 3, is_index_step, step_index, step_key"
    query(rds, f"{path} FROM metadb.EventPath WHERE event_id = 1")
    read = metadata(rds, NEW, tmp_path)
    assert {name: read[name] for name in RUNS} == {
        name: [[f"s3://bucket/{name}", OWNER]] for name in RUNS
    }
    after = dict(rows(rds, before))
    assert after.pop(SCHEMA_NUMBER) == [str(NEW_SCHEMA)]
    first, second = held["metadb.Event"]
    assert after.pop("metadb.Event") == [second, "3\t" + "\t".join([*first.split("\t")[1:-1], "1"])]
    paths = sorted(re.sub("^1", "3", path) for path in held["metadb.EventPath"])
    assert sorted(after.pop("metadb.EventPath")) == paths
    assert after == {table: held[table] for table in after}


@pytest.mark.parametrize("version", OLD_VERSIONS)
def test_rows_of_old_pipelines_are_all_there_in_tables_of_a_new_installation(
    rds: Database, version: str
) -> None:
    assert versions()[1] == NEW_VERSION
    old_pipelines(rds, version)
    before = {k: v for k, v in columns(rds).items() if k.startswith("mlpipeline.")}
    held = rows(rds, before)
    assert len(held) == 10
    assert all(held.values())
    start_new_pipelines(rds, version)
    assert rows(rds, before) == held
    named = "SELECT UUID FROM mlpipeline.pipelines WHERE DisplayName <> Name"
    assert query(rds, named) == []

    made, new = schema(rds, "mlpipeline"), schema(rds, NEW_PIPELINES)
    assert made - new == set()
    # Neither has more than one row, and gorm adds no primary key to a table that is there.
    keys = {"db_statuses\tPRIMARY\t0\tHaveSamplesLoaded"}
    keys |= {"default_experiments\tPRIMARY\t0\tDefaultExperimentId"}
    assert new - made == (keys if version == "1.8.2" else set())


def page(language: str) -> str:
    """The script of step 4."""
    text = (ROOT / f"docs/from-awslabs{language}").read_text()
    [block] = re.findall(r"```bash\n(.*?)```", text, re.S)
    return block


def test_the_lines_of_the_page_archive_again_and_give_a_pipeline_its_namespace(
    rds: Database, tmp_path: Path
) -> None:
    """The list of 2.17.0 asks for ARCHIVED, or for all but that (frontend/src/pages/RunList.tsx,
    backend/src/apiserver/filter), and old rows have another word."""
    assert page(".md") == page(".zh-CN.md")
    states = "SELECT UUID, StorageState FROM mlpipeline.run_details WHERE StorageState"
    both = f"{states} LIKE '%ARCHIVED' ORDER BY UUID"
    assert query(rds, f"{states} = 'ARCHIVED'") == []
    query(rds, "CREATE TABLE cachedb.execution_caches (ID INT)")
    query(rds, "INSERT INTO cachedb.execution_caches VALUES (1)")

    [invented] = re.findall(r"UUID = '([^']+)'", page(".md"))
    for component in ("ml-pipeline", "cache"):
        user = rds.job.user(component)
        options = rds.server.options(user["username"], user["password"])
        (tmp_path / f"{component}.cnf").write_text(options)
    (tmp_path / "mysql").symlink_to(mariadb.tool("mariadb"))
    for _ in range(2):
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", page(".md").replace(invented, "p-1"), "-", tmp_path],
            env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    assert query(rds, both) == ["r-2\tARCHIVED"]
    experiments = "SELECT UUID FROM mlpipeline.experiments WHERE StorageState = 'ARCHIVED'"
    assert query(rds, experiments) == ["e-2"]
    assert query(rds, "SELECT UUID FROM mlpipeline.pipelines WHERE Namespace = ''") == []
    assert query(rds, "SELECT ID FROM cachedb.execution_caches") == []
