"""The commands in surroundings that they cannot work in: one sentence, and nothing is made."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from settings import MANIFESTS

PROJECT = MANIFESTS.parent
PREVIEW = ["-m", "rehearsal", "preview"]
BUNDLE = ["-m", "ops", "bundle", "create", "--out", "made.bundle.tar"]
C_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project without its tests."""
    beside = shutil.ignore_patterns("build", "bundles", "tests", ".*", "__pycache__")
    copy = Path(shutil.copytree(PROJECT, tmp_path_factory.mktemp("of") / "project", ignore=beside))
    (copy / ".venv").symlink_to(sys.prefix)
    return copy


def ended(command: list[str], checkout: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=checkout,
        env={**os.environ, **env},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize("command", [PREVIEW, BUNDLE], ids=["preview", "bundle"])
@pytest.mark.parametrize(
    ("cache", "sentence"),
    [
        ("cache", "KUBEFLOW_CACHE is cache: write an absolute path, because the programs of"),
        ("{0}/kf", "{0}/kf/sources cannot be used (Not a directory): move the file away that"),
        ("/sys/cache", "/sys/cache"),
    ],
    ids=["relative", "a file", "read-only"],
)
def test_a_cache_that_cannot_be_used_is_one_sentence(
    command: list[str], cache: str, sentence: str, checkout: Path
) -> None:
    done = ended([sys.executable, *command], checkout, KUBEFLOW_CACHE=cache.format(checkout))
    errors = done.stderr.splitlines()
    assert (done.returncode, len(errors)) == (2, 1), done.stderr
    assert errors[0].startswith(sentence.format(checkout))
    assert not (checkout / "cache").exists()
    assert not (checkout / "build").exists()
    assert not (checkout / "made.bundle.tar").exists()


def test_texts_are_shown_as_they_are_in_the_c_locale(checkout: Path) -> None:
    (checkout / "Pulumi.odd.yaml").write_text("config:\n  kubeflow:region: 北京\n", "utf-8")
    done = ended(["./kf", "images", "list", "--stack", "odd"], checkout, **C_LOCALE)
    assert done.returncode == 2
    assert "kubeflow:region is 北京: " in done.stderr


def test_make_runs_its_commands_with_utf_8(checkout: Path) -> None:
    shown = "shown: ; @echo $$PYTHONUTF8"
    done = ended(["make", "--silent", "--eval", shown, "shown"], checkout, **C_LOCALE)
    assert done.stdout == "1\n"
