"""Rows of plan.json say what the engine does with each resource, and with what consequence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from rehearsal import plan
from rehearsal.engine import EngineFailure, Outcome
from rehearsal.protocol import SIGNATURE
from rehearsal.recording import STACK_TYPE
from tests.harness import TRUST
from tests.rehearsal.conftest import Started

pytestmark = pytest.mark.engine

FIRST, SECOND = "correct-horse-battery", "donkey-without-battery"
OLD, NEW = (f"def h(event, context):\n    return {answer}\n" for answer in (1, 2))


def program(
    *, code: Path, later: bool = False, protect: bool = False, engine: str = "mysql"
) -> Callable[[], None]:
    """A few resources; ``later`` changes, replaces and removes some of them."""

    def resources() -> None:
        here = pulumi.ResourceOptions(provider=aws.Provider("beijing", region="cn-north-1"))
        kept = pulumi.ResourceOptions.merge(
            here, pulumi.ResourceOptions(protect=True, retain_on_delete=True)
        )
        aws.iam.Role("kept", assume_role_policy=TRUST, opts=kept)
        aws.iam.Role("named", assume_role_policy=TRUST, description=f"later: {later}", opts=here)
        aws.sqs.Queue("queue", visibility_timeout_seconds=60 if later else 30, opts=here)
        if not later:
            retained = pulumi.ResourceOptions(protect=protect, retain_on_delete=True)
            retained = pulumi.ResourceOptions.merge(here, retained)
            aws.iam.Role("gone", name="gone", assume_role_policy=TRUST, opts=retained)
        database = aws.rds.Instance(
            "database",
            instance_class="db.m6g.large",
            engine="postgres" if later else engine,
            password=pulumi.Output.secret(SECOND if later else FIRST),
            skip_final_snapshot=True,
            opts=pulumi.ResourceOptions.merge(here, pulumi.ResourceOptions(protect=protect)),
        )
        aws.sqs.Queue("behind", name=database.identifier, opts=here)
        aws.lambda_.Function(
            "function",
            role="arn:aws-cn:iam::111122223333:role/r",
            handler="h.h",
            runtime="python3.12",
            environment=None if later else {"variables": {"LANG": "C"}},
            code=pulumi.AssetArchive({"h.py": pulumi.FileAsset(str(code))}),
            opts=here,
        )

    return resources


def rows(outcome: Outcome) -> dict[str, dict[str, Any]]:
    text = plan.plan_json(outcome.resources, outcome.steps)
    assert FIRST not in text
    assert SECOND not in text
    return {row["name"]: row for row in json.loads(text) if row["type"] != STACK_TYPE}


def changes(row: dict[str, Any]) -> dict[str, Any]:
    names = ("operation", "protect", "retain", "before", "replacing")
    return {name: row[name] for name in names if name in row}


SAME = {"operation": "same", "protect": False, "retain": False}


def test_a_row_has_the_operation_and_what_was_before(started: Started, tmp_path: Path) -> None:
    code, moved = tmp_path / "h.py", tmp_path / "moved.py"
    code.write_text(OLD)
    moved.write_text(OLD)
    with started(program(code=code)) as rehearsal:
        first = plan.plan_json((made := rehearsal.preview()).resources, made.steps)
        again = plan.plan_json((made := rehearsal.preview()).resources, made.steps)
        done = rows(rehearsal.up())
    assert first == again
    assert {row["operation"] for row in json.loads(first)} == {"create"}
    assert [row for row in json.loads(first) if {"before", "replacing"} & row.keys()] == []
    assert done == {row["name"]: row for row in json.loads(first)}
    assert changes(done["kept"]) == {"operation": "create", "protect": True, "retain": True}
    with started(program(code=moved)) as rehearsal:
        assert {row["operation"] for row in rows(rehearsal.up()).values()} == {"same"}
        refreshed = rehearsal.refresh()
    assert {step.operation for step in refreshed.steps.values()} == {"same"}
    code.write_text(NEW)
    with started(program(code=code, later=True)) as rehearsal:
        planned, done = rows(rehearsal.preview()), rows(rehearsal.up())
    assert done == planned
    assert changes(planned["kept"]) == {**SAME, "protect": True, "retain": True}
    update = {**SAME, "operation": "update", "replacing": []}
    assert changes(planned["queue"]) == {**update, "before": {"visibilityTimeoutSeconds": 30}}
    # The name is the provider's own.
    policy = planned["named"]["inputs"]["assumeRolePolicy"]
    named = {"assumeRolePolicy": policy, "description": "later: False"}
    assert changes(planned["named"]) == {**update, "before": named}
    row = planned["gone"]
    assert (row["inputs"], row["type"], row["parent"]) == ({}, "aws:iam/role:Role", "")
    assert row["provider"] == planned["queue"]["provider"]
    assert changes(row) == {
        "operation": "delete",
        "protect": False,
        "retain": True,
        "before": {"assumeRolePolicy": policy, "name": "gone"},
        "replacing": [],
    }
    row = planned["database"]
    assert (row["operation"], row["replacing"]) == ("replace", ["engine"])
    assert (row["before"]["engine"], row["inputs"]["engine"]) == ("mysql", "postgres")
    assert (row["before"]["password"], row["inputs"]["password"]) == ("[secret]", "[secret]")
    old, new = (planned["function"][key]["code"] for key in ("before", "inputs"))
    assert old.keys() == new.keys() == {SIGNATURE, "hash"}
    assert old["hash"] != new["hash"]
    assert planned["function"]["before"]["environment"] == {"variables": {"LANG": "C"}}
    assert "environment" not in planned["function"]["inputs"]


def test_a_refused_preview_shows_what_the_engine_refuses(started: Started, tmp_path: Path) -> None:
    code = tmp_path / "h.py"
    code.write_text(OLD)
    with started(program(code=code, protect=True)) as rehearsal:
        rehearsal.up()
    state = (tmp_path / "build" / "state").rglob("*.json")
    before = {path: path.read_bytes() for path in state}
    with (
        started(program(code=code, protect=True, later=True)) as rehearsal,
        pytest.raises(EngineFailure, match=r"database.*protection") as refused,
    ):
        rehearsal.preview()
    assert refused.value.outcome is not None
    planned = rows(refused.value.outcome)
    assert (planned["database"]["operation"], planned["database"]["protect"]) == ("replace", True)
    assert (planned["gone"]["operation"], planned["gone"]["protect"]) == ("delete", True)
    assert (planned["queue"]["operation"], planned["queue"]["protect"]) == ("update", False)
    assert planned["kept"]["protect"] is True
    assert {path: path.read_bytes() for path in before} == before
    assert not (tmp_path / "build" / "unprotected").exists()


@pytest.mark.parametrize("before", [True, False])
def test_a_replacement_that_is_protected_before_or_after_alone_is_not_refused(
    before: bool, started: Started, tmp_path: Path
) -> None:
    code = tmp_path / "h.py"
    code.write_text(OLD)
    with started(program(code=code, protect=before)) as rehearsal:
        rehearsal.up()
    with started(program(code=code, protect=not before, engine="postgres")) as rehearsal:
        row = rows(rehearsal.preview())["database"]
    assert (row["operation"], row["protect"]) == ("replace", False)
