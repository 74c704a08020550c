"""Katib's database manager stores observations in RDS, with what we render for it."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Generator

import grpc
import pytest

from ops.verification.checks.katib import statement
from tests.cluster.api_server import built
from tests.consumers.database import Database
from tests.consumers.katib_api import call, is_healthy
from tests.consumers.programs import KATIB_DB_MANAGER
from tests.database_users import users
from tests.rendering.beijing import kubeflow

TRIAL = "random-experiment-7xkq"
LOGS = [
    {"time_stamp": f"2026-11-29T10:0{minute}:00Z", "metric": {"name": name, "value": value}}
    for minute, name, value in ((0, "loss", "0.9"), (1, "loss", "0.4"), (1, "accuracy", "0.8"))
]


def free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


@pytest.fixture(scope="module")
def manager(rds: Database, tmp_path_factory: pytest.TempPathFactory) -> Generator[grpc.Channel]:
    """The running program; its own port is fixed, so it gets another one by its flag."""
    folder, address = tmp_path_factory.mktemp("katib"), free_address()
    arguments, variables = rds.pod(kubeflow(), "katib-db-manager", folder)
    program = built(KATIB_DB_MANAGER, print)
    command = rds.command(str(program), *arguments, f"--listen-address={address}")
    log = folder / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, env={"PATH": os.environ["PATH"], **variables}, stdout=file, stderr=file
        )
        try:
            with grpc.insecure_channel(address) as channel:
                assert is_healthy(channel), log.read_text()
                yield channel
        finally:
            process.terminate()
            process.wait(timeout=30)


def logs_of(manager: grpc.Channel, **request: str) -> list[object]:
    reply = call(manager, "GetObservationLog", {"trial_name": TRIAL, **request})
    return reply.get("observation_log", {}).get("metric_logs", [])


def rows_of(rds: Database, statement: str) -> tuple[int, str]:
    """The answer to a statement of Katib's own user, who connects without TLS as Katib does."""
    return rds.job.query("katib", f"USE {users()['katib'].database}; {statement}", tls=False)


def test_observations_are_written_read_and_deleted(manager: grpc.Channel, rds: Database) -> None:
    report = {"trial_name": TRIAL, "observation_log": {"metric_logs": LOGS}}
    call(manager, "ReportObservationLog", report)
    assert len(logs_of(manager)) == 3
    assert logs_of(manager, metric_name="accuracy") == [LOGS[2]]
    assert logs_of(manager, metric_name="loss", start_time="2026-11-29T10:00:30Z") == [LOGS[1]]
    assert rows_of(rds, "SELECT count(*) FROM observation_logs") == (0, "3\n")
    # As ./kf verify counts them, who else is asked for has none.
    asked = statement(users()["katib"].database, [TRIAL, "another-trial"])
    assert rds.job.query("katib", asked, tls=False) == (0, f"{TRIAL}\t3\n")
    call(manager, "DeleteObservationLog", {"trial_name": TRIAL})
    assert logs_of(manager) == []


def test_the_table_is_made_by_a_user_that_may_not_drop_it(
    manager: grpc.Channel, rds: Database
) -> None:
    """DBInit has made it by now, so that no right is missing for the first start."""
    code, answer = rows_of(rds, "DROP TABLE observation_logs")
    assert code != 0
    assert "DROP command denied" in answer
