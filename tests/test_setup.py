"""`./setup.sh` takes Debian 12's Python and any newer one; of an older one it makes nothing."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
FLOOR = "3.11.2"
OLD = ["2.7.18", "3.9.18", "3.10.9", "3.11.0", "3.11.1"]
NEW = [FLOOR, "3.11.14", "3.12.0", "3.13.1", "4.0.0"]

# Runs code as the real interpreter does, but of the version asked for; a virtual environment that
# it makes holds itself, and pip only takes note of what it was to install.
_INTERPRETER = """#!{real} -I
import pathlib, shutil, sys

arguments, log = sys.argv[1:], pathlib.Path({log!r})
if arguments[0] == "-c":
    sys.version_info = tuple(map(int, {version!r}.split(".")))
    sys.version = {version!r}
    exec(arguments[1])
elif arguments[:2] == ["-m", "venv"]:
    target = pathlib.Path(arguments[2], "bin", "python")
    target.parent.mkdir(parents=True)
    shutil.copy(__file__, target)
else:
    log.write_text(" ".join(arguments))
"""


class Ended(NamedTuple):
    code: int
    error: str
    installed: str
    """The arguments of what installs packages; empty if nothing did."""
    venv: Path


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The script with the lists of packages, and nothing else."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in ("setup.sh", "requirements.txt", "requirements-dev.txt", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    return folder


def set_up(checkout: Path, version: str | None) -> Ended:
    """Runs the script with a Python of that version; None: with none at all."""
    python, log = checkout.parent / "python3", checkout.parent / "installed"
    if version is not None:
        code = _INTERPRETER.format(real=sys.executable, version=version, log=str(log))
        python.write_text(code)
        python.chmod(0o700)
    done = subprocess.run(
        [checkout / "setup.sh"],
        env={
            "PATH": "/usr/bin:/bin",
            "PYTHON": str(python),
            "KUBEFLOW_CACHE": str(checkout.parent / "cache"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    installed = log.read_text() if log.exists() else ""
    return Ended(done.returncode, done.stderr, installed, checkout / ".venv")


@pytest.mark.parametrize("version", OLD)
def test_an_older_python_is_refused_by_its_version_before_anything_is_made(
    checkout: Path, version: str
) -> None:
    ended = set_up(checkout, version)
    assert ended.code == 2
    assert ended.error.startswith(f"Python {FLOOR} or newer is needed and '")
    assert f"' is {version}: " in ended.error
    assert not ended.installed
    assert not ended.venv.is_symlink()
    assert not (checkout.parent / "cache").exists()


def test_a_python_that_is_not_there_is_refused_in_one_sentence(checkout: Path) -> None:
    ended = set_up(checkout, None)
    assert (ended.code, len(ended.error.splitlines())) == (2, 1)
    assert "python3' is no Python: install it, or name another with PYTHON=" in ended.error


@pytest.mark.parametrize("version", NEW)
def test_a_newer_python_gets_the_pinned_packages(checkout: Path, version: str) -> None:
    ended = set_up(checkout, version)
    assert (ended.code, ended.error) == (0, "")
    assert "install" in ended.installed
    assert ended.installed.endswith("-r requirements-dev.txt -c constraints.txt")
    assert (ended.venv / "bin" / "python").exists()


def test_linters_and_readmes_have_the_same_floor() -> None:
    configured = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    tools = configured["tool"]
    minor = FLOOR.rpartition(".")[0]
    assert configured["project"]["requires-python"] == f">={FLOOR}"
    assert tools["pyright"]["pythonVersion"] == minor
    assert tools["ruff"]["target-version"] == f"py{minor.replace('.', '')}"
    for readme in ("README.md", "README.zh-CN.md"):
        named = re.findall(r"Python (\d+\.[\d.]+\d)", (ROOT / readme).read_text("utf-8"))
        assert set(named) == {FLOOR}
