"""The databases of a platform of awslabs with rows in them, and 26.03.1's first start on them.

Pipelines 1.8.2 is that of awslabs 1.5.1, 2.0.0-alpha.7 that of 1.7; ML Metadata is 1.5.0 in both.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.consumers.database import Database, database
from tests.consumers.stack import stack
from tests.upgrade.databases import (
    OWNER,
    columns,
    metadata,
    metadata_pod,
    metadata_session,
    rows,
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
from tests.upgrade.schema_recorder import OLD_VERSIONS

SCHEMA_NUMBER = "metadb.MLMDEnv"
NEW_SCHEMA = 10
"""Of ml_metadata 1.14.0 and of the wheel (ml_metadata/util/metadata_source_query_config.cc)."""
REFUSED = """
import sys
from google.protobuf import text_format
from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as proto

config = text_format.Parse(open(sys.argv[1]).read(), proto.MetadataStoreServerConfig())
metadata_store.MetadataStore(config.connection_config)
"""


@pytest.fixture(scope="module")
def rds(tmp_path_factory: pytest.TempPathFactory) -> Generator[Database]:
    with database(stack(), tmp_path_factory.mktemp("rds"), release=NEW) as server:
        old_metadata(server, tmp_path_factory.mktemp("old-metadata"))
        yield server


def test_lineage_of_schema_7_is_upgraded_without_losing_a_row(
    rds: Database, tmp_path: Path
) -> None:
    before = {k: v for k, v in columns(rds).items() if k.startswith("metadb.")}
    held = rows(rds, before)
    assert held[SCHEMA_NUMBER] == [str(OLD_SCHEMA)]
    empty = {table for table, found in held.items() if not found}
    assert empty == {"metadb.ParentType"}

    pod = metadata_pod(rds, NEW, tmp_path / "refused")
    refused = metadata_session(rds, pod, REFUSED)
    assert refused.returncode != 0
    assert f"version {OLD_SCHEMA} is older than library version {NEW_SCHEMA}" in refused.stderr
    assert rows(rds, before) == held

    read = metadata(rds, NEW, tmp_path / "first")
    assert {run: read[run] for run in RUNS} == {
        run: [[f"s3://bucket/{run}", OWNER]] for run in RUNS
    }
    after = dict(rows(rds, before))
    assert after.pop(SCHEMA_NUMBER) == [str(NEW_SCHEMA)]
    assert after == {k: v for k, v in held.items() if k != SCHEMA_NUMBER}


def test_of_events_that_are_there_twice_the_newest_is_kept(rds: Database, tmp_path: Path) -> None:
    """Schema 7 has no key on artifact, execution and type; schema 8 has, and its migration ignores
    what is there already, from the newest to the oldest."""
    old_metadata(rds, tmp_path / "old")
    twice = (
        "INSERT INTO metadb.Event (artifact_id, execution_id, type, milliseconds_since_epoch)"
        " SELECT artifact_id, execution_id, type, 1 FROM metadb.Event ORDER BY id LIMIT 1"
    )
    event = "SELECT artifact_id, execution_id, type FROM metadb.Event ORDER BY 1, 2, 3"
    pairs = query(rds, event)
    query(rds, twice)
    newest = query(rds, "SELECT MAX(id) FROM metadb.Event")
    metadata(rds, NEW, tmp_path / "new")
    assert query(rds, event) == pairs
    assert query(rds, "SELECT id FROM metadb.Event WHERE milliseconds_since_epoch = 1") == newest
    lost = "SELECT event_id FROM metadb.EventPath EXCEPT SELECT id FROM metadb.Event"
    assert query(rds, lost) == []


@pytest.mark.parametrize("version", OLD_VERSIONS)
def test_rows_of_old_pipelines_are_all_there_in_tables_of_a_new_installation(
    rds: Database, version: str
) -> None:
    old_pipelines(rds, version)
    before = {k: v for k, v in columns(rds).items() if k.startswith("mlpipeline.")}
    held = rows(rds, before)
    assert len(held) == 10
    assert all(held.values())
    start_new_pipelines(rds, version)
    assert rows(rds, before) == held
    named = "SELECT COUNT(*) FROM mlpipeline.pipelines WHERE DisplayName <> Name"
    assert query(rds, named) == ["0"]

    new_pipelines(rds)
    assert schema(rds, "mlpipeline") - schema(rds, NEW_PIPELINES) == set()
    lacking = schema(rds, NEW_PIPELINES) - schema(rds, "mlpipeline")
    # Neither has more than one row, and gorm adds no primary key to a table that is there.
    keys = {"db_statuses\tPRIMARY\t0\tHaveSamplesLoaded"}
    keys |= {"default_experiments\tPRIMARY\t0\tDefaultExperimentId"}
    assert lacking == (keys if version == "1.8.2" else set())
