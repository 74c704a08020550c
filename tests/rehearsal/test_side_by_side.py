"""Two stacks in one account, one VPC and one build account come up and go in any order."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import yaml

import program
from rehearsal.account import Account
from rehearsal.engine import Rehearsal
from rehearsal.providers import Simulation
from rehearsal.sample_outputs.existing_network import network_of
from tests.judges.plans import ROOT, whole_program, without_objects
from tests.rehearsal.conftest import steps

pytestmark = pytest.mark.engine

STACK = "cn-north-1"
VPC: dict[str, Any] = {
    "vpcId": "vpc-0123456789abcdef0",
    "privateSubnetIds": ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
}
Begin = Callable[[str], AbstractContextManager[Rehearsal]]


@pytest.fixture
def begin(cli: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Begin:
    """Starts a rehearsal of a stack that differs from the others in its cluster's name only."""
    (tmp_path / "Pulumi.yaml").write_bytes((ROOT / "Pulumi.yaml").read_bytes())
    shipped: dict[str, Any] = yaml.safe_load((ROOT / f"Pulumi.{STACK}.yaml").read_text())
    monkeypatch.setattr(program, "render_stack", without_objects(program.render_stack))

    def start(name: str) -> AbstractContextManager[Rehearsal]:
        config = {
            **shipped["config"],
            "kubeflow:cluster": {**shipped["config"]["kubeflow:cluster"], "name": name},
            "kubeflow:network": VPC,
            # Nothing stays that the next life of the same stack would find.
            "kubeflow:deletionProtection": False,
            "kubeflow:artifacts": {"retainOnDelete": False},
        }
        (tmp_path / f"Pulumi.{name}.yaml").write_text(yaml.safe_dump({"config": config}))
        return Rehearsal(
            project=tmp_path,
            stack=name,
            build=tmp_path / "build" / name,
            pulumi=cli,
            simulation=Simulation(
                region=STACK,
                journal=str(tmp_path / "account.jsonl"),
                network=network_of(STACK, VPC["vpcId"], VPC["privateSubnetIds"]),
            ),
            program=whole_program,
        ).started()

    return start


def test_each_stack_comes_and_goes_beside_the_other(begin: Begin, tmp_path: Path) -> None:
    journal = tmp_path / "account.jsonl"
    with begin("kubeflow") as one, begin("kubeflow-dev") as two:
        assert set(one.up().changes) == {"create"}
        for first, second in ((one, two), (two, one)):
            before = Account(journal).existing
            # Its second life finds the log group that EKS has made again.
            assert set(second.up().changes) - {"update"} == {"create"}
            own = Account(journal).existing - before
            first.destroy()
            assert own <= Account(journal).existing
            assert steps(second.preview()) == []
