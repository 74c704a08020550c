"""`./kf resume` after SIGKILL at random moments: state and cloud are equal, nothing twice or lost.

Real: the engine with its checkpoints, the program, `./kf resume`. Simulated: AWS, which a second
creation gives another identity, and resume's look-ups, which read the simulated account instead.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, cast

import pytest

from ops.aws_lookups import HARMLESS
from ops.aws_lookups.look_up import Thing
from ops.pending_operations import Operation, Settlement, in_words
from ops.pulumi_cli import PulumiCli
from ops.resume import lift_lock, settle
from rehearsal.account import Account
from rehearsal.clouds import SimulatedCloud
from rehearsal.providers import Simulation
from rehearsal.recording import Recorder
from rehearsal.simulated import simulated_clouds
from tests.faults.interrupted import ROOT, STACK

pytestmark = pytest.mark.engine

PHASES = (("up", 1, 110), ("up", 2, 71), ("destroy", 2, 110))
"""Verb, rotation and about how many changes: everything new; all that have tags changed and some
replaced; everything deleted."""
VICTIMS = ("engine", "program", "providers")
KILLS_PER_PHASE = int(os.environ.get("KILLS", "6")) // 6
"""`KILLS=42 pytest tests/faults/test_kills.py` for more: two tests of three phases."""
MOST_ATTEMPTS = 9


class Cloud:
    """One simulated account, and the stack in it."""

    def __init__(self, folder: Path, cli: Path) -> None:
        self.folder = folder
        self.cli = cli
        self.journal = folder / "cloud.jsonl"
        self.rotation = 1

    @property
    def steps(self) -> int:
        """How many changes were begun."""
        file = self.folder / "steps"
        return len(file.read_text().splitlines()) if file.exists() else 0

    @property
    def existing(self) -> set[tuple[str, str]]:
        """Type and id of everything in the account, without what deletions leave behind."""
        left_behind = ("aws:secretsmanager/secret:Secret scheduled", "aws:rds/snapshot:Snapshot")
        return {
            (type_, id_)
            for type_, _, id_ in Account(self.journal).existing
            if not type_.startswith(left_behind)
        }

    def run(self, verb: str, rotation: int) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.faults.interrupted", "run"]
        return subprocess.Popen(
            [*command, str(self.folder), str(self.cli), verb, str(rotation)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def killed(self, verb: str, rotation: int, victim: str, after: int) -> bool:
        """Whether the run was killed once so many changes had begun, before its end."""
        self.rotation = rotation
        before = self.steps
        with self.run(verb, rotation) as run:
            first = cast("IO[str]", run.stdout).readline()
            pids: dict[str, int] = json.loads(first) if first else {}
            while run.poll() is None and self.steps < before + after:
                time.sleep(0.005)
            killed = ended(pids[victim] if victim in pids else engine_below(run.pid))
            try:
                # What comes too late for its victim lets the run end.
                run.wait(20 if killed else None)
            except subprocess.TimeoutExpired:
                os.killpg(run.pid, signal.SIGKILL)
        end(run.pid)
        return killed

    def planned(self) -> list[dict[str, Any]]:
        """What the next `up` would create."""
        return json.loads(self.output("preview", self.rotation).splitlines()[-1])

    def output(self, verb: str, rotation: int) -> str:
        """Of a run to its end."""
        with self.run(verb, rotation) as run:
            output = run.communicate()[0]
        assert run.returncode == 0, output
        return output

    def resumed(self) -> None:
        """As `./kf resume` does on the stack."""
        simulation = Simulation(region=STACK, journal=str(self.journal))
        with simulated_clouds(simulation, Recorder, ROOT) as listening:
            environment = {
                "PULUMI_BACKEND_URL": (self.folder / "state").as_uri(),
                "PULUMI_CONFIG_PASSPHRASE_FILE": str(self.folder / "passphrase"),
                "PULUMI_HOME": str(self.folder / "home"),
                "PULUMI_DEBUG_PROVIDERS": listening(),
                "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            }
            pulumi = PulumiCli(self.cli, self.folder / "project", STACK, environment)
            lift_lock(pulumi, take_over=False, dry_run=False)
            assert list(in_words(settle(pulumi, {}, set(), dry_run=False))) == []

    def in_state(self) -> list[dict[str, Any]]:
        """The AWS resources of the state."""
        (file,) = (self.folder / "state/.pulumi/stacks").rglob(f"{STACK}.json")
        deployment = json.loads(file.read_text())["checkpoint"]["latest"]
        resources: list[dict[str, Any]] = deployment.get("resources") or []
        return [each for each in resources if each["type"].startswith("aws:") and each["custom"]]


def engine_below(pid: int) -> int | None:
    """The CLI that a run has started; None: it has ended."""
    children = Path(f"/proc/{pid}/task").glob("*/children")
    pids = [int(each) for file in children for each in _read(file).split()]
    return next((p for p in pids if _read(Path(f"/proc/{p}/comm")).strip() == "pulumi"), None)


def ended(process: int | None) -> bool:
    """Kills a process; False: it has ended by itself."""
    if process is None:
        return False
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def end(group: int) -> None:
    """Kills what is left of a run; returns when nothing is."""
    with suppress(ProcessLookupError):
        while True:
            os.killpg(group, signal.SIGKILL)
            time.sleep(0.05)


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def comparable(things: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Type and id, without what a second creation replaces.

    AWS drops versions of a secret that are no longer current; the simulated account has them all.
    """
    return sorted((type_, id_) for type_, id_ in things if type_ not in HARMLESS)


@pytest.fixture
def cloud(cli: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """An empty one, which resume's look-ups read by the name of an operation's resource."""
    cloud, region = Cloud(tmp_path, cli), SimulatedCloud(STACK)

    def things(settlement: Settlement, operation: Operation) -> list[Thing]:
        name, type_ = operation.urn.rsplit("::", 1)[-1], operation.type
        attempts = range(MOST_ATTEMPTS)
        described = {region.outputs(type_, name, operation.inputs, each)[0] for each in attempts}
        existing = {id_ for each, id_ in cloud.existing if each == type_}
        owned = {resource["id"] for resource in cloud.in_state()}
        return [Thing(id_) for id_ in sorted(described & existing - owned)]

    monkeypatch.setattr(Settlement, "_things", things)

    def planned(_: PulumiCli) -> list[dict[str, Any]]:
        return cloud.planned()

    monkeypatch.setattr(PulumiCli, "planned", planned)
    return cloud


@pytest.mark.parametrize("seed", [1, 2])
def test_state_and_cloud_are_equal_after_every_kill(seed: int, cloud: Cloud) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secret
    kept: set[tuple[str, str]] = set()
    for verb, rotation, changes in PHASES:
        end = cloud.steps + changes
        if verb == "destroy":
            kept = {
                (r["type"], r["id"])
                for r in cloud.in_state()
                # EKS makes its log group again.
                if r.get("retainOnDelete") or r["id"].startswith("/aws/eks/")
            }
        for _ in range(KILLS_PER_PHASE):
            after = chance.randint(1, max(3, end - cloud.steps))
            victim = chance.choice(VICTIMS)
            if cloud.killed(verb, rotation, victim, after):
                cloud.resumed()
                state = {(each["type"], each["id"]) for each in cloud.in_state()}
                assert comparable(state | kept) == comparable(cloud.existing | kept), (
                    f"{victim} killed after {after} changes of {verb}"
                )
        cloud.output(verb, rotation)
        state = {(each["type"], each["id"]) for each in cloud.in_state()}
        assert comparable(state | kept) == comparable(cloud.existing | kept)
    assert comparable(cloud.existing) == comparable(kept) != []
