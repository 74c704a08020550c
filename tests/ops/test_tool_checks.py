"""The programs that a stack needs, as stand-ins on the PATH."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ops.findings import Level
from ops.tool_checks import plugins, tool_findings
from tests.ops.account import notes, problems, subject, told
from tests.ops.programs import install

ROOT = Path(__file__).parents[2]


@pytest.fixture
def findings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def found(version: str = "1.36", **changed: str | None) -> list[Any]:
        monkeypatch.setenv("PATH", str(install(tmp_path / "bin", **changed)))
        return list(tool_findings(subject(cluster={"version": version})))

    return found


def test_programs_that_work_are_good(findings: Any) -> None:
    assert told(findings(), Level.GOOD) == [
        "pulumi 3.259.0 is on PATH",
        "pulumi-language-python is on PATH",
        "pulumi has the plugins aws 7.51.1, eks 4.4.0, kubernetes 4.34.2 and kubernetes 4.19.0",
        "aws 2.31.2 is on PATH",
        "kubectl 1.36 is on PATH",
    ]


@pytest.mark.parametrize("program", ["pulumi", "pulumi-language-python", "aws", "kubectl"])
def test_a_missing_program_is_told_with_what_it_is_for(program: str, findings: Any) -> None:
    (sentence,) = problems(findings(**{program.replace("-", "_"): None}))
    assert re.match(rf"{program} is not on PATH, which \w+.*: install", sentence)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"pulumi": "echo v3.216.9"}, "pulumi is 3.216.9, too old for the program: install the"),
        ({"aws": "echo aws-cli/1.45.11 Python/3.11"}, "aws is 1.45.11, of which AWS ends the"),
    ],
)
def test_a_program_that_is_too_old_is_a_problem(
    changed: dict[str, str], sentence: str, findings: Any
) -> None:
    (found,) = problems(findings(**changed))
    assert found.startswith(sentence)


@pytest.mark.parametrize(("version", "apart"), [("1.35", False), ("1.34", True)])
def test_kubectl_is_within_one_minor_version(version: str, apart: bool, findings: Any) -> None:
    found = notes(findings(version))
    sentence = f"kubectl is 1.36, and kubeflow:cluster.version is {version}, more than one minor"
    assert [each.startswith(sentence) for each in found] == [True] * apart


@pytest.mark.parametrize("listed", ["[]", "no JSON"])
def test_plugins_that_are_not_there_yet_are_a_note(listed: str, findings: Any) -> None:
    pulumi = f"case $1 in plugin) echo '{listed}';; *) echo v3.259.0;; esac"
    (sentence,) = notes(findings(pulumi=pulumi))
    assert sentence.startswith("pulumi has no plugin aws 7.51.1, eks 4.4.0, kubernetes 4.34.2 and ")
    assert "kubernetes 4.19.0" in sentence


def test_a_program_that_fails_is_present(findings: Any) -> None:
    assert "aws is on PATH" in told(findings(aws="exit 1"), Level.GOOD)


@pytest.mark.parametrize("name", ["first-experiment.md", "first-experiment.zh-CN.md"])
def test_the_page_of_the_first_day_lists_every_plugin(name: str) -> None:
    text = (ROOT / "docs" / name).read_text("utf-8")
    assert [each for each in plugins() if f"`{' '.join(each)}`" not in text] == []
