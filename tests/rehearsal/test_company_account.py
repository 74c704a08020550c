"""A stack in a company's account, on the real engine: its rules for IAM, and short sessions."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml

from rehearsal.account import Account
from rehearsal.engine import EngineFailure, Rehearsal
from rehearsal.providers import Simulation, serve
from settings.errors import CREDENTIALS_ENDED
from tests.faults.attached import ChangedAws, attach
from tests.faults.interrupted import ROOT, STACK, program

pytestmark = pytest.mark.engine

BOUNDARY = "arn:aws-cn:iam::111122223333:policy/boundary"
ROLE = "arn:aws-cn:iam::111122223333:role/up"
COMPANY: dict[str, Any] = {
    "kubeflow:iam": {
        "permissionsBoundary": BOUNDARY,
        "path": "/team/ml/",
        "buildPermissionsBoundary": "none",
    },
    "aws:profile": "ops",
    "aws:assumeRole": {"roleArn": ROLE},
}


class ShortSession(ChangedAws):
    """AWS, for which the session has ended after so many changes.

    Attributes:
        left: changes.
    """

    left = 0

    def change(self, method: str, request: Any, context: Any) -> Any:
        """The change, or AWS's error."""
        self.left -= 1
        if self.left < 0:
            fault = f"operation error: ExpiredToken: The security token is expired {request.name}"
            return context.abort(grpc.StatusCode.UNKNOWN, fault)
        return super().change(method, request, context)


def test_credentials_may_end_in_a_run_and_every_role_is_as_the_company_demands(
    cli: Path, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "Pulumi.yaml").write_bytes((ROOT / "Pulumi.yaml").read_bytes())
    stack = yaml.safe_load((ROOT / f"Pulumi.{STACK}.yaml").read_text())
    stack["config"] |= COMPANY
    (project / f"Pulumi.{STACK}.yaml").write_text(yaml.safe_dump(stack))
    journal = tmp_path / "cloud.jsonl"
    simulation = Simulation(region=STACK, journal=str(journal))
    clouds = ShortSession(simulation, Account(journal))
    server, port = serve(clouds)
    rehearsal = Rehearsal(
        project=project,
        stack=STACK,
        build=tmp_path / "build",
        pulumi=cli,
        simulation=simulation,
        program=partial(program, 1),
    )
    with rehearsal.started():
        attach(rehearsal, aws=port)
        clouds.left = 40
        with pytest.raises(EngineFailure) as failed:
            rehearsal.up()
        said = [
            problem
            for problem in failed.value.problems
            if "xpired" in problem or "ended" in problem
        ]
        assert said == [CREDENTIALS_ENDED[0].upper() + CREDENTIALS_ENDED[1:]]
        clouds.left = 10_000
        outcome = rehearsal.up()
        assert set(rehearsal.preview().changes) == {"same"}
    server.stop(None)
    assert outcome.changes["same"] > 20
    roles = [each for each in outcome.resources if each.type == "aws:iam/role:Role"]
    assert any(role.name.endswith("eksRole-role") for role in roles)
    made = [name for type_, _, name in Account(journal).existing if type_ == "aws:iam/role:Role"]
    assert len(made) == len(roles)
    (state,) = (tmp_path / "build").glob(f"state/.pulumi/stacks/*/{STACK}.json")
    resources = json.loads(state.read_text())["checkpoint"]["latest"]["resources"]
    by_type: dict[str, list[Any]] = {}
    for resource in resources:
        by_type.setdefault(resource["type"], []).append(resource)
    for role in by_type["aws:iam/role:Role"]:
        assert role["outputs"]["permissionsBoundary"] == BOUNDARY, role["urn"]
        assert role["outputs"]["arn"].startswith("arn:aws-cn:iam::111122223333:role/team/ml/")
    (cluster,) = by_type["aws:eks/cluster:Cluster"]
    assert ":role/team/ml/" in cluster["inputs"]["roleArn"]
    (component,) = by_type["eks:index:Cluster"]
    login = json.loads(component["outputs"]["kubeconfigJson"])["users"][0]["user"]["exec"]["args"]
    assert login[-4:] == ["--role", ROLE, "--profile", "ops"]
