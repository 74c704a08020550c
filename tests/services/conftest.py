"""Two real registries, and a file of images to copy from one to the other."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest

from ops import crane
from tests.services.build_machine import BuildMachine
from tests.services.copied_images import Images
from tests.services.private_registry import Private, private_registry
from tests.services.registry import Registry, registry


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Generator[Registry]:
    with registry(tmp_path_factory.mktemp("upstream")) as running:
        yield running


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Generator[Registry]:
    with registry(tmp_path_factory.mktemp("own")) as running:
        yield running


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Generator[Private]:
    with private_registry(tmp_path_factory.mktemp("private")) as running:
        yield running


@pytest.fixture(scope="session")
def tool() -> Path:
    """crane, built before any test's time limit begins."""
    return crane.find()


@pytest.fixture
def machine(tool: Path, own: Registry, tmp_path: Path) -> BuildMachine:
    return BuildMachine.set_up(tmp_path / "machine", tool, own.host)


@pytest.fixture
def fresh_cache(tool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No manifest of another test, and crane all the same."""
    monkeypatch.setenv("KUBEFLOW_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tool.parent}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def surroundings(fresh_cache: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No login of a person's, and waits that a test can afford."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "no-docker"))
    monkeypatch.setattr(crane, "LONGEST_WAIT_SECONDS", 0.5)
    for variable in ("REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def images(tmp_path: Path, own: Registry, surroundings: None) -> Images:
    return Images(tmp_path / "images.txt", own)
