"""`make` refuses a variable that nothing would read, in place of a run with the default."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
READ = ("STACK", "FROM", "ACCOUNT", "SEED", "COUNT", "WORKERS", "AGAIN")


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    """What a target that needs no setup prints, with these arguments."""
    command = ["make", "--silent", "help", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("given", "way_out"),
    [
        ("stack=us-west-2", "STACK=us-west-2"),
        ("Stack=us-west-2", "STACK=us-west-2"),
        ("stack:=us-west-2", "STACK=us-west-2"),
        ("from=sg-0123456789abcdef0", "FROM=sg-0123456789abcdef0"),
        ("account=a", "ACCOUNT=a"),
        ("seed=2", "SEED=2"),
        ("cOUNT=50", "COUNT=50"),
        ("workers=2", "WORKERS=2"),
        ("again=1", "AGAIN=1"),
        ("stack=", "STACK="),
        ("stack=a $b", "STACK=a $b"),
    ],
)
def test_a_variable_in_another_case_is_one_sentence_with_the_way_out(
    given: str, way_out: str
) -> None:
    name = re.split("[:=]", given)[0]
    refused = make(given)
    assert (refused.returncode, refused.stdout) == (2, "")
    sentence = f"{name} is no variable of this Makefile: write {way_out}"
    (line,) = refused.stderr.splitlines()
    assert re.fullmatch(rf"Makefile:\d+: \*\*\* {re.escape(sentence)}\.  Stop\.", line)


def test_the_first_of_several_is_refused_beside_a_right_one() -> None:
    refused = make("STACK=us-west-2", "from=10.0.0.1")
    assert refused.returncode == 2
    assert "write FROM=10.0.0.1." in refused.stderr


@pytest.mark.parametrize(
    "given",
    [
        ("STACK=us-west-2",),
        # Make hands on whatever it gets to what it runs, so other names may be meant.
        ("KUBEFLOW_BUNDLES=/from here",),
        ("PYTHON=python3", "x=from=1"),
        ("FROM=a stack=b",),
    ],
)
def test_other_variables_are_left_alone(given: tuple[str, ...]) -> None:
    done = make(*given)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_environment_may_have_such_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("stack", "of somebody else")
    assert make().returncode == 0


def test_every_variable_that_a_target_reads_is_guarded() -> None:
    text = (ROOT / "Makefile").read_text("utf-8")
    recipes = "\n".join(line for line in text.splitlines() if line.startswith("\t"))
    read = set(re.findall(r"\$\((?:if \$\()?([A-Z]+)[):]", recipes))
    assert read == set(READ)
