"""ML Metadata stores artifacts in RDS, with the file that External Secrets writes for it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ops.verification.checks.pipelines import questions
from tests.consumers.database import Database
from tests.consumers.programs import ml_metadata
from tests.database_users import users
from tests.rendering.beijing import kubeflow
from tests.services.certificates import Authority

SESSION = """
import json, sys
from google.protobuf import text_format
from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as proto

config = text_format.Parse(open(sys.argv[1]).read(), proto.MetadataStoreServerConfig())
upgrade = config.migration_options.enable_upgrade_migration
store = metadata_store.MetadataStore(config.connection_config, enable_upgrade_migration=upgrade)
kind = proto.ArtifactType(name="system.Model", properties={"owner": proto.STRING})
type_id = store.put_artifact_type(kind)
artifact = proto.Artifact(type_id=type_id, uri=sys.argv[2])
artifact.properties["owner"].string_value = sys.argv[3]
[written] = store.put_artifacts([artifact])
[read] = store.get_artifacts_by_id([written])
context_type = store.put_context_type(proto.ContextType(name="system.PipelineRun"))
[run] = store.put_contexts([proto.Context(type_id=context_type, name=sys.argv[4])])
belongs = proto.Attribution(artifact_id=written, context_id=run)
step = store.put_execution_type(proto.ExecutionType(name="system.ContainerExecution"))
steps = store.put_executions([proto.Execution(type_id=step) for _ in range(3)])
executed = [proto.Association(execution_id=each, context_id=run) for each in steps]
store.put_attributions_and_associations([belongs], executed)
of_run = [each.id for each in store.get_artifacts_by_context(run)]
print(json.dumps({"uri": read.uri, "owner": read.properties["owner"].string_value,
                  "of_run": of_run == [written]}))
"""
"""What metadata_store_server does with the file (google/ml-metadata,
ml_metadata/metadata_store/metadata_store_server_main.cc), and one artifact of one run."""
OWNER = "数据科学家 🚀"
RUN = "6c1b2c1e-52f0-4bb5-9d0b-0d2f3c1a9e77"
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def session(rds: Database, tmp_path: Path) -> Run:
    """Runs ``SESSION`` with the pod's file and variables, or with others on top."""
    python = ml_metadata(print)
    arguments, variables = rds.pod(kubeflow(), "metadata-grpc-deployment", tmp_path / "pod")
    flags = dict(argument.split("=", 1) for argument in arguments)
    config = flags["--metadata_store_server_config_file"]

    def run(**more: str) -> subprocess.CompletedProcess[str]:
        command = rds.command(str(python), "-c", SESSION, config, "s3://bucket/a", OWNER, RUN)
        return subprocess.run(
            command,
            env={"PATH": os.environ["PATH"], "PYTHONUTF8": "1", **variables, **more},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


def test_an_artifact_is_written_and_read_with_its_run(session: Run, rds: Database) -> None:
    done = session()
    assert done.returncode == 0, done.stderr
    read: dict[str, Any] = json.loads(done.stdout)
    assert read == {"uri": "s3://bucket/a", "owner": OWNER, "of_run": True}
    use, rows = f"USE {rds.job.user('metadata')['database']};", "SELECT uri FROM Artifact"
    assert rds.job.query("metadata", f"{use} {rows}") == (0, "s3://bucket/a\n")
    # As ./kf verify counts the rows of a run.
    counted = {
        what: rds.job.query("metadata", question.statement)
        for what, (question, _) in questions(RUN, users()).items()
        if question.component == "metadata"
    }
    assert counted == {"context": (0, "1\n"), "executions": (0, "3\n")}


def test_a_server_that_another_authority_vouches_for_is_refused(
    session: Run, tmp_path: Path
) -> None:
    other = Authority(tmp_path, "another authority")
    done = session(SSL_CERT_FILE=str(other.file))
    assert done.returncode != 0
    assert "mysql_real_connect failed" in done.stderr
