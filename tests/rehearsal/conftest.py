"""Fixtures of the rehearsal's tests: the CLI, and a copy of the tiny project to run and change."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from rehearsal.engine import Outcome, Rehearsal
from rehearsal.providers import Simulation
from toolchain import tools

TINY = Path(__file__).parent / "tiny"

Started = Callable[..., AbstractContextManager[Rehearsal]]


def steps(outcome: Outcome) -> list[tuple[str, str, str]]:
    """What a run changed, in its order: operation, type and name of each resource."""
    parts = ((operation, *urn.split("::", 3)[2:]) for urn, operation in outcome.operations.items())
    return [(step, types.split("$")[-1], name) for step, types, name in parts if step != "same"]


@pytest.fixture(scope="session")
def cli() -> Path:
    """The Pulumi CLI, got if it is not there."""
    return tools.pulumi(print).path


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the tiny project that a test may change."""
    return Path(shutil.copytree(TINY, tmp_path / "tiny"))


@pytest.fixture
def started(cli: Path, project: Path, tmp_path: Path) -> Started:
    """Starts a rehearsal of the tiny project, or of a ``program`` in its place."""

    @contextmanager
    def start(
        program: Callable[[], Any] | None = None,
        *,
        unknowns: bool = False,
        build: str = "build",
        **simulation: Any,
    ) -> Generator[Rehearsal]:
        rehearsal = Rehearsal(
            project=project,
            stack="tiny",
            build=tmp_path / build,
            pulumi=cli,
            simulation=Simulation(region="cn-north-1", unknowns=unknowns, **simulation),
            program=program,
        )
        with rehearsal.started():
            yield rehearsal

    return start
