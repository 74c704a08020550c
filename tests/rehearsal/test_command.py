"""``python -m rehearsal``: bad input stops before any engine, in sentences."""

from __future__ import annotations

import shutil
from contextlib import nullcontext
from pathlib import Path

import pytest
from pulumi.automation import events
from typer.testing import CliRunner, Result

from rehearsal import __main__ as command
from rehearsal import report
from rehearsal.engine import EngineFailure, Outcome
from rehearsal.providers import Simulation
from rehearsal.steps import Step
from rendering import LeakError
from settings import from_mapping
from tests.rehearsal.test_plan import obj, planned
from toolchain.tools import Tool

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project; any try to get a tool or run an engine fails the test."""
    monkeypatch.setattr(command, "ROOT", tmp_path)

    def never(*_: object) -> None:
        raise AssertionError("an engine was asked for")

    monkeypatch.setattr(command.tools, "pulumi", never)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command.app, arguments)


@pytest.mark.parametrize("verb", ["preview", "up", "destroy", "refresh"])
def test_a_stack_that_does_not_exist_is_one_sentence(root: Path, verb: str) -> None:
    (root / "Pulumi.cn-north-1.yaml").touch()
    result = run(verb, "--stack", "cn-north-9")
    assert result.exit_code == report.BAD_INPUT
    assert "Pulumi.cn-north-9.yaml does not exist" in result.stderr
    assert "Traceback" not in result.output


def test_a_place_that_is_none_is_one_sentence(root: Path) -> None:
    shutil.copyfile(ROOT / "Pulumi.us-west-2.yaml", root / "Pulumi.x.yaml")
    result = run("up", "--stack", "x", "--from", "10.0.0.0/8")
    assert result.exit_code == report.BAD_INPUT
    sentence = "--from is 10.0.0.0/8: write an IPv4 address or sg-0123456789abcdef0."
    assert result.stderr.strip() == sentence


def test_an_account_that_is_no_name_is_one_sentence(root: Path) -> None:
    shutil.copyfile(ROOT / "Pulumi.us-west-2.yaml", root / "Pulumi.x.yaml")
    result = run("up", "--stack", "x", "--account", "../prod")
    assert result.exit_code == report.BAD_INPUT
    assert result.stderr.strip() == "--account is ../prod: use letters, digits, _ and - only."


def test_stacks_share_an_account_by_its_name(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journals: dict[str, str] = {}

    def recorded(*, stack: str, simulation: Simulation, **_: object) -> None:
        journals[stack] = simulation.journal
        raise EngineFailure(["Enough."])

    monkeypatch.setattr(command, "Rehearsal", recorded)
    monkeypatch.setattr(command, "missing_of_stack", lambda *_: [])  # pyright: ignore[reportUnknownLambdaType]
    monkeypatch.setattr(command, "_tools", lambda: Tool(Path("pulumi"), "3.0.0", "here"))
    for stack, account in (("a", "shared"), ("b", "shared"), ("c", "")):
        shutil.copyfile(ROOT / "Pulumi.us-west-2.yaml", root / f"Pulumi.{stack}.yaml")
        run("up", "--stack", stack, "--account", account)
    shared = str(root / "build" / "accounts" / "shared.jsonl")
    assert journals == {"a": shared, "b": shared, "c": ""}


def test_every_problem_of_a_stack_is_reported_at_once(root: Path) -> None:
    (root / "Pulumi.bad.yaml").write_text(
        "config:\n  kubeflow:region: cn-north-9\n  kubeflow:nodeGroup: {min: 5, max: 2}\n"
    )
    result = run("preview", "--stack", "bad")
    assert result.exit_code == report.BAD_INPUT
    assert "region" in result.stderr
    assert "nodeGroup" in result.stderr


@pytest.mark.parametrize(
    ("region", "value", "leaks"),
    [
        ("cn-north-1", "arn:aws:iam::111122223333:role/editor", True),
        ("cn-north-1", "arn:aws-cn:iam::111122223333:role/editor", False),
        ("us-west-2", "s3.cn-north-1.amazonaws.com.cn", True),
        ("us-gov-west-1", "arn:aws-us-gov:iam::111122223333:role/editor", False),
    ],
)
def test_a_late_value_that_leaves_its_partition_stops_the_rehearsal(
    region: str, value: str, leaks: bool
) -> None:
    settings = from_mapping({"region": region})
    resources = [obj("ConfigMap", "settings", data={"value": value})]
    with pytest.raises(LeakError, match="settings") if leaks else nullcontext():
        command.refuse_leaks(settings, resources)


@pytest.mark.parametrize(
    ("cause", "code"),
    [(LeakError([]), report.BAD_INPUT), (ValueError("no"), report.ENGINE_FAILED)],
    ids=["a leak", "a bug"],
)
def test_a_failure_inside_the_program_has_an_exit_code_of_its_own(
    root: Path, monkeypatch: pytest.MonkeyPatch, cause: Exception, code: int
) -> None:
    def fails(*_: object) -> None:
        failure = RuntimeError("One sentence.")
        failure.__cause__ = cause
        raise EngineFailure(["One sentence."], failure)

    monkeypatch.setattr(command, "from_stack_file", fails)
    result = run("preview")
    assert (result.exit_code, result.stderr.strip()) == (code, "One sentence.")


def test_a_diagram_without_a_plan_names_the_way_to_one(root: Path) -> None:
    shutil.copyfile(ROOT / "Pulumi.us-west-2.yaml", root / "Pulumi.x.yaml")
    result = run("diagram", "--stack", "x")
    assert result.exit_code == report.BAD_INPUT
    sentence = "build/x/architecture.md does not exist: run `make preview STACK=x` first."
    assert result.stderr.split() == sentence.split()


class Ended:
    """A rehearsal that made nothing and has outputs."""

    def started(self) -> nullcontext[None]:
        return nullcontext()

    def up(self) -> Outcome:
        outputs = {"verify": "kubectl wait pods", "kubeconfig": "[secret]"}
        return Outcome(changes={}, operations={}, resources=[], outputs=outputs)


def test_up_ends_with_the_outputs_of_the_stack(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copyfile(ROOT / "Pulumi.us-west-2.yaml", root / "Pulumi.x.yaml")
    monkeypatch.setattr(command, "missing_of_stack", lambda *_: [])  # pyright: ignore[reportUnknownLambdaType]
    monkeypatch.setattr(command, "_tools", lambda: Tool(Path("pulumi"), "3.0.0", "here"))
    monkeypatch.setattr(command, "_rehearsal", lambda *_: Ended())  # pyright: ignore[reportUnknownLambdaType]
    *_, title, first, second, advisories, last = run("up", "--stack", "x").stdout.splitlines()
    assert [title, first.split(), second.split(maxsplit=1)] == [
        "outputs",
        ["kubeconfig", "[secret]"],
        ["verify", "kubectl wait pods"],
    ]
    assert advisories.startswith("advisories of release ")
    assert last == "up of x on simulated clouds: nothing"


class Previewed:
    """A rehearsal whose preview changes a queue on a state; the engine may refuse it."""

    def __init__(self, build: Path, *, refused: bool) -> None:
        self.build, self._refused = build, refused

    def started(self) -> nullcontext[None]:
        return nullcontext()

    def up(self) -> Outcome:
        queue = planned("aws:sqs/queue:Queue", "queue", size=1)
        return Outcome({"create": 1}, {queue.urn: "create"}, [queue], {})

    def preview(self) -> Outcome:
        queue = planned("aws:sqs/queue:Queue", "queue", size=2)
        old = events.StepEventStateMetadata(
            "aws:sqs/queue:Queue", queue.urn, "q", "", "", inputs={"size": 1}
        )
        step = Step("update", old, events.StepEventStateMetadata("", "", "", "", ""))
        outcome = Outcome({"update": 1}, {queue.urn: "update"}, [queue], {}, {queue.urn: step})
        if self._refused:
            raise EngineFailure(["The engine refuses."], outcome=outcome)
        return outcome


def test_a_preview_after_an_up_names_what_changed_since(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack_file = root / "Pulumi.x.yaml"
    shutil.copyfile(ROOT / "Pulumi.us-west-2.yaml", stack_file)
    monkeypatch.setattr(command, "missing_of_stack", lambda *_: [])  # pyright: ignore[reportUnknownLambdaType]
    monkeypatch.setattr(command, "_tools", lambda: Tool(Path("pulumi"), "3.0.0", "here"))
    rehearsal = Previewed(root / "build" / "x", refused=False)
    monkeypatch.setattr(command, "_rehearsal", lambda *_: rehearsal)  # pyright: ignore[reportUnknownLambdaType]
    monkeypatch.setattr(command, "_images", lambda _: {})  # pyright: ignore[reportUnknownLambdaType]
    assert run("up", "--stack", "x").exit_code == 0
    stack_file.write_text(f"{stack_file.read_text()}  kubeflow:tags: {{team: ml}}\n")
    changed = run("preview", "--stack", "x").stdout
    _, _, settings = changed.partition("Changed settings\n")
    assert settings.splitlines() == ["  tags.team: added ml"]


@pytest.mark.parametrize("refused", [False, True])
def test_a_preview_on_a_state_ends_with_a_review(
    root: Path, monkeypatch: pytest.MonkeyPatch, *, refused: bool
) -> None:
    shutil.copyfile(ROOT / "Pulumi.us-west-2.yaml", root / "Pulumi.x.yaml")
    rehearsal = Previewed(root / "build" / "x", refused=refused)
    monkeypatch.setattr(command, "missing_of_stack", lambda *_: [])  # pyright: ignore[reportUnknownLambdaType]
    monkeypatch.setattr(command, "_tools", lambda: Tool(Path("pulumi"), "3.0.0", "here"))
    monkeypatch.setattr(command, "_rehearsal", lambda *_: rehearsal)  # pyright: ignore[reportUnknownLambdaType]
    monkeypatch.setattr(command, "_images", lambda _: {})  # pyright: ignore[reportUnknownLambdaType]
    result = run("preview", "--stack", "x")
    _, _, after = result.stdout.partition("preview of x on simulated clouds: 1 update\n")
    assert after.startswith("\nx: 1 updated.")
    assert (root / "build" / "x" / "findings.json").read_text() == "[]\n"
    assert (result.exit_code, result.stderr) == (
        (report.ENGINE_FAILED, "The engine refuses.\n") if refused else (0, "")
    )


def test_the_diagram_takes_the_place_between_the_markers_of_the_guide(root: Path) -> None:
    shutil.copyfile(ROOT / "Pulumi.us-west-2.yaml", root / "Pulumi.x.yaml")
    guide = root / "CONTRIBUTING.md"
    begins, ends = command.DIAGRAM_BEGINS, command.DIAGRAM_ENDS
    guide.write_text(f"above\n{begins}\nold\n{ends}\nbelow\n", "utf-8")
    missing = run("diagram", "--stack", "x")
    assert missing.exit_code == report.BAD_INPUT
    assert "run `make preview STACK=x` first" in missing.stderr
    (root / "build/x").mkdir(parents=True)
    (root / "build/x/architecture.md").write_text("new\n", "utf-8")
    assert run("diagram", "--stack", "x").exit_code == 0
    assert guide.read_text("utf-8") == f"above\n{begins}\nnew\n{ends}\nbelow\n"


def test_pictures_of_a_stack_without_a_preview_are_one_sentence(root: Path) -> None:
    shutil.copyfile(ROOT / "Pulumi.us-west-2.yaml", root / "Pulumi.x.yaml")
    result = run("pictures", "--stack", "x")
    assert result.exit_code == report.BAD_INPUT
    sentence = "build/x/plan.json does not exist: run `make preview STACK=x` first."
    assert result.stderr.strip() == sentence


def test_pictures_of_another_stack_leave_those_of_the_documentation_alone(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copyfile(ROOT / "Pulumi.us-west-2.yaml", root / "Pulumi.x.yaml")
    (root / "build" / "x").mkdir(parents=True)
    (root / "build" / "x" / "plan.json").write_text("[]")
    monkeypatch.setattr(command, "PICTURES", root / "docs")

    def drawn(rows: list[object], _: str) -> list[tuple[str, str]]:
        return [("a.svg", f"{rows}")]

    monkeypatch.setattr(command, "pictures", drawn)
    assert run("pictures", "--stack", "x").exit_code == 0
    assert (root / "build" / "x" / "pictures" / "a.svg").read_text() == "[]"
    assert not (root / "docs").exists()
