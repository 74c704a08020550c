"""AWS refuses changes at random: the run names each resource and reason, and a second completes."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest

from rehearsal.account import Account
from rehearsal.engine import EngineFailure, Rehearsal
from rehearsal.providers import Simulation, serve
from tests.faults.attached import ChangedAws, attach
from tests.faults.interrupted import ROOT, STACK, program

FAULTS = (
    "ThrottlingException: Rate exceeded",
    "InternalFailure: an internal error occurred, StatusCode: 500",
    "VpcLimitExceeded: The maximum number of VPCs has been reached.",
    "OperationAborted: A conflicting conditional operation is currently in progress",
)


class FailingAws(ChangedAws):
    """AWS, which refuses a share of all changes.

    Attributes:
        share: of the changes, 0 to 1.
        refused: type, name and fault of each that was.
    """

    share = 0.0

    def __init__(self, simulation: Simulation, account: Account, seed: int) -> None:
        super().__init__(simulation, account)
        self._random = random.Random(seed)  # noqa: S311 - no secret
        self.refused: list[tuple[str, str, str]] = []

    def change(self, method: str, request: Any, context: Any) -> Any:
        """The change, or a fault."""
        if self._random.random() < self.share:
            fault = self._random.choice(FAULTS)
            self.refused.append((request.type, request.name, fault))
            return context.abort(grpc.StatusCode.UNKNOWN, fault)
        return super().change(method, request, context)


@pytest.mark.engine
def test_a_run_that_aws_refuses_in_part_names_what_and_why_and_the_next_one_completes(
    cli: Path, tmp_path: Path
) -> None:
    journal = tmp_path / "cloud.jsonl"
    simulation = Simulation(region=STACK, journal=str(journal))
    clouds = FailingAws(simulation, Account(journal), seed=1)
    server, port = serve(clouds)
    for verb, rotation in (("up", 1), ("up", 2), ("destroy", 2)):
        rehearsal = Rehearsal(
            project=ROOT,
            stack=STACK,
            build=tmp_path / "build",
            pulumi=cli,
            simulation=simulation,
            program=partial(program, rotation),
        )
        with rehearsal.started():
            attach(rehearsal, aws=port)
            clouds.share, clouds.refused = 0.2, []
            with pytest.raises(EngineFailure) as failed:
                getattr(rehearsal, verb)()
            said = failed.value.problems
            for _, name, fault in clouds.refused:
                assert [line for line in said if f"{name}:" in line and fault in line], said
            clouds.share = 0
            getattr(rehearsal, verb)()
            if verb == "up":
                assert set(rehearsal.up().changes) == {"same"}
    server.stop(None)
    # The bucket with its key, the final snapshot, secrets within their recovery window, and the log
    # group that EKS makes again.
    services = {
        type_.partition(":")[2].partition("/")[0] for type_, *_ in Account(journal).existing
    }
    assert services == {"cloudwatch", "s3", "kms", "rds", "secretsmanager"}
