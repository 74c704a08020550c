"""Drift, preview and approved `pulumi up`: with the real engine, and with a CLI that acts."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pulumi.runtime.proto import provider_pb2

from docs.ci import live_stack
from docs.ci.live_stack import DIFFERENT, FAILED, Operation, operations_of
from rehearsal.account import Account
from rehearsal.engine import Rehearsal
from rehearsal.providers import SimulatedProvider, Simulation, serve
from tests.rehearsal.conftest import cli, project, started

__all__ = ["cli", "project", "started"]

SECRET = "set-by-hand-7f3a"


class Edited(SimulatedProvider):
    """The clouds after somebody changed a queue, a password, and deleted a role."""

    def Read(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        if request.type == "aws:iam/role:Role" and request.name == "far":
            return provider_pb2.ReadResponse()
        answer = super().Read(request, context)
        edits: dict[str, dict[str, Any]] = {
            "aws:sqs/queue:Queue": {"visibilityTimeoutSeconds": 99},
            "aws:rds/instance:Instance": {"password": SECRET},
        }
        for name, value in edits.get(request.type, {}).items():
            answer.properties[name] = value
            answer.inputs[name] = value
        return answer


@contextmanager
def in_the_stacks_folder(
    rehearsal: Rehearsal, monkeypatch: pytest.MonkeyPatch, cli: Path, folder: Path
) -> Generator[None]:
    """Where a person would call `pulumi`: the CLI on the PATH, the stack's own variables."""
    handle: Any = rehearsal._handle  # pyright: ignore[reportPrivateUsage]
    workspace = handle.workspace
    (folder / "bin").mkdir()
    (folder / "bin/pulumi").symlink_to(cli)
    with monkeypatch.context() as patch:
        for name, value in workspace.env_vars.items():
            patch.setenv(name, value)
        patch.setenv("PULUMI_HOME", workspace.pulumi_home)
        patch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")
        patch.delenv("PULUMI_CONFIG_PASSPHRASE", raising=False)
        patch.chdir(workspace.work_dir)
        yield


@pytest.mark.engine
def test_the_real_engine_finds_what_was_edited_and_no_value_is_shown(
    started: Any,
    cli: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    report = tmp_path / "report.md"
    arguments = ["drift", "--stack", "tiny", "--report", str(report)]
    with started() as rehearsal:
        rehearsal.up()
        state = next((tmp_path / "build/state").rglob("tiny.json"))
        before = state.read_bytes()
        with in_the_stacks_folder(rehearsal, monkeypatch, cli, tmp_path):
            assert live_stack.main(arguments) == 0
            simulation = Simulation(region="cn-north-1")
            server, port = serve(Edited(simulation, Account(tmp_path / "build/account.run.jsonl")))
            attached = os.environ["PULUMI_DEBUG_PROVIDERS"].split(",")
            others = [each for each in attached if not each.startswith("aws:")]
            monkeypatch.setenv("PULUMI_DEBUG_PROVIDERS", ",".join([*others, f"aws:{port}"]))
            monkeypatch.setenv("PULUMI_ENABLE_STREAMING_JSON_PREVIEW", "true")
            summary = tmp_path / "summary.md"
            monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
            assert live_stack.main(arguments) == DIFFERENT
            server.stop(None)
            monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "wrong")
            assert live_stack.main(arguments) == FAILED
        assert state.read_bytes() == before
    output = capfd.readouterr()
    rows = [line for line in report.read_text().splitlines() if line.startswith("| ")][1:]
    assert rows == [
        "| delete | `aws:iam/role:Role far` |  |",
        "| update | `aws:rds/instance:Instance database` | `password` |",
        "| update | `aws:sqs/queue:Queue queue` | `visibilityTimeoutSeconds` |",
    ]
    assert summary.read_text() == report.read_text()
    assert SECRET not in output.out + output.err + report.read_text()
    assert "Stack tiny was not compared. " in output.err
    assert "incorrect passphrase" in output.err


# -- with a CLI that acts -------------------------------------------------------------------------

URN = "urn:pulumi:live::kubeflow::kubeflow:platform:EksCluster$aws:eks/cluster:Cluster::cluster"
STACK = {"op": "update", "urn": "urn:pulumi:live::kubeflow::pulumi:pulumi:Stack::kubeflow-live"}


def step(operation: str, name: str = "", **more: Any) -> dict[str, Any]:
    return {"op": operation, "urn": URN + name, **more}


class Acting:
    """A `pulumi` on the PATH that prints prepared answers in order and notes its arguments."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0
        program = folder / "bin/pulumi"
        program.parent.mkdir()
        program.write_text(
            f"#!/bin/sh\ncd '{folder}'\nn=$(cat calls 2>/dev/null | wc -l)\n"
            'echo "$*" >> calls\ncat "$n.err" >&2\ncat "$n.out"\nexit "$(cat "$n.code")"\n'
        )
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    def answers(self, code: int, out: Any = "", err: str = "") -> None:
        text = out if isinstance(out, str) else json.dumps(out)
        for ending, content in (("code", str(code)), ("out", text), ("err", err)):
            (self.folder / f"{self.count}.{ending}").write_text(content)
        self.count += 1

    def calls(self) -> list[str]:
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def acting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Acting:
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    monkeypatch.chdir(tmp_path)
    return Acting(tmp_path)


QUIET = "--stack live --json --non-interactive --color never"


def test_the_drift_asks_for_no_change(acting: Acting) -> None:
    acting.answers(0, {"steps": [step("refresh"), {**STACK, "op": "refresh"}]})
    assert live_stack.main(["drift", "--stack", "live"]) == 0
    assert acting.calls() == [f"refresh --preview-only --expect-no-changes {QUIET}"]
    text = Path("build/report.md").read_text()
    assert text == "Stack `live`: 0 resources differ from the state.\n\n"


def test_a_stack_without_resources_has_no_drift(acting: Acting) -> None:
    acting.answers(0, {"config": {}, "duration": 1})
    assert live_stack.main(["drift", "--stack", "live"]) == 0


def test_a_key_with_a_bar_stays_in_its_cell(acting: Acting) -> None:
    acting.answers(7, {"steps": [step("update", detailedDiff={'data["a|b`c"]': {}})]})
    live_stack.main(["drift", "--stack", "live"])
    assert '| `data["a\\|b\'c"]` |' in Path("build/report.md").read_text()


@pytest.mark.parametrize("code", [7, 1, 255])
def test_older_clis_say_a_drift_by_another_code(acting: Acting, code: int) -> None:
    error = "error: no changes were expected for refresh but changes were proposed\n"
    acting.answers(code, {"steps": [step("update")]}, error)
    assert live_stack.main(["drift", "--stack", "live"]) == DIFFERENT


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ((6, "", "error: no stack named 'live' found\n"), "error: no stack named 'live' found"),
        ((3, "", "error: PULUMI_ACCESS_TOKEN must be set\n"), "error: PULUMI_ACCESS_TOKEN must"),
        (
            (1, {"diagnostics": [{"severity": "error", "message": "ExpiredToken"}]}, "error: no\n"),
            "ExpiredToken\nerror: no\n",
        ),
        ((0, "no JSON", ""), "pulumi ended with 0."),
    ],
    ids=["no stack", "no login", "expired", "no JSON"],
)
def test_what_was_not_compared_is_no_drift(
    acting: Acting, capfd: pytest.CaptureFixture[str], answer: tuple[int, Any, str], sentence: str
) -> None:
    acting.answers(*answer)
    assert live_stack.main(["drift", "--stack", "live"]) == FAILED
    assert f"Stack live was not compared. {sentence}" in capfd.readouterr().err


def test_without_pulumi_there_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert live_stack.main(["drift", "--stack", "live"]) == FAILED
    assert "There is no `pulumi` on the PATH." in capsys.readouterr().err


REPLACED = [
    step("create-replacement", detailedDiff={"name": {"kind": "update-replace"}}),
    step("replace", diffReasons=["name"]),
    step("delete-replaced"),
]


@pytest.mark.parametrize("steps", [REPLACED, REPLACED[::-1]], ids=["as they come", "backwards"])
def test_the_steps_of_a_replacement_are_one_operation(steps: list[dict[str, Any]]) -> None:
    assert operations_of({"steps": steps}) == [Operation("replace", URN, ("name",))]


def test_an_old_one_that_is_still_to_be_deleted_hides_no_update() -> None:
    found = operations_of({"steps": [step("update"), step("delete")]})
    assert [each.operation for each in found] == ["delete", "update"]


def test_what_stays_is_no_operation() -> None:
    steps = [step("same"), step("read"), step("refresh"), STACK, step("delete", "-2")]
    assert operations_of({"steps": steps}) == [Operation("delete", URN + "-2")]


PREVIEW = {"steps": [step("update", detailedDiff={"version": {}}, newState={"inputs": SECRET})]}


def test_what_was_approved_is_done(acting: Acting, capfd: pytest.CaptureFixture[str]) -> None:
    acting.answers(0, PREVIEW)
    acting.answers(0, PREVIEW)
    acting.answers(0, "Updating (live)\n")
    assert live_stack.main(["preview", "--stack", "live"]) == 0
    assert live_stack.main(["up", "--stack", "live"]) == 0
    quiet = QUIET.replace(" --json", "")
    assert acting.calls() == [
        f"preview {QUIET}",
        f"preview {QUIET}",
        quiet.replace("--stack live", "up --stack live --yes --skip-preview --suppress-outputs"),
    ]
    output = capfd.readouterr()
    assert "| update | `aws:eks/cluster:Cluster cluster` | `version` |" in output.out
    assert SECRET not in output.out + output.err + Path("build/approval.json").read_text()


@pytest.mark.parametrize(
    "later",
    [
        [],
        [step("update", detailedDiff={"version": {}, "name": {}})],
        [step("replace", detailedDiff={"version": {}})],
        [*PREVIEW["steps"], step("delete", "-2")],
    ],
    ids=["nothing", "another property", "a replacement", "a deletion more"],
)
def test_what_nobody_approved_is_not_done(
    acting: Acting, capfd: pytest.CaptureFixture[str], later: list[dict[str, Any]]
) -> None:
    acting.answers(0, PREVIEW)
    acting.answers(0, {"steps": later})
    live_stack.main(["preview", "--stack", "live"])
    assert live_stack.main(["up", "--stack", "live"]) == DIFFERENT
    assert len(acting.calls()) == 2
    assert "are not those that were approved" in capfd.readouterr().out


def test_nothing_to_change_starts_no_up(acting: Acting) -> None:
    acting.answers(0, {"steps": []})
    acting.answers(0, {"steps": []})
    live_stack.main(["preview", "--stack", "live"])
    assert live_stack.main(["up", "--stack", "live"]) == 0
    assert len(acting.calls()) == 2


def test_an_up_that_failed_is_told(acting: Acting) -> None:
    acting.answers(0, PREVIEW)
    acting.answers(0, PREVIEW)
    acting.answers(1)
    live_stack.main(["preview", "--stack", "live"])
    assert live_stack.main(["up", "--stack", "live"]) == FAILED


def test_a_long_list_ends_with_its_rest(acting: Acting) -> None:
    acting.answers(7, {"steps": [step("update", f"-{number:04}") for number in range(305)]})
    live_stack.main(["drift", "--stack", "live"])
    assert "\nand 5 more.\n" in Path("build/report.md").read_text()
