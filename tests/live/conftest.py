"""The Beijing stack on one live cluster; every test goes on where the one before it ended."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from rich.console import Console

from rehearsal.engine import Outcome
from tests.live.stack import LiveStack, live_stack

_SECONDS = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_SECONDS] = []


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if config.stash[_SECONDS]:
        terminalreporter.section("simulated AWS, real API server and Kubernetes provider", sep="-")
        for line in config.stash[_SECONDS]:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def live(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Generator[LiveStack]:
    """An empty cluster, and the Beijing stack that is not deployed yet."""
    lines = request.config.stash[_SECONDS]

    def report(verb: str, seconds: float, outcome: Outcome) -> None:
        counted = ", ".join(f"{number} {kind}" for kind, number in outcome.changes.items())
        lines.append(f"{seconds:6.1f} s  {verb}: {counted or 'nothing'}")

    say = Console(stderr=True, highlight=False).print
    with live_stack(tmp_path_factory.mktemp("live"), say, report) as stack:
        yield stack
