"""`./kf resume` on the real Pulumi CLI, with a state and a lock as a killed run leaves them."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import typer
from moto import mock_aws

from ops.pending_operations import Deployment
from ops.pulumi_cli import PulumiCli
from ops.resume import lift_lock, settle
from rehearsal.providers import Simulation
from rehearsal.recording import Recorder
from rehearsal.simulated import simulated_clouds
from tests.rehearsal.conftest import Started

pytestmark = pytest.mark.engine

# What was being made, which nothing else in the state needs.
PENDING = {
    "queue": "creating",  # exists
    "database": "creating",  # does not
    "entangler": "creating",  # of a type without look-up
    "login": "creating",  # an object
    "role": "updating",
}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("MOTO_ACCOUNT_ID", "111122223333")
    with mock_aws():
        yield


@pytest.fixture
def pulumi(cli: Path, project: Path, tmp_path: Path) -> Iterator[PulumiCli]:
    """The CLI as a person has it, on the simulated clouds of the rehearsal."""
    build = tmp_path / "build"
    simulation = Simulation(region="cn-north-1", journal=str(build / "account.jsonl"))
    with simulated_clouds(simulation, Recorder, project) as listening:
        environment = {
            "PULUMI_BACKEND_URL": (build / "state").as_uri(),
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(build / "passphrase"),
            "PULUMI_HOME": str(build / "home"),
            "PULUMI_DEBUG_PROVIDERS": listening(),
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        }
        yield PulumiCli(cli, build / "project", "tiny", environment)


def interrupted(build: Path) -> dict[str, str]:
    """Edit the state as if a run had been killed; name -> URN of what is pending."""
    file = build / "state/.pulumi/stacks/tiny/tiny.json"
    content: dict[str, Any] = json.loads(file.read_text())
    state = content["checkpoint"]["latest"]
    operations: list[dict[str, Any]] = []
    for resource in list(state["resources"]):
        kind = PENDING.get(resource["urn"].rsplit("::", 1)[-1])
        if kind:
            if kind == "creating":
                state["resources"].remove(resource)
            made = ("id", "outputs", "created", "modified") if kind == "creating" else ()
            kept = {key: value for key, value in resource.items() if key not in made}
            operations.append({"resource": kept, "type": kind})
    state["pending_operations"] = operations
    file.write_text(json.dumps(content))
    return {
        operation["resource"]["urn"].rsplit("::", 1)[-1]: operation["resource"]["urn"]
        for operation in operations
    }


def in_account(build: Path, type_: str, *, id_: str = "", exists: bool = True) -> None:
    """Adds a thing of an id to the simulated account, or takes all of the type out of it."""
    journal = build / "account.jsonl"
    changes = [json.loads(line) for line in journal.read_text().splitlines()]
    types = (type_, f"{type_} named")
    own = [(each["type"], each["id"]) for each in changes if each.get("type") in types]
    with journal.open("a") as file:
        for kind, each in [(type_, id_)] if id_ else own:
            change = {"type": kind, "region": "cn-north-1", "id": each, "exists": exists}
            file.write(f"{json.dumps(change)}\n")


def lock(build: Path, pid: int, hostname: str) -> Path:
    folder = build / "state/.pulumi/locks/organization/tiny/tiny"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "0aa0.json"
    owner = {"pid": pid, "username": "ann", "hostname": hostname}
    file.write_text(json.dumps({**owner, "timestamp": "2026-11-28T21:32:57.031385869Z"}))
    return file


def test_a_killed_run_is_resumed_on_the_real_engine(
    aws: None,
    started: Started,
    pulumi: PulumiCli,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with started() as rehearsal:
        rehearsal.up()
    urns = interrupted(build := tmp_path / "build")
    assert set(urns) == set(PENDING)
    in_account(build, "aws:rds/instance:Instance", exists=False)
    ended = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    locked = lock(build, int(ended.stdout), socket.gethostname())
    create: Any = boto3.client("sqs", region_name="cn-north-1")
    pending = {each.urn: each.inputs for each in Deployment(pulumi.export()).operations}
    url = create.create_queue(QueueName=pending[urns["queue"]]["name"])["QueueUrl"]

    lift_lock(pulumi, take_over=False, dry_run=True)
    assert locked.exists()
    lift_lock(pulumi, take_over=False, dry_run=False)
    assert not locked.exists()

    (left,) = settle(pulumi, {}, set(), dry_run=False)
    assert left.operation.label == "aws:quantum/entangler:Entangler entangler"
    assert len(Deployment(pulumi.export()).operations) == len(PENDING)

    assert settle(pulumi, {}, {urns["entangler"]}, dry_run=False) == []
    after = Deployment(pulumi.export())
    assert after.operations == []
    assert after.ids[urns["queue"]] == {url}
    assert not {urns["database"], urns["entangler"], urns["login"]} & set(after.ids)
    shown = capsys.readouterr().err
    assert f"creating aws:sqs/queue:Queue queue: taken into the state ({url})" in shown
    assert "correct-horse-battery" not in shown

    with started() as rehearsal:
        operations = rehearsal.up().operations
    created = {urn for urn, done in operations.items() if done == "create"}
    assert created == {urns["database"], urns["entangler"], urns["login"]}


def test_a_reading_that_fails_is_repeated_by_the_next_call(
    aws: None, started: Started, pulumi: PulumiCli, tmp_path: Path
) -> None:
    with started() as rehearsal:
        rehearsal.up()
    urns = interrupted(tmp_path / "build")
    decided = {urns[name]: "of-a-person" for name in ("queue", "entangler")}
    in_account(tmp_path / "build", "aws:sqs/queue:Queue", id_="of-a-person")
    in_account(tmp_path / "build", "aws:quantum/entangler:Entangler", id_="of-a-person")
    unplugged = {**(pulumi.environment or {}), "PULUMI_DEBUG_PROVIDERS": "aws:1"}
    broken = PulumiCli(pulumi.program, pulumi.folder, pulumi.stack, unplugged)
    with pytest.raises(typer.Exit):
        settle(broken, decided, set(), dry_run=False)
    assert set(Deployment(pulumi.export()).unread) == set(decided)
    assert settle(pulumi, {}, set(), dry_run=False) == []
