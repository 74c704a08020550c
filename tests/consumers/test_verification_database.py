"""The questions of ``./kf verify`` to a real server with the tables of ML Metadata and Katib.

The Job's script runs as a process, with the files of its Secret.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from components.objects.kubernetes_objects import bind
from ops.findings import Finding, Level
from ops.live_cluster import LiveCluster
from ops.verification.checks.database import (
    database_databases,
    database_reach,
    database_rows,
    database_tables,
)
from ops.verification.database_rows import NAMESPACE, rows
from ops.verification.platform import Platform
from ops.verification.workspace import Workspace
from settings import from_mapping
from settings.context import StackContext
from tests.consumers.database import Database
from tests.consumers.katib_api import call
from tests.consumers.katib_manager import running
from tests.consumers.programs import ml_metadata
from tests.consumers.test_katib import LOGS
from tests.consumers.test_ml_metadata import OWNER, SESSION
from tests.database_users import users
from tests.rendering.beijing import Release, kubeflow, rendered
from tests.services import mariadb
from tests.services.certificates import Authority

CHECKS = (database_reach, database_databases, database_tables, database_rows)
TRIAL = "verified-7xkq"
_CLIENT = """#!/bin/bash
# MariaDB's client by the name of MySQL's; it has another word for a connection without TLS.
options=()
for option; do
  if [[ $option == --ssl-mode=DISABLED ]]; then
    options+=(--skip-ssl --skip-ssl-verify-server-cert)
  else
    options+=("$option")
  fi
done
exec {client} "${{options[@]}}"
"""


@dataclass
class Pods:
    """Runs the pod of a Job as a process on this machine.

    Attributes:
        rds: the server.
        folder: for the files of the pod.
        printed: of every pod.
        mounted: whether the Secret's files are in the folder, perhaps changed by a test.
    """

    rds: Database
    folder: Path
    namespace: str = NAMESPACE
    run: str = "kf-verify-1a2b3c4d0a06"
    printed: list[str] = field(default_factory=list[str])
    mounted: bool = False

    def create(self, obj: Mapping[str, Any]) -> dict[str, Any]:
        (container,) = obj["spec"]["template"]["spec"]["containers"]
        secrets = self.secrets()
        command = [
            str(secrets) if word == "/etc/database-secrets" else word
            for word in container["command"]
        ]
        program = self.folder / "bin/mysql"
        program.parent.mkdir(exist_ok=True)
        program.write_text(_CLIENT.format(client=mariadb.tool("mariadb")))
        program.chmod(0o755)
        done = subprocess.run(
            command,
            env={"PATH": f"{program.parent}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        self.printed.append(done.stdout)
        return {"metadata": {"name": f"{self.run}-{obj['metadata']['generateName']}"}}

    def secrets(self) -> Path:
        """The mounted Secret, as the platform's ExternalSecret makes it."""
        place, mounted = self.folder / "secrets", self.rds.job.folder / "secrets"
        if not self.mounted:
            place.mkdir()
            for file in mounted.iterdir():
                text = file.read_text().replace(str(mounted), str(place))
                (place / file.name).write_text(text)
        self.mounted = True
        return place

    def wait(self, what: str, done: Callable[[], str | None], seconds: float) -> str | None:
        return done()

    def logs(self, job: str) -> str:
        return self.printed[-1]


class InitJobOnly:
    """An API server that has the Job of the release."""

    def all(self, path: str, **selected: str) -> list[Any]:
        assert path == f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
        (job,) = Release(rendered("addons/database-init")).all("Job")
        return [bind(job, {"database.rotation": "1", "image.prefix": "registry.example"})]

    def answer(self, method: str, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        return {"status": {"conditions": [{"type": "Complete", "status": "True"}]}}


def platform(pods: Pods) -> Platform:
    settings = from_mapping({"region": "cn-north-1", "pipelines": {"v1": True}})

    def client(service: str) -> Any:
        raise AssertionError(f"{service} is asked")

    def workspace(namespace: str) -> Workspace:
        assert namespace == NAMESPACE
        return cast("Workspace", pods)

    return Platform(
        stack="cn-north-1",
        settings=settings,
        context=StackContext.of(settings, "123456789012", {}),
        cluster=cast("LiveCluster", InitJobOnly()),
        client=client,
        workspace=workspace,
    )


def examined(pods: Pods, *checks: Callable[[Platform], Any]) -> list[Finding]:
    """The findings of these checks on one platform; no password is in what anybody sees."""
    made = platform(pods)
    findings: list[Finding] = [each for check in checks for each in check(made)]
    seen = "\n".join([*pods.printed, *(f"{each.about} {each.sentence}" for each in findings)])
    passwords = [user["password"] for user in pods.rds.job.remote.values()]
    assert len(passwords) == len(users()) + 1  # and the master's
    assert not [each for each in passwords if each in seen]
    return findings


def problems(findings: list[Finding]) -> list[str]:
    return [f"{each.about}: {each.sentence}" for each in findings if each.level is Level.PROBLEM]


@pytest.fixture(scope="module", autouse=True)
def tables(rds: Database, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Tables and rows by Katib's database manager and by ML Metadata; those of Pipelines and of the
    model registry, of which no registry serves the program, by name alone (release.yaml)."""
    with running(rds, tmp_path_factory.mktemp("verified-katib")) as manager:
        report = {"trial_name": TRIAL, "observation_log": {"metric_logs": LOGS}}
        call(manager, "ReportObservationLog", report)
    folder = tmp_path_factory.mktemp("verified-metadata") / "pod"
    arguments, variables = rds.pod(kubeflow(), "metadata-grpc-deployment", folder)
    flags = dict(argument.split("=", 1) for argument in arguments)
    config = flags["--metadata_store_server_config_file"]
    python = str(ml_metadata(print))
    done = subprocess.run(
        rds.command(python, "-c", SESSION, config, "s3://bucket/verified", OWNER, "verified"),
        env={"PATH": os.environ["PATH"], "PYTHONUTF8": "1", **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for component in ("ml-pipeline", "cache", "model-registry"):
        user = users()[component]
        made = "; ".join(
            f"CREATE TABLE IF NOT EXISTS {user.database}.{table} (id INT)" for table in user.tables
        )
        assert rds.job.query(component, made)[0] == 0


@pytest.fixture
def pods(rds: Database, tmp_path: Path) -> Pods:
    return Pods(rds, tmp_path)


def ran(rds: Database, statement: str) -> None:
    """A statement of the master user."""
    answer = rds.server.query(statement)
    assert answer.returncode == 0, answer.stderr


@contextmanager
def changed(rds: Database, change: str, back: str) -> Generator[None]:
    ran(rds, change)
    try:
        yield
    finally:
        ran(rds, back)


@pytest.mark.check("database-reach", broken=False)
@pytest.mark.check("database-databases", broken=False)
@pytest.mark.check("database-tables", broken=False)
@pytest.mark.check("database-rows", broken=False)
def test_a_right_platform_passes_by_one_pod(pods: Pods) -> None:
    findings = examined(pods, *CHECKS)
    assert problems(findings) == []
    assert len(pods.printed) == 1
    text = {f"{each.about}: {each.sentence}" for each in findings if each.level is Level.GOOD}
    assert f"database metadb: has the {len(users()['metadata'].tables)} tables of metadata" in text
    assert any(each.startswith("metadb.Artifact: ") for each in text)
    assert any(each.startswith("metadb.Execution: ") for each in text)
    assert any(each.startswith("kubeflow.observation_logs: ") for each in text)
    (login,) = [each for each in text if each.startswith("user of cache: cache@% logs in to MySQL")]
    assert login.endswith(", and not without TLS")
    notes = [each.about for each in findings if each.level is Level.NOTE]
    assert notes == ["mlpipeline.experiments", "mlpipeline.run_details", "cachedb.execution_caches"]


def test_rows_of_a_trial_are_read(pods: Pods) -> None:
    statement = "SELECT metric_name, value FROM kubeflow.observation_logs WHERE trial_name = "
    found = rows(platform(pods), "katib", f"{statement}'{TRIAL}' ORDER BY id")
    assert found[:2] == [["loss", "0.9"], ["loss", "0.4"]]


BROKEN = {
    "a missing table": (
        database_tables,
        "RENAME TABLE kubeflow.observation_logs TO kubeflow.elsewhere",
        "RENAME TABLE kubeflow.elsewhere TO kubeflow.observation_logs",
        "database kubeflow: lacks observation_logs of its 1 table: restart Deployment",
    ),
    "no rows of it": (
        database_rows,
        "RENAME TABLE kubeflow.observation_logs TO kubeflow.elsewhere",
        "RENAME TABLE kubeflow.elsewhere TO kubeflow.observation_logs",
        "kubeflow.observation_logs: cannot be read: ERROR 1146",
    ),
    "a missing right": (
        database_databases,
        "REVOKE INSERT ON kubeflow.* FROM katib@'%'",
        "GRANT INSERT ON kubeflow.* TO katib@'%'",
        "database kubeflow: katib lacks INSERT in it",
    ),
    "no right at all": (
        database_databases,
        "REVOKE SELECT, INSERT, DELETE, CREATE ON kubeflow.* FROM katib@'%'",
        "GRANT SELECT, INSERT, DELETE, CREATE ON kubeflow.* TO katib@'%'",
        "database kubeflow: is missing, or katib may not see it",
    ),
    "another database": (
        database_databases,
        "GRANT SELECT ON mlpipeline.* TO katib@'%'",
        "REVOKE SELECT ON mlpipeline.* FROM katib@'%'",
        "database kubeflow: katib may use mlpipeline too",
    ),
    "every database": (
        database_databases,
        "GRANT PROCESS ON *.* TO cache@'%'",
        "REVOKE PROCESS ON *.* FROM cache@'%'",
        "database cachedb: cache may use every database too",
    ),
    "no TLS asked for": (
        database_reach,
        "ALTER USER cache@'%' REQUIRE NONE",
        "ALTER USER cache@'%' REQUIRE SSL",
        "and without TLS too: a higher kubeflow:database.rotation with",
    ),
    "TLS asked of Katib": (
        database_reach,
        "ALTER USER katib@'%' REQUIRE SSL",
        "ALTER USER katib@'%' REQUIRE NONE",
        "and is refused without TLS (ERROR 1045",
    ),
    "an old password": (
        database_reach,
        "ALTER USER metadata@'%' IDENTIFIED BY 'of_the_rotation_before'",
        "ALTER USER metadata@'%' IDENTIFIED BY 'passwordOfmetadata1'",
        "its password in Secret database-init-1 is not the one in the database",
    ),
}


@pytest.mark.check("database-reach", broken=True)
@pytest.mark.check("database-databases", broken=True)
@pytest.mark.check("database-tables", broken=True)
@pytest.mark.check("database-rows", broken=True)
@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_named(pods: Pods, name: str) -> None:
    check, change, back, sentence = BROKEN[name]
    with changed(pods.rds, change, back):
        (problem,) = problems(examined(pods, check))
    assert sentence in problem


@pytest.mark.check("database-reach", broken=True)
@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("port=1", "the host refuses connections: the instance is down or restarts"),
        ("host=nowhere.invalid", "no pod finds the host"),
        ("ssl-ca=OTHER", "the server's certificate is not accepted"),
    ],
)
def test_a_server_that_is_stopped_unknown_or_another_one(
    pods: Pods, tmp_path: Path, line: str, sentence: str
) -> None:
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other", "another authority")
    file = pods.secrets() / "client.cnf"
    file.write_text(f"{file.read_text()}{line.replace('OTHER', str(other.file))}\n")
    told = problems(examined(pods, database_reach))
    assert sentence in told[0]
    assert len(told) == len(users())


@pytest.mark.check("database-reach", broken=True)
def test_a_secret_without_a_users_file_is_named(pods: Pods) -> None:
    (pods.secrets() / "katib.cnf").unlink()
    (problem,) = problems(examined(pods, database_reach))
    assert "Secret database-init-1 has no option file of it" in problem
