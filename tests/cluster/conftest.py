"""A platform installed once per version, empty API servers besides, and a closing summary."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pytest
from rich.console import Console

from rendering import Object
from tests.cluster.api_server import CHOSEN, VERSIONS, kube_apiserver
from tests.cluster.installation import Installation, installation
from tests.cluster.platform import Platform, platform, stack_on, usual

CURRENT = [minor for minor in CHOSEN if stack_on(minor) == stack_on(max(VERSIONS))] or [
    max(VERSIONS)
]
"""The chosen versions that the default release runs on; the newest where none is chosen."""


@dataclass
class Journal:
    """What the closing summary tells: stages with seconds and counts, webhook calls."""

    stages: dict[str, float] = field(default_factory=dict[str, float])
    facts: list[str] = field(default_factory=list[str])

    @contextmanager
    def stage(self, name: str) -> Generator[None]:
        start = time.monotonic()
        try:
            yield
        finally:
            self.stages[name] = time.monotonic() - start


class NewCluster(Protocol):
    """Starts an empty API server.

    Args:
        name: of its folder, which keeps the logs of the last three runs.
        more: arguments of the server.
    """

    def __call__(
        self, name: str, *, more: Sequence[str] = ()
    ) -> AbstractContextManager[Installation]: ...


_JOURNAL = pytest.StashKey[Journal]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_JOURNAL] = Journal()


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    journal = config.stash[_JOURNAL]
    if journal.stages:
        terminalreporter.section("on real API servers", sep="-")
    for fact in journal.facts:
        terminalreporter.write_line(fact)
    for name, seconds in journal.stages.items():
        terminalreporter.write_line(f"{seconds:6.1f} s  {name}")


@pytest.fixture(scope="session")
def journal(request: pytest.FixtureRequest) -> Journal:
    return request.config.stash[_JOURNAL]


@pytest.fixture(scope="session", params=CHOSEN)
def version(request: pytest.FixtureRequest) -> str:
    """The minor version of Kubernetes under test."""
    return request.param


@pytest.fixture(scope="session")
def program(version: str) -> Path:
    """The kube-apiserver, built if it is not there."""
    return kube_apiserver(version, Console(stderr=True, highlight=False).print)


@pytest.fixture(scope="session")
def whole(version: str, journal: Journal) -> Platform:
    """Everything that the Beijing stack of this version's release puts into its cluster."""
    stack = stack_on(version)
    with journal.stage(f"{version}: the program of {stack}, under mocks"):
        return platform(stack)


@pytest.fixture(scope="session")
def new_cluster(program: Path, tmp_path_factory: pytest.TempPathFactory) -> NewCluster:
    """See ``NewCluster``."""

    def start(name: str, *, more: Sequence[str] = ()) -> AbstractContextManager[Installation]:
        return installation(program, tmp_path_factory.mktemp(name), more=more)

    return start


@pytest.fixture(scope="session")
def order(whole: Platform) -> list[Object]:
    return whole.in_order(usual)


@pytest.fixture(scope="session")
def installed(
    version: str, new_cluster: NewCluster, whole: Platform, order: list[Object], journal: Journal
) -> Generator[Installation]:
    """The platform, applied object by object; a refusal ends the run of every test that needs it.

    Whoever uses it only reads, or asks for dry runs.
    """
    with new_cluster("installed") as made:
        with journal.stage(f"{version}: first, {len(whole.crds)} CRDs"):
            made.crds(whole.crds)
        with journal.stage(f"{version}: first, {len(order)} objects"):
            made.apply_all(order)
        yield made
