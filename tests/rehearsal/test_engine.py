"""The real engine on simulated clouds: preview, up, change, up again, refresh, destroy."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pulumi
import pulumi_aws as aws
import pytest
import yaml

from rehearsal import plan, protocol
from rehearsal.engine import EngineFailure, Outcome
from rehearsal.recording import Planned
from rehearsal.report import output_lines
from tests.harness import TRUST
from tests.rehearsal.conftest import Started, steps

pytestmark = pytest.mark.engine

EVERYTHING = 18
"""Registered by the tiny program and by the cluster's component, providers included."""


def only(outcome: Outcome, name: str) -> Planned:
    (resource,) = [planned for planned in outcome.resources if planned.name == name]
    return resource


def configure(project: Path, **values: str) -> None:
    path = project / "Pulumi.tiny.yaml"
    text = path.read_text()
    for line in text.splitlines():
        for key, value in values.items():
            if line.strip().startswith(f"tiny:{key}:"):
                text = text.replace(line, f"  tiny:{key}: {value}")
    path.write_text(text)


def test_up_shows_every_output_in_a_line_that_pastes_and_no_secret(started: Started) -> None:
    with started() as rehearsal:
        before, after = rehearsal.preview(), rehearsal.up()
    assert output_lines(before) == []
    shown = dict(line.split(maxsplit=1) for line in output_lines(after))
    assert shown["password"] == "[secret]"
    assert shown["roles"] == "(2 names)"
    assert re.fullmatch(r"arn:aws-cn:iam::\d{12}:role/\S+", shown["role"])
    assert after.outputs["password"] == "[secret]"


def test_a_stack_is_previewed_made_changed_left_alone_and_destroyed(
    started: Started, project: Path
) -> None:
    with started() as rehearsal:
        assert rehearsal.preview().changes == {"create": EVERYTHING}
        assert rehearsal.up().changes == {"create": EVERYTHING}
        assert rehearsal.up().changes == {"same": EVERYTHING}
        assert set(rehearsal.refresh().changes) == {"same"}
    configure(project, seconds="60")
    with started() as rehearsal:
        names = {(operation, name) for operation, _, name in steps(rehearsal.preview())}
        assert names == {("update", "queue"), ("update", "default/thing")}
        changed = rehearsal.up()
        assert changed.changes == {"same": EVERYTHING - 2, "update": 2}
        assert rehearsal.up().changes == {"same": EVERYTHING}
        assert rehearsal.destroy().changes == {"delete": EVERYTHING}
        assert rehearsal.preview().changes == {"create": EVERYTHING}


def test_a_property_the_cloud_cannot_change_makes_a_replacement(
    started: Started, project: Path
) -> None:
    with started() as rehearsal:
        rehearsal.up()
    configure(project, engine="postgres")
    with started() as rehearsal:
        changes = steps(rehearsal.preview())
    assert [name for operation, _, name in changes if operation == "replace"] == ["database"]


def test_the_plan_has_late_values_and_the_children_of_the_cluster_but_no_secret(
    started: Started, tmp_path: Path
) -> None:
    with started() as rehearsal:
        outcome = rehearsal.preview()
        rehearsal.up()
    written = "".join(
        path.read_text()
        for path in plan.write(tmp_path / "plan", outcome.resources, {}, lambda _: "")
    )
    assert "arn:aws-cn:iam::111122223333:role/role-" in written
    assert only(outcome, "roles").inputs["data"]["far"].startswith("arn:aws:iam::")
    cluster = only(outcome, "cluster-eksCluster")
    assert cluster.parent == only(outcome, "cluster").urn
    assert cluster.inputs["vpcConfig"]["subnetIds"] == ["subnet-1", "subnet-2"]
    assert only(outcome, "default/thing").inputs["spec"]["anything"] == ["goes", {"here": True}]
    assert only(outcome, "roles").urn in only(outcome, "default/thing").dependencies
    assert only(outcome, "database").inputs["password"] == protocol.MASK
    everything = [path for path in (tmp_path / "build").rglob("*") if path.is_file()]
    state = b"".join(path.read_bytes() for path in everything)
    assert b"entangler" in state
    assert b"correct-horse-battery" not in state + written.encode()


def test_a_later_run_has_the_salt_that_the_secrets_of_the_first_need(
    started: Started, tmp_path: Path
) -> None:
    file = tmp_path / "build" / "project" / "Pulumi.tiny.yaml"
    with started() as rehearsal:
        rehearsal.up()
    first = yaml.safe_load(file.read_text())["encryptionsalt"]
    with started() as rehearsal:
        rehearsal.preview()
    assert yaml.safe_load(file.read_text())["encryptionsalt"] == first


def test_a_text_of_digits_in_the_stack_file_is_one_to_the_engine(
    started: Started, project: Path, tmp_path: Path
) -> None:
    file = project / "Pulumi.tiny.yaml"
    file.write_text(f"{file.read_text('utf-8')}  tiny:account: {{id: '012345678909'}}\n", "utf-8")
    found: list[object] = []

    def program() -> None:
        found.append(pulumi.Config("tiny").require_object("account"))

    with started(program) as rehearsal:
        rehearsal.preview()
    assert found == [{"id": "012345678909"}]


def test_the_passphrase_is_the_builders_own_and_the_checkout_stays_clean(
    started: Started, project: Path, tmp_path: Path
) -> None:
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    with started() as rehearsal:
        rehearsal.preview()
    after = {
        path: path.read_bytes()
        for path in project.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert after == before
    assert stat.S_IMODE((tmp_path / "build" / "passphrase").stat().st_mode) == 0o600


def test_a_preview_can_answer_like_a_cloud_that_has_made_nothing_yet(started: Started) -> None:
    with started(unknowns=True) as rehearsal:
        outcome = rehearsal.preview()
    assert outcome.changes == {"create": EVERYTHING}
    assert only(outcome, "roles").inputs["data"]["here"] == protocol.UNKNOWN


def test_the_engine_stops_at_an_input_the_sdk_does_not_know(started: Started) -> None:
    def program() -> None:
        pulumi.CustomResource("aws:iam/role:Role", "role", {"assumeRolePolicyy": "{}"})

    with started(program) as rehearsal, pytest.raises(EngineFailure) as failed:
        rehearsal.preview()
    assert failed.value.problems == [
        "aws:iam/role:Role resource 'role': property assumeRolePolicy is required by Role",
        (
            "aws:iam/role:Role resource 'role': property assumeRolePolicyy is no property of Role; "
            "did you mean assumeRolePolicy?"
        ),
    ]


def raises_at_once() -> None:
    raise pulumi.RunError("The sky is not the limit.")


def raises_later() -> None:
    def fail(_: str) -> str:
        raise pulumi.RunError("The sky is not the limit.")

    pulumi.export("arn", aws.iam.Role("role", assume_role_policy=TRUST).arn.apply(fail))


@pytest.mark.parametrize("program", [raises_at_once, raises_later])
def test_a_program_that_fails_says_so_in_its_own_sentence(
    started: Started, program: object
) -> None:
    with started(program) as rehearsal, pytest.raises(EngineFailure) as failed:
        rehearsal.preview()
    assert failed.value.problems == ["The sky is not the limit."]


def test_a_call_no_table_answers_names_the_call_and_the_way_out(started: Started) -> None:
    def program() -> None:
        pulumi.export("policy", aws.iam.get_policy_output(name="x").arn)

    with started(program) as rehearsal, pytest.raises(EngineFailure) as failed:
        rehearsal.preview()
    # The SDK may add that it was interrupted.
    problem = next(each for each in failed.value.problems if "aws:iam/getPolicy:getPolicy" in each)
    assert "rehearsal/sample_outputs" in problem
