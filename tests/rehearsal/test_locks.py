"""A rehearsal after one that was killed, and beside one that still runs."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pulumi_aws as aws
import pytest

from rehearsal.engine import EngineFailure
from rehearsal.locks import held_locks
from tests.rehearsal.conftest import Started

LOCK_FOLDER = ".pulumi/locks/organization/tiny/tiny"
SLEEPING = """
import sys, time
from pathlib import Path
import pulumi_aws as aws
from rehearsal.engine import Rehearsal
from rehearsal.providers import Simulation

def program():
    aws.iam.Role("made", name="made", assume_role_policy="{}").id.apply(lambda _: time.sleep(300))

project, build, pulumi = (Path(each) for each in sys.argv[1:])
rehearsal = Rehearsal(
    project=project, stack="tiny", build=build, pulumi=pulumi,
    simulation=Simulation(region="cn-north-1"), program=program,
)
with rehearsal.started():
    rehearsal.up()
"""


def locked_by(state: Path, pid: int, host: str) -> Path:
    path = state / LOCK_FOLDER / "a-lock.json"
    path.parent.mkdir(parents=True)
    content = {"pid": pid, "username": "me", "hostname": host, "timestamp": "2026-11-28T08:00:00Z"}
    path.write_text(json.dumps(content))
    return path


def dead_process() -> int:
    with subprocess.Popen(["true"]) as ended:
        return ended.pid


@pytest.mark.parametrize(
    ("process", "host", "held"),
    [
        ("ended", socket.gethostname(), False),
        # The number was given to another program since.
        ("of another program", socket.gethostname(), False),
        ("ended", "another-machine", True),
    ],
    ids=["dead", "another program", "another machine"],
)
def test_only_the_lock_of_a_dead_process_of_this_machine_is_lifted(
    tmp_path: Path, process: str, host: str, held: bool
) -> None:
    path = locked_by(tmp_path, dead_process() if process == "ended" else os.getpid(), host)
    assert [lock.hostname for lock in held_locks(tmp_path)] == [host] * held
    assert path.exists() == held


@contextmanager
def running(project: Path, build: Path, cli: Path) -> Generator[subprocess.Popen[bytes]]:
    """An ``up`` in a process group of its own, as soon as it has the stack's lock."""
    command = [sys.executable, "-c", SLEEPING, *map(str, (project, build, cli))]
    with subprocess.Popen(command, start_new_session=True) as process:
        while not list((build / "state").glob(f"{LOCK_FOLDER}/*.json")):
            assert process.poll() is None
            time.sleep(0.1)
        try:
            yield process
        finally:
            os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.engine
def test_a_second_run_at_once_is_refused_in_one_sentence_that_names_the_first(
    started: Started, project: Path, tmp_path: Path, cli: Path
) -> None:
    with (
        running(project, tmp_path / "build", cli),
        pytest.raises(EngineFailure) as refused,
        started(),
    ):
        pytest.fail("two runs at once")
    (sentence,) = refused.value.problems
    assert sentence.startswith("tiny is locked since 20")
    assert f"on {socket.gethostname()}: wait for the end of that run" in sentence


def made_role() -> None:
    aws.iam.Role("made", name="made", assume_role_policy="{}")


@pytest.mark.engine
def test_up_works_after_one_that_was_killed_when_it_had_made_something(
    started: Started, project: Path, tmp_path: Path, cli: Path
) -> None:
    build = tmp_path / "build"
    with running(project, build, cli):
        while not any("iam/role" in path.read_text() for path in build.glob("account*.jsonl")):
            time.sleep(0.1)
    with started(made_role) as rehearsal:
        assert set(rehearsal.up().changes) == {"create"}
        assert set(rehearsal.up().changes) == {"same"}
