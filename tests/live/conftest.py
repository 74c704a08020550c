"""The Beijing stack on one live cluster; every test goes on where the one before it ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from rehearsal.engine import Outcome, Program
from rehearsal.providers import Simulation
from rendering import Object
from tests.cluster.client import Refused
from tests.elasticity.programs import programs
from tests.live.cluster import LiveCluster, live_cluster
from tests.live.engine import LiveRehearsal
from tests.live.programs import kubernetes_provider
from toolchain import tools

ROOT = Path(__file__).resolve().parents[2]
STACK = "cn-north-1"
_PROGRAM_FILES = ("Pulumi.yaml", "__main__.py", "program.py", "manifests")
_OF_THE_SERVER = {"Event", "Lease", "APIService", "CustomResourceDefinition", "ComponentStatus"}
"""Kinds that API server and controllers make for themselves; CRDs outlive a stack on purpose
(docs/decisions/0001-crds-are-one-resource.md)."""
_AGGREGATION = "clusterrole-aggregation-controller"
"""The controller applies an aggregated role that was deleted a moment ago, and so makes it again
(kubernetes/kubernetes pkg/controller/clusterroleaggregation, applyClusterRoles)."""
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


@dataclass
class LiveStack:
    """One stack, whose settings a test changes.

    Attributes:
        cluster: where its objects are.
        build: the folder of the engine, with the state.
        provider: the program pulumi-resource-kubernetes.
        program: what runs in place of the project's ``__main__.py``.
        before: the objects of the empty cluster.
    """

    cluster: LiveCluster
    build: Path
    _project: Path
    provider: Path
    _report: list[str]
    program: Program | None = None
    before: set[str] = field(default_factory=set[str])

    def set(self, change: Callable[[dict[str, Any]], object]) -> None:
        """Changes the stack file: ``change`` gets its ``config``."""
        stack_file = self._project / f"Pulumi.{STACK}.yaml"
        content = yaml.safe_load(stack_file.read_text())
        change(content["config"])
        stack_file.write_text(yaml.safe_dump(content))

    def run(self, verb: str) -> Outcome:
        """One run of the engine: ``preview``, ``up``, ``refresh`` or ``destroy``."""
        rehearsal = LiveRehearsal(
            self.cluster,
            self.provider,
            project=self._project,
            stack=STACK,
            build=self.build,
            pulumi=tools.pulumi(print).path,
            simulation=Simulation(region=STACK),
            program=self.program,
        )
        with rehearsal.started():
            start = time.monotonic()
            outcome: Outcome = getattr(rehearsal, verb)()
            seconds = time.monotonic() - start
        counted = ", ".join(f"{number} {kind}" for kind, number in outcome.changes.items())
        self._report.append(f"{seconds:6.1f} s  {verb}: {counted or 'nothing'}")
        return outcome

    def stored(self, obj: Object) -> Object | None:
        """An object as the API server has it; None where it has none."""
        with suppress(Refused):
            return self.cluster.cluster.read(obj)
        return None

    def objects(self) -> set[str]:
        """Every object on the API server, of which a person would notice that it is left."""
        server = self.cluster.cluster
        groups: list[Any] = server.get("/apis")["groups"]
        versions = [f"/apis/{group['preferredVersion']['groupVersion']}" for group in groups]
        found: set[str] = set()
        for path in ("/api/v1", *versions):
            for kind in server.get(path)["resources"]:
                if "list" not in kind["verbs"] or kind["kind"] in _OF_THE_SERVER:
                    continue
                for item in server.get(f"{path}/{kind['name']}")["items"]:
                    metadata = item["metadata"]
                    if _managers(metadata) == {_AGGREGATION}:
                        continue
                    place = f"{metadata.get('namespace', '')}/{metadata['name']}"
                    found.add(f"{kind['kind']} {place}")
        return found


def _managers(metadata: Object) -> set[str]:
    return {each["manager"] for each in metadata.get("managedFields") or ()}


@pytest.fixture(scope="session")
def live(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Generator[LiveStack]:
    """An empty cluster, and the Beijing stack that is not deployed yet."""
    say = Console(stderr=True, highlight=False).print
    folder = tmp_path_factory.mktemp("live")
    project = folder / "project"
    project.mkdir()
    for name in _PROGRAM_FILES:
        (project / name).symlink_to(ROOT / name)
    (project / f"Pulumi.{STACK}.yaml").write_text((ROOT / f"Pulumi.{STACK}.yaml").read_text())
    with ExitStack() as running:
        (folder / "cluster").mkdir()
        cluster = running.enter_context(live_cluster(programs(say), folder / "cluster"))
        stack = LiveStack(
            cluster=cluster,
            build=folder / "build",
            _project=project,
            provider=kubernetes_provider(say),
            _report=request.config.stash[_SECONDS],
        )
        stack.before = stack.objects()
        yield stack
