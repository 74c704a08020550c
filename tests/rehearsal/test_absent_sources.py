"""Without its upstream sources a rehearsal plans the rest and says so twice; under CI it fails."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rendering.needs import missing_of_stack, sources_of_stack
from settings import MANIFESTS
from terminal.exit_codes import incomplete_fails
from tests.releases import DEFAULT
from tests.rendering.conftest import own_cache

__all__ = ["own_cache"]

PROJECT = MANIFESTS.parent
NEEDED = (
    "external-secrets v2.9.0, k8s-device-plugin v0.20.0, karpenter-provider-aws v1.14.1, "
    "kubeflow-manifests 26.03.1, kubeflow-pipelines 2.17.0"
)


@pytest.fixture
def alone(tmp_path: Path, own_cache: Path) -> Path:
    """A copy of the project that nothing lies beside, with an empty cache and no git host."""
    assert own_cache.is_dir()
    beside = shutil.ignore_patterns("build", "bundles", "tests", ".*", "__pycache__")
    return Path(shutil.copytree(PROJECT, tmp_path / "alone", ignore=beside))


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(alone: Path) -> Run:
    """Runs a module of the project in the copy."""

    def module(*arguments: str, ci: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=alone,
            env={**os.environ, "CI": ci},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return module


def test_only_what_the_stack_renders_is_missed(alone: Path) -> None:
    manifests = alone / "manifests"
    assert ", ".join(map(str, missing_of_stack(manifests, DEFAULT))) == NEEDED
    missed = {each.name for each in missing_of_stack(manifests, "1.5.1-aws-b1.0.0")}
    assert {"awslabs", "secrets-store-csi-driver"} <= missed
    assert "external-secrets" not in missed
    assert missed == set(sources_of_stack(manifests / "1.5.1-aws-b1.0.0", manifests))


@pytest.mark.parametrize(
    ("ci", "fails"), [("true", True), ("1", True), ("false", False), ("", False), (None, False)]
)
def test_ci_says_whether_an_incomplete_result_fails(
    ci: str | None, fails: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if ci is not None:
        monkeypatch.setenv("CI", ci)
    assert incomplete_fails() is fails


@pytest.mark.parametrize("verb", ["preview", "up"])
def test_under_ci_an_incomplete_plan_fails_before_any_engine(
    verb: str, alone: Path, run: Run
) -> None:
    done = run("rehearsal", verb, ci="true")
    assert done.returncode == 2
    assert done.stderr.startswith(f"INCOMPLETE, without {NEEDED}:")
    assert len(done.stderr.splitlines()) == 1
    assert not (alone / "build").exists()


@pytest.mark.engine
def test_the_rest_is_planned_and_the_missing_named_first_and_last(run: Run) -> None:
    done = run("rehearsal", "preview")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[1] == lines[-1]
    assert lines[1].startswith(f"INCOMPLETE, without {NEEDED}:")
    assert "kf bundle create" in lines[1]
    assert sum("INCOMPLETE" in line for line in lines) == 2
    assert sum("EksCluster" in line for line in lines) == 1


TESTS = """
import pytest
from rendering import SourcesUnavailable
from rendering.release import Source
from tests.conftest import upstream_sources

MADE_UP = upstream_sources()[0].model_copy(update={"name": "made-up"})

def test_needs_none(): pass
def test_needs_upstream(): raise SourcesUnavailable(upstream_sources()[:1])
def test_needs_it_inside():
    try:
        raise SourcesUnavailable(upstream_sources()[:1])
    except SourcesUnavailable as error:
        raise RuntimeError("one sentence") from error
def command():
    try:
        raise SourcesUnavailable(upstream_sources()[:1])
    except SourcesUnavailable:
        return 2
def test_of_a_command_that_needs_it(): assert command() == 0
@pytest.fixture(scope="module")
def command_ran(): assert command() == 0
def test_of_a_fixture_that_needs_it(command_ran): pass
def test_of_the_same_fixture(command_ran): pass
def test_fails_for_another_reason(): raise SourcesUnavailable([MADE_UP])
"""


@pytest.mark.parametrize(
    ("ci", "code", "last"),
    [("", 1, "1 failed, 1 passed, 5 skipped"), ("true", 2, "Exit: INCOMPLETE")],
)
def test_tests_without_their_sources_are_left_out_and_counted_but_not_under_ci(
    ci: str, code: int, last: str, alone: Path, run: Run
) -> None:
    (alone / "tests").mkdir()
    for name in ("__init__.py", "conftest.py"):
        (alone / "tests" / name).write_text((PROJECT / "tests" / name).read_text())
    (alone / "tests" / "test_some.py").write_text(TESTS)
    done = run("pytest", "-n", "0", "-p", "no:cacheprovider", "tests", ci=ci)
    assert done.returncode == code, done.stdout + done.stderr
    incomplete = [line for line in done.stdout.splitlines() if "INCOMPLETE" in line]
    assert last in done.stdout
    assert len(incomplete) == (1 if ci else 2)
    assert all("kubeflow-manifests 26.03" in line for line in incomplete)
    if not ci:
        assert "5 tests were left out." in done.stdout
