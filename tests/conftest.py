"""Tests that need an upstream source which is out of reach here are left out, counted and named.

Everything else runs, so that a clone that nothing lies beside can be worked on. Where ``CI`` is
``true``, nothing is left out: a missing source ends the run before the first test. The tests
themselves run without ``CI``, so that what a command answers is the same on every machine.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Generator, Sequence
from functools import cache
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from botocore.loaders import JSONFileLoader

from rehearsal.sources import incomplete
from rendering import SourcesUnavailable
from rendering.needs import missing_sources
from rendering.release import Source, load
from settings import MANIFESTS
from terminal.exit_codes import incomplete_fails

# A program of 800 resources makes so many objects that half of its time goes to looking for garbage
# among renders that stay (measured: 7.4 CPU seconds with Python's own thresholds, 4.4 with these).
gc.set_threshold(100_000, 50, 100)

# moto makes a thousand images, each with a snapshot, in every EC2 it simulates; no test reads one.
os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"

# Without credentials, botocore asks the metadata of a machine, and waits two seconds for none.
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"

# Each AWS session reads the models of its services anew: 80 of a client's 130 CPU milliseconds.
_model = cache(JSONFileLoader().load_file)


def _read_once(self: JSONFileLoader, file_path: str) -> Any:
    return _model(file_path)


JSONFileLoader.load_file = _read_once

MADE = "KUBEFLOW_MADE_PLANS"
"""As tests/judges/plans.py has it, whose imports not every run needs."""
MISSING = pytest.StashKey[list[Source]]()
INCOMPLETE = 2
NOTHING_IS_LEFT_OUT = incomplete_fails()
"""As the run was started; tests run without ``CI``."""


@pytest.fixture(autouse=True, scope="session")
def no_ci() -> Generator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CI", raising=False)
        yield


@cache
def upstream_sources() -> tuple[Source, ...]:
    """The sources of every release and add-on of the project."""
    folders = sorted(path.parent for path in MANIFESTS.rglob("release.yaml"))
    return tuple(source for folder in folders for source in load(folder).sources)


def pytest_configure(config: pytest.Config) -> None:
    # Workers have the environment of the process that starts them.
    if MADE not in os.environ:
        folder = TemporaryDirectory(prefix="kubeflow-plans-")
        os.environ[MADE] = folder.name
        config.add_cleanup(folder.cleanup)


def pytest_sessionstart(session: pytest.Session) -> None:
    config = session.config
    if hasattr(config, "workerinput"):
        return
    missing = missing_sources(upstream_sources(), MANIFESTS.parent)
    if missing and NOTHING_IS_LEFT_OUT:
        pytest.exit(incomplete(missing), returncode=INCOMPLETE)
    config.stash[MISSING] = missing
    _tell(config)


class _Met:
    """The sources that were found out of reach since a test began, and what failed for it.

    A failure alone does not tell: a command turns a missing source into a sentence and an exit
    code, and a fixture that failed gives its failure to every later test.
    """

    def __init__(self) -> None:
        self.sources: list[Source] = []
        self.failures: list[BaseException] = []
        met, original = self, SourcesUnavailable.__init__

        def recorded(self: SourcesUnavailable, missing: Sequence[Source], reason: str = "") -> None:
            met.sources += missing
            original(self, missing, reason)

        SourcesUnavailable.__init__ = recorded

    def left_out(self, failure: BaseException) -> bool:
        """Whether a source of the project's own manifests stopped the test, not one it made up."""
        if any(source in upstream_sources() for source in self.sources):
            self.failures.append(failure)
        return any(failure is known for known in self.failures)


_met = _Met()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    _met.sources.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if call.excinfo is not None and not NOTHING_IS_LEFT_OUT and _met.left_out(call.excinfo.value):
        path, line, _ = item.location
        report.outcome = "skipped"
        report.longrepr = (path, line or 0, "left out: its upstream sources are out of reach")
    return report


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    config = terminalreporter.config
    if config.stash.get(MISSING, []):
        count = len(terminalreporter.stats.get("skipped", []))
        terminalreporter.write_line(f"{count} tests were left out.")
        _tell(config)


def _tell(config: pytest.Config) -> None:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if config.stash[MISSING] and isinstance(reporter, pytest.TerminalReporter):
        reporter.write_line(incomplete(config.stash[MISSING]))
