"""The rows of previews and renders, and the sentence of one that is above its limit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from benchmarks import __main__ as command
from benchmarks.plans import PLAN_LIMIT, plan_rows, stack_on
from benchmarks.preview_and_render import (
    RELEASE_LIMIT,
    compared_releases,
    preview_rows,
    render_rows,
)
from settings import MANIFESTS, Settings, from_stack_file
from terminal.exit_codes import FAILED
from tests.releases import DEFAULT, PIPELINES_2


def sample(cpu: float, an_object: float) -> dict[str, float]:
    return {"cpu": cpu, "kustomize": 4.0, "an object": an_object}


def test_the_default_release_is_compared_with_every_other_of_its_kind() -> None:
    default, *others = compared_releases()
    assert default == DEFAULT
    assert sorted([default, *others]) == sorted(PIPELINES_2)


def test_a_row_is_the_median_of_the_ratios_of_each_round() -> None:
    rounds = [{"new": sample(4.4, ours), "old": sample(4, 10)} for ours in (11, 30, 10.5)]
    *renders, both = render_rows(rounds, ["new", "old"])
    assert [row.cells[1:] for row in renders] == [
        ("4.4 s of CPU", "4.0 s of CPU", "1.10", "1.20"),
        ("4.0 s of CPU", "4.0 s of CPU", "1.00", "1.20"),
    ]
    assert both.cells == (
        "an object of new's cold render / of old's",
        *("11.0 ms of CPU", "10.0 ms of CPU", "1.10", f"{RELEASE_LIMIT:.2f}"),
    )
    assert not both.fault


def test_a_row_above_its_limit_and_one_without_numbers_are_a_sentence() -> None:
    slow = [{"new": sample(6, 12), "old": sample(4, 10)}] * 3
    assert [row.fault for row in render_rows(slow, ["new", "old"]) if row.fault] == [
        "cold render of new / kustomize build: 1.50, above its limit of 1.20.",
        f"an object of new's cold render / of old's: 1.20, above its limit of {RELEASE_LIMIT:.2f}.",
    ]
    without = [{"new": sample(4, 10), "old": {}}] * 3
    rows = render_rows(without, ["new", "old"])
    end = "not measured, for want of a release's sources."
    assert [row.fault for row in rows if row.fault] == [
        f"cold render of old / kustomize build: {end}",
        f"an object of new's cold render / of old's: {end}",
    ]
    assert rows[-1].cells[3] == "not measured"
    (preview,) = preview_rows([({"seconds": 9.0}, {"seconds": 3.0})])
    assert preview.fault == "preview / as many empty resources: 3.00, above its limit of 2.00."


@pytest.mark.parametrize(("warm", "which"), [(False, "first"), (True, "second")])
def test_a_preview_is_compared_by_object_with_that_of_another_release(
    warm: bool, which: str
) -> None:
    rounds = [{"new": {"an object": 22.0}, "old": {"an object": 20.0}}, {"new": {}, "old": {}}]
    (row,) = plan_rows(rounds, ["new", "old"], warm=warm)
    assert row.fault == (
        f"an object of new's {which} preview / of old's: 1.10, above its limit of {PLAN_LIMIT}."
    )


def test_the_stack_of_a_release_is_another_in_that_alone_and_its_file_is_taken_away() -> None:
    def settings(stack: str) -> Settings:
        return from_stack_file(MANIFESTS.parent / f"Pulumi.{stack}.yaml")

    with stack_on("26.03", "cn-north-1") as name:
        assert settings(name) == settings("cn-north-1").model_copy(update={"release": "26.03"})
    assert not (MANIFESTS.parent / f"Pulumi.{name}.yaml").exists()


@pytest.mark.parametrize(
    ("ci", "faults", "code"),
    [("true", ["a row: above."], FAILED), ("", ["a row: above."], 0), ("true", [], 0)],
)
def test_such_a_row_fails_where_ci_is_true(
    monkeypatch: pytest.MonkeyPatch, ci: str, faults: list[str], code: int
) -> None:
    class Found:
        path = Path("pulumi")

    def answer(value: Any) -> Callable[..., Any]:
        return lambda *_arguments, **_options: value

    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(command.tools, "kustomize", answer(None))
    monkeypatch.setattr(command.tools, "pulumi", answer(Found))
    monkeypatch.setattr(command, "measure", answer(faults))
    monkeypatch.setattr(command, "admission_bench", answer(None))
    result = CliRunner().invoke(command.app, ["--no-cluster"])
    assert result.exit_code == code
    assert all(sentence in result.output for sentence in faults)
