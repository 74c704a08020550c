"""The databases of a platform of awslabs on MariaDB, as its programs left them.

Its versions are those of awslabs/kubeflow-manifests v1.5.1-aws-b1.0.0 and v1.7.0-aws-b1.0.3: both
run ml_metadata_store_server 1.5.0, whose schema is number 7 (google/ml-metadata v1.5.0,
ml_metadata/util/metadata_source_query_config.cc).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.consumers.database import Database
from tests.upgrade.databases import metadata_pod, metadata_session, pipelines_statements, query
from tests.upgrade.schema_recorder import NEW_VERSION, OLD_RECORD, OLD_ROWS

NEW = "26.03.1"
OLD_SCHEMA = 7
RUNS = ("run-1", "run-2")
_WRITER = """
import sys
from google.protobuf import text_format
from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as proto

config = text_format.Parse(open(sys.argv[1]).read(), proto.MetadataStoreServerConfig())
store = metadata_store.MetadataStore(config.connection_config)
model = store.put_artifact_type(proto.ArtifactType(
    name="system.Model",
    properties={"owner": proto.STRING, "epochs": proto.INT, "loss": proto.DOUBLE}))
step = store.put_execution_type(
    proto.ExecutionType(name="system.ContainerExecution", properties={"image": proto.STRING}))
kind = store.put_context_type(proto.ContextType(name="system.PipelineRun"))
above = store.put_context_type(proto.ContextType(name="system.Pipeline"))
[pipeline] = store.put_contexts([proto.Context(type_id=above, name="训练")])
for name in sys.argv[3:]:
    artifact = proto.Artifact(type_id=model, name=name, uri="s3://bucket/" + name)
    artifact.properties["owner"].string_value = "数据科学家 🚀"
    artifact.properties["epochs"].int_value = 3
    artifact.properties["loss"].double_value = 0.912345678901234
    artifact.custom_properties["notes"].string_value = "n" * 70000
    execution = proto.Execution(type_id=step, name=name)
    execution.properties["image"].string_value = "python:3.11"
    context = proto.Context(type_id=kind, name=name)
    context.custom_properties["namespace"].string_value = "team-a"
    steps = [proto.Event.Path.Step(key="model"), proto.Event.Path.Step(index=0)]
    path = proto.Event.Path(steps=steps)
    store.put_execution(
        execution, [(artifact, proto.Event(type=proto.Event.OUTPUT, path=path))], [context])
    [run] = [each for each in store.get_contexts_by_type("system.PipelineRun") if each.name == name]
    store.put_parent_contexts([proto.ParentContext(child_id=run.id, parent_id=pipeline)])
del store
metadata_store.downgrade_schema(config.connection_config, int(sys.argv[2]))
"""
"""Writes an artifact with its execution, run and pipeline for each name, then makes the schema an
older one by ML Metadata's own queries."""


NEW_PIPELINES = "fresh"
_COLUMNS = (
    "SELECT table_name, column_name, column_type, is_nullable, column_default, character_set_name"
    " FROM information_schema.columns"
)
_INDEXES = (
    "SELECT table_name, index_name, non_unique, GROUP_CONCAT(column_name ORDER BY seq_in_index)"
    " FROM information_schema.statistics"
)
_FOREIGN_KEYS = (
    "SELECT table_name, constraint_name, referenced_table_name, delete_rule, update_rule"
    " FROM information_schema.referential_constraints"
)


@cache
def recorded() -> dict[str, Any]:
    """What ``schema_recorder`` recorded of the old versions."""
    return yaml.safe_load(OLD_RECORD.read_text())


def old_metadata(rds: Database, folder: Path) -> None:
    """Rows of ``RUNS`` in tables as ML Metadata 1.5.0 has them, alone in its database."""
    query(rds, script(_anew("metadb")))
    pod = metadata_pod(rds, NEW, folder)
    done = metadata_session(rds, pod, _WRITER, str(OLD_SCHEMA), *RUNS)
    assert done.returncode == 0, done.stderr


def old_pipelines(rds: Database, version: str) -> None:
    """Tables of a version as its API server makes them in the database of its own making, with
    rows; the master user does all of it, as on awslabs' platforms."""
    query(rds, pipelines_made(version) + OLD_ROWS.read_text())


def pipelines_made(version: str) -> str:
    """The statements that make the tables of a version, in a database without any."""
    return script([*_anew("mlpipeline"), *_of(version)["statements"]])


def start_new_pipelines(rds: Database, version: str) -> None:
    """The first start of the new API server on tables of an old version, by its own user."""
    statements: list[str] = _of(version)[NEW_VERSION]
    code, answer = rds.job.query("ml-pipeline", script(["USE mlpipeline", *statements]))
    assert code == 0, answer


def new_pipelines(rds: Database) -> None:
    """The tables of a new installation, without rows, in a database of their own."""
    first, upgraded = pipelines_statements(0), pipelines_statements(1)
    query(rds, script([*_anew(NEW_PIPELINES), *first, *upgraded]))


def schema(rds: Database, database: str) -> set[str]:
    """Columns, indexes and foreign keys of a database, a line each."""
    name = f"= '{database}'"
    return {
        *query(rds, f"{_COLUMNS} WHERE table_schema {name}"),
        *query(rds, f"{_INDEXES} WHERE table_schema {name} GROUP BY 1, 2, 3"),
        *query(rds, f"{_FOREIGN_KEYS} WHERE constraint_schema {name}"),
    }


def _anew(database: str) -> list[str]:
    # MySQL 8.0 has utf8mb4 where a program's own CREATE DATABASE names none.
    dropped = f"DROP DATABASE IF EXISTS {database}"
    return [dropped, f"CREATE DATABASE {database} CHARACTER SET utf8mb4", f"USE {database}"]


def _of(version: str) -> dict[str, Any]:
    [found] = [each for each in recorded()["versions"] if each["version"] == version]
    return found


def script(statements: Sequence[str]) -> str:
    """Statements as the client reads them."""
    return "".join(f"{each.rstrip().rstrip(';')};\n" for each in statements)
