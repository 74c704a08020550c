"""`./setup.sh` takes Debian 12's Python or a newer one, and only packages with the locked hash."""

from __future__ import annotations

import hashlib
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.test_packages import canonical

ROOT = Path(__file__).resolve().parent.parent
LOCK = "requirements.lock"
FLOOR = "3.11.2"
OLD = ["2.7.18", "3.9.18", "3.10.9", "3.11.0", "3.11.1"]
NEW = [FLOOR, "3.11.14", "3.12.0", "3.13.1", "4.0.0"]

# Runs code as the real interpreter does, but of the version asked for; a virtual environment that
# it makes holds itself, and pip takes note of what it was to install. The real pip installs too,
# if its index is given; a real environment would take ten seconds to make.
_INTERPRETER = """#!{real} -I
import os, pathlib, shutil, subprocess, sys

arguments, log = sys.argv[1:], pathlib.Path({log!r})
if arguments[0] == "-c":
    sys.version_info = tuple(map(int, {version!r}.split(".")))
    sys.version = {version!r}
    sys.argv = ["-c", *arguments[2:]]
    exec(arguments[1])
elif arguments[:2] == ["-m", "venv"]:
    target = pathlib.Path(arguments[2], "bin", "python")
    target.parent.mkdir(parents=True)
    shutil.copy(__file__, target)
else:
    log.write_text(" ".join(arguments))
    if "PIP_FIND_LINKS" in os.environ:
        target = pathlib.Path(__file__).parent.parent / "packages"
        sys.exit(subprocess.call([{real!r}, *arguments, "--target", target]))
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
    for name in ("setup.sh", "requirements.txt", "requirements-dev.txt", LOCK):
        shutil.copy(ROOT / name, folder)
    return folder


def set_up(
    checkout: Path,
    version: str | None,
    index: Path | None = None,
    *,
    cache: str = "",
    limit: str = "",
) -> Ended:
    """Runs the script with a Python of that version; None: with none at all.

    Args:
        checkout: the folder of the script.
        version: of Python.
        index: A folder of archives from which the real pip installs; None: nothing is installed.
        cache: of the project; by default a folder beside the checkout.
        limit: of a file's size, in blocks of 1,024 bytes, as ``ulimit -f`` has it.
    """
    python, log = checkout.parent / "python3", checkout.parent / "installed"
    if version is not None:
        code = _INTERPRETER.format(real=sys.executable, version=version, log=str(log))
        python.write_text(code)
        python.chmod(0o700)
    variables = {"PATH": "/usr/bin:/bin", "PYTHON": str(python)}
    if index is not None:
        variables |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(index)}
    done = subprocess.run(
        ["/bin/bash", "-c", f"{limit and f'ulimit -f {limit};'} exec {checkout}/setup.sh"],
        env={
            **variables,
            "KUBEFLOW_CACHE": cache or str(checkout.parent / "cache"),
            "PIP_CONFIG_FILE": "/dev/null",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    installed = log.read_text() if log.exists() else ""
    return Ended(done.returncode, done.stderr, installed, checkout / ".venv")


def wheel(folder: Path) -> Path:
    """The smallest package that pip installs: one module, `sample`."""
    file = folder / "sample-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("sample.py", "")
        archive.writestr(
            "sample-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: sample\nVersion: 1.0\n"
        )
        archive.writestr(
            "sample-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr("sample-1.0.dist-info/RECORD", "")
    return file


def install(checkout: Path, requirement: str) -> Ended:
    """Runs the script with the real pip, that requirement as the lock and `wheel` as the index."""
    (checkout / LOCK).write_text(requirement)
    return set_up(checkout, FLOOR, index=checkout.parent)


def locked() -> dict[str, tuple[str, list[str]]]:
    """Name of a package as indexes compare it (PEP 503) -> its version and its hashes."""
    found = re.findall(
        r"^([\w.-]+)(?:\[[\w,]+\])?==(\S+)(.*(?:\n +--hash=\S+.*)*)",
        (ROOT / LOCK).read_text(),
        re.M,
    )
    return {
        canonical(name): (version, re.findall(r"--hash=(\S+)", rest))
        for name, version, rest in found
    }


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
    assert ended.installed.endswith("--require-hashes -r requirements.lock")
    assert (ended.venv / "bin" / "python").exists()


@pytest.mark.parametrize("cache", ["cache", "./cache", "~/cache"])
def test_a_relative_cache_is_refused_before_anything_is_made(checkout: Path, cache: str) -> None:
    before = sorted(checkout.iterdir())
    ended = set_up(checkout, FLOOR, cache=cache)
    assert (ended.code, ended.installed) == (2, "")
    assert ended.error == (
        f"The cache's folder is {cache}: name it by an absolute path in KUBEFLOW_CACHE.\n"
    )
    assert sorted(checkout.iterdir()) == before


@pytest.mark.parametrize("cache", ["{0}/setup.sh", "/sys/cache"], ids=["a file", "read-only"])
def test_a_cache_that_cannot_be_written_is_refused_in_one_sentence(
    checkout: Path, cache: str
) -> None:
    ended = set_up(checkout, FLOOR, cache=cache.format(checkout))
    assert (ended.code, ended.installed) == (2, "")
    *_, sentence = ended.error.splitlines()
    assert sentence.startswith("The cache cannot be written (")
    assert cache.format(checkout) in sentence
    assert sentence.endswith("or name another folder by its absolute path in KUBEFLOW_CACHE.")


def test_a_full_disk_is_named_after_what_pip_printed(checkout: Path) -> None:
    (checkout / LOCK).write_text("absent==1.0\n")
    ended = set_up(checkout, FLOOR, index=checkout.parent, limit="512")
    assert ended.code == 2
    assert "ERROR" in ended.error.splitlines()[0]
    assert ended.error.splitlines()[-1].startswith(f"The disk of {checkout.parent}/cache/venv/")
    assert not ended.venv.is_symlink()


def test_a_half_made_environment_is_made_again(checkout: Path) -> None:
    made = set_up(checkout, FLOOR).venv.resolve()
    (made / "complete").unlink()
    (made / "rubbish").touch()
    assert set_up(checkout, FLOOR).code == 0
    assert not (made / "rubbish").exists()


# -- the lock -------------------------------------------------------------------------------------


def test_an_archive_with_the_locked_hash_is_installed(checkout: Path) -> None:
    digest = hashlib.sha256(wheel(checkout.parent).read_bytes()).hexdigest()
    ended = install(checkout, f"sample==1.0 --hash=sha256:{digest}\n")
    assert (ended.code, ended.error) == (0, "")
    assert (ended.venv / "packages" / "sample.py").exists()


def test_an_archive_with_another_hash_is_refused_in_one_sentence(checkout: Path) -> None:
    wheel(checkout.parent)
    ended = install(checkout, f"sample==1.0 --hash=sha256:{'0' * 64}\n")
    assert (ended.code, len(ended.error.splitlines())) == (2, 1)
    assert ended.error.startswith(
        f"Python packages: the archive of sample==1.0 does not have its hash in {LOCK}, "
    )
    assert not ended.venv.is_symlink()
    assert not [*(checkout.parent / "cache").rglob("complete")]


@pytest.mark.parametrize(
    ("requirement", "message"),
    [
        pytest.param("sample==1.0\n", "Hashes are required", id="no-hash"),
        pytest.param(
            f"absent==1.0 --hash=sha256:{'0' * 64}\n", "No matching distribution", id="absent"
        ),
    ],
)
def test_what_pip_refuses_ends_with_its_message_and_no_environment(
    checkout: Path, requirement: str, message: str
) -> None:
    wheel(checkout.parent)
    ended = install(checkout, requirement)
    assert ended.code == 1
    assert message in ended.error
    assert not ended.venv.is_symlink()
    assert not [*(checkout.parent / "cache").rglob("complete")]


def test_another_lock_gets_another_environment(checkout: Path) -> None:
    first = set_up(checkout, FLOOR).venv.resolve()
    with (checkout / LOCK).open("a") as file:
        file.write("# newer\n")
    assert set_up(checkout, FLOOR).venv.resolve() != first


@pytest.mark.parametrize(
    "requirements", ["requirements.txt", "requirements-dev.txt", "policies/requirements-pack.txt"]
)
def test_every_required_package_is_in_the_lock_at_its_version(requirements: str) -> None:
    required = re.findall(
        r"^([\w.-]+)(?:\[[\w,]+\])?==(\S+)$", (ROOT / requirements).read_text(), re.M
    )
    assert len(required) > (0 if requirements.startswith("policies") else 5)
    versions = {name: version for name, (version, _) in locked().items()}
    assert {canonical(name): version for name, version in required}.items() <= versions.items()


def test_every_locked_package_has_hashes_and_the_lock_names_no_index() -> None:
    lines = (ROOT / LOCK).read_text().splitlines()
    assert len(locked()) == len([line for line in lines if re.match(r"[^ #]", line)]) > 100
    assert {
        name
        for name, (_, hashes) in locked().items()
        if not hashes or not all(re.fullmatch(r"sha256:[0-9a-f]{64}", each) for each in hashes)
    } == set()
    assert [line for line in lines if "://" in line or "index-url" in line] == []


def test_every_package_installed_here_is_in_the_lock_at_its_version() -> None:
    installed = {
        canonical(each.name): each.version
        for each in importlib.metadata.distributions()
        if each.name not in {"pip", "setuptools"}
    }
    assert len(installed) > 100
    versions = {name: version for name, (version, _) in locked().items()}
    assert installed.items() <= versions.items()


def test_the_lock_and_the_guide_name_the_command_that_renews_it() -> None:
    """Renovate runs the command in the lock's second line."""
    head = (ROOT / LOCK).read_text().splitlines()[1].removeprefix("#    ")
    assert head == (
        f"uv pip compile --universal --generate-hashes --python-version={FLOOR}"
        " --override=policies/overrides.txt --output-file=requirements.lock"
        " requirements.txt requirements-dev.txt policies/requirements-pack.txt"
    )
    assert f"`{head}`" in (ROOT / "CONTRIBUTING.md").read_text()


# -- the floor ------------------------------------------------------------------------------------


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
