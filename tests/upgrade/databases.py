"""The databases of a platform on MariaDB, and the programs of a release that start on them.

Katib's database manager and ML Metadata's core are the real ones. Pipelines' API server is what it
does to its schema at its start: the statements that ``schema_recorder`` recorded, by the user and
with the rights that the Job ``database-init`` gives it.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.consumers.database import Database
from tests.consumers.katib_api import call
from tests.consumers.katib_manager import running
from tests.consumers.programs import ml_metadata
from tests.database_users import users
from tests.rendering.beijing import kubeflow

_HERE = Path(__file__).parent
_ROWS = _HERE / "pipelines_rows.sql"
TRIAL = "random-experiment-7xkq"
OWNER = "数据科学家 🚀"
_SESSION = """
import json, sys
from google.protobuf import text_format
from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as proto

config = text_format.Parse(open(sys.argv[1]).read(), proto.MetadataStoreServerConfig())
upgrade = config.migration_options.enable_upgrade_migration
store = metadata_store.MetadataStore(config.connection_config, enable_upgrade_migration=upgrade)
for name in sys.argv[2:]:
    model = store.put_artifact_type(
        proto.ArtifactType(name="system.Model", properties={"owner": proto.STRING}))
    artifact = proto.Artifact(type_id=model, name=name, uri="s3://bucket/" + name)
    artifact.properties["owner"].string_value = "数据科学家 🚀"
    [written] = store.put_artifacts([artifact])
    kind = store.put_context_type(proto.ContextType(name="system.PipelineRun"))
    [run] = store.put_contexts([proto.Context(type_id=kind, name=name)])
    step = store.put_execution_type(proto.ExecutionType(name="system.ContainerExecution"))
    [executed] = store.put_executions([proto.Execution(type_id=step, name=name)])
    store.put_attributions_and_associations(
        [proto.Attribution(artifact_id=written, context_id=run)],
        [proto.Association(execution_id=executed, context_id=run)])
print(json.dumps({
    run.name: [[each.uri, each.properties["owner"].string_value]
               for each in store.get_artifacts_by_context(run.id)]
    for run in store.get_contexts()}))
"""
"""What metadata_store_server does with its file (google/ml-metadata,
ml_metadata/metadata_store/metadata_store_server_main.cc): it opens the store; then writes one
artifact of one run for each name, and prints the artifacts of every run."""

Rows = Mapping[str, Sequence[str]]
"""``database.table`` -> its rows, in an order that is always the same."""
Columns = Mapping[str, Sequence[str]]
"""``database.table`` -> the names of its columns."""


@cache
def _recorded() -> list[dict[str, Any]]:
    return yaml.safe_load((_HERE / "pipelines_schema.yaml").read_text())


def versions() -> list[str]:
    """The versions of Pipelines, one start after another."""
    return [step["version"] for step in _recorded()]


def install(rds: Database, release: str) -> str:
    """Runs the Job of a release, with a secret for each of its users; returns what it prints."""
    server = rds.job.user("ml-pipeline")
    for component, user in users(release).items():
        rds.job.remote.setdefault(
            f"<<secret.{component}>>",
            {
                **server,
                "username": user.user,
                "password": f"passwordOf{component.replace('-', '')}1",
                "database": user.database,
            },
        )
    rds.job.release = release
    rds.job.mount()
    done = rds.job.run()
    assert done.returncode == 0, done.stderr
    return done.stdout


def start_pipelines(rds: Database, step: int) -> list[str]:
    """The API server's start number ``step``; returns its statements that changed the schema."""
    statements = pipelines_statements(step)
    _run(rds, statements)
    return statements


def pipelines_statements(step: int) -> list[str]:
    """Those of the API server's start number ``step``."""
    return _recorded()[step]["statements"]


def use_pipelines(rds: Database) -> None:
    """Puts rows into every table of Pipelines 2.16.0, by its user."""
    lines = _ROWS.read_text().splitlines()
    _run(rds, ["\n".join(line for line in lines if not line.startswith("--"))])


def _run(rds: Database, statements: Sequence[str]) -> None:
    user = rds.job.user("ml-pipeline")
    text = "".join(f"{each.rstrip().rstrip(';')};\n" for each in statements)
    code, answer = rds.job.query("ml-pipeline", f"USE {user['database']};\n{text}")
    assert code == 0, answer


def metadata(rds: Database, release: str, folder: Path, *runs: str) -> dict[str, list[list[str]]]:
    """Starts ML Metadata of a release; writes an artifact for each run, returns those of all."""
    done = metadata_session(rds, metadata_pod(rds, release, folder), _SESSION, *runs)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def metadata_pod(rds: Database, release: str, folder: Path) -> tuple[Path, dict[str, str]]:
    """The configuration file and the environment of a release's ML Metadata."""
    arguments, variables = rds.pod(kubeflow(release), "metadata-grpc-deployment", folder)
    flags = dict(argument.split("=", 1) for argument in arguments)
    return Path(flags["--metadata_store_server_config_file"]), variables


def metadata_session(
    rds: Database, pod: tuple[Path, dict[str, str]], script: str, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Runs a script on ML Metadata's core, with the file as its first argument."""
    file, variables = pod
    return subprocess.run(
        rds.command(str(ml_metadata(print)), "-c", script, str(file), *arguments),
        env={"PATH": os.environ["PATH"], "PYTHONUTF8": "1", **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def katib(rds: Database, release: str, folder: Path, *values: str) -> list[str]:
    """Starts Katib's database manager of a release; writes values, returns those there are."""
    logs = [
        {"time_stamp": f"2026-11-29T10:0{minute}:00Z", "metric": {"name": "loss", "value": value}}
        for minute, value in enumerate(values)
    ]
    with running(rds, folder, kubeflow(release)) as manager:
        if logs:
            report = {"trial_name": TRIAL, "observation_log": {"metric_logs": logs}}
            call(manager, "ReportObservationLog", report)
        reply = call(manager, "GetObservationLog", {"trial_name": TRIAL})
    found: list[dict[str, Any]] = reply.get("observation_log", {}).get("metric_logs", [])
    return [each["metric"]["value"] for each in found]


def columns(rds: Database) -> Columns:
    """Of every table of every component."""
    asked = (
        "SELECT table_schema, table_name, column_name FROM information_schema.columns "
        "WHERE table_schema NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys') "
        "ORDER BY table_schema, table_name, ordinal_position"
    )
    found: dict[str, list[str]] = {}
    for line in query(rds, asked):
        schema, table, column = line.split("\t")
        found.setdefault(f"{schema}.{table}", []).append(column)
    return found


def rows(rds: Database, of: Columns) -> Rows:
    """What these columns hold."""
    return {table: query(rds, _sorted_rows(table, names)) for table, names in of.items()}


def _sorted_rows(table: str, names: Sequence[str]) -> str:
    listed = ", ".join(f"`{name}`" for name in names)
    return f"SELECT {listed} FROM {table} ORDER BY {listed}"  # noqa: S608 - names of the schema


def query(rds: Database, statements: str) -> list[str]:
    """The rows that the master user gets."""
    answer = rds.server.query(statements)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.splitlines()
