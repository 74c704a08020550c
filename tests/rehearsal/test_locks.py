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
from tests.harness import TRUST
from tests.rehearsal.conftest import Started
from toolchain.file_backend import Lock, lock_files

LOCK_FOLDER = ".pulumi/locks/organization/tiny/tiny"
SLEEPING = """
import sys, time
from pathlib import Path
import pulumi_aws as aws
from rehearsal.engine import Rehearsal
from rehearsal.providers import Simulation
from tests.harness import TRUST

def program():
    role = aws.iam.Role("made", name="made", assume_role_policy=TRUST)
    role.id.apply(lambda _: time.sleep(300))

project, build, pulumi = (Path(each) for each in sys.argv[1:])
rehearsal = Rehearsal(
    project=project, stack="tiny", build=build, pulumi=pulumi,
    simulation=Simulation(region="cn-north-1"), program=program,
)
with rehearsal.started():
    rehearsal.up()
"""


def test_the_lock_of_another_machine_is_refused(started: Started, tmp_path: Path) -> None:
    path = tmp_path / "build" / "state" / LOCK_FOLDER / "a-lock.json"
    path.parent.mkdir(parents=True)
    content = {"pid": 1, "username": "me", "hostname": "there", "timestamp": "2026-11-28T08:00:00Z"}
    path.write_text(json.dumps(content))
    with pytest.raises(EngineFailure, match=r"tiny is locked by me@there \(process 1\)"), started():
        pytest.fail("two runs at once")
    assert path.exists()


@contextmanager
def running(project: Path, build: Path, cli: Path) -> Generator[subprocess.Popen[bytes]]:
    """An ``up`` in a process group of its own, as soon as it has made its role.

    Its lock alone is no sign of the ``up``: making the stack takes one, too, and gives it back.
    """
    command = [sys.executable, "-c", SLEEPING, *map(str, (project, build, cli))]
    with subprocess.Popen(command, start_new_session=True) as process:
        while not any("iam/role" in path.read_text() for path in build.glob("account*.jsonl")):
            assert process.poll() is None
            time.sleep(0.1)
        assert list((build / "state").glob(f"{LOCK_FOLDER}/*.json"))
        try:
            yield process
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            # The lock's owner is the engine, a child of the process, which ends a moment later.
            while any(Lock.of(path.read_bytes()).alive for path in lock_files(build / "state")):
                time.sleep(0.1)


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
    assert sentence.startswith("tiny is locked by ")
    assert f"@{socket.gethostname()} (process " in sentence
    assert sentence.endswith("wait for the end of that run, or stop it and start again.")


def made_role() -> None:
    aws.iam.Role("made", name="made", assume_role_policy=TRUST)


@pytest.mark.engine
def test_up_works_after_one_that_was_killed_when_it_had_made_something(
    started: Started, project: Path, tmp_path: Path, cli: Path
) -> None:
    build = tmp_path / "build"
    with running(project, build, cli):
        # As where the kill comes while the state is written.
        (torn,) = (build / "state").rglob("tiny.json.attrs")
        torn.write_bytes(b"")
    with started(made_role) as rehearsal:
        assert set(rehearsal.up().changes) == {"create"}
        assert set(rehearsal.up().changes) == {"same"}
