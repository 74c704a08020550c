"""A platform installed once per run, empty API servers besides, and a closing summary."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from rich.console import Console

from rendering import Object
from tests.cluster.api_server import CHOSEN, VERSIONS, kube_apiserver
from tests.cluster.installation import Installation, installation
from tests.cluster.platform import Platform, platform, usual


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


NewCluster = Callable[[str], AbstractContextManager[Installation]]
_JOURNAL = pytest.StashKey[Journal]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_JOURNAL] = Journal()


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    journal = config.stash[_JOURNAL]
    if journal.stages:
        terminalreporter.section(f"kube-apiserver {VERSIONS.get(CHOSEN, CHOSEN)}", sep="-")
    for fact in journal.facts:
        terminalreporter.write_line(fact)
    for name, seconds in journal.stages.items():
        terminalreporter.write_line(f"{seconds:6.1f} s  {name}")


@pytest.fixture(scope="session")
def journal(request: pytest.FixtureRequest) -> Journal:
    return request.config.stash[_JOURNAL]


@pytest.fixture(scope="session")
def program() -> Path:
    """The kube-apiserver, built if it is not there."""
    return kube_apiserver(CHOSEN, Console(stderr=True, highlight=False).print)


@pytest.fixture(scope="session")
def beijing(journal: Journal) -> Platform:
    """Everything the Beijing stack of release 26.03 puts into its cluster."""
    with journal.stage("the program, under mocks"):
        return platform("cn-north-1")


@pytest.fixture(scope="session")
def new_cluster(program: Path, tmp_path_factory: pytest.TempPathFactory) -> NewCluster:
    """Starts an empty API server; its folder, named so, keeps the logs of the last three runs."""

    def start(name: str) -> AbstractContextManager[Installation]:
        return installation(program, tmp_path_factory.mktemp(name))

    return start


@pytest.fixture(scope="session")
def order(beijing: Platform) -> list[Object]:
    return beijing.in_order(usual)


@pytest.fixture(scope="session")
def installed(
    new_cluster: NewCluster, beijing: Platform, order: list[Object], journal: Journal
) -> Generator[Installation]:
    """The platform, applied object by object; a refusal ends the run of every test that needs it.

    Whoever uses it only reads, or asks for dry runs.
    """
    with new_cluster("installed") as made:
        with journal.stage(f"first: {len(beijing.crds)} CRDs"):
            made.crds(beijing.crds)
        with journal.stage(f"first: {len(order)} objects"):
            made.apply_all(order)
        yield made
