"""A stack of the project on a live cluster that is still empty."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from rehearsal.engine import Outcome, Program, Rehearsal
from rehearsal.providers import Simulation
from rendering import Object
from tests.cluster.client import Refused
from tests.elasticity.programs import programs
from tests.live.cluster import LiveCluster, live_cluster
from tests.live.engine import LiveRehearsal
from tests.live.programs import kubernetes_provider
from toolchain import tools
from toolchain.go_programs import Say

ROOT = Path(__file__).resolve().parents[2]
STACK = "cn-north-1"
_PROGRAM_FILES = ("Pulumi.yaml", "__main__.py", "program.py", "manifests")
_SETTLED_SECONDS = 300
_OF_THE_SERVER = {"Event", "Lease", "APIService", "CustomResourceDefinition", "ComponentStatus"}
"""Kinds that API server and controllers make for themselves; CRDs outlive a stack on purpose
(docs/decisions/0001-crds-are-one-resource.md)."""


@dataclass
class LiveStack:
    """One stack, whose settings a test changes.

    Attributes:
        cluster: where its objects are.
        build: the folder of the engine, with the state.
        project: a copy of the project's files, with a stack file of its own.
        provider: the program pulumi-resource-kubernetes.
        program: what runs in place of the project's ``__main__.py``.
        before: the objects of the empty cluster.
    """

    cluster: LiveCluster
    build: Path
    project: Path
    provider: Path
    _report: Callable[[str, float, Outcome], object]
    program: Program | None = None
    before: set[str] = field(default_factory=set[str])

    def set(self, change: Callable[[dict[str, Any]], object]) -> None:
        """Changes the stack file: ``change`` gets its ``config``."""
        stack_file = self.project / f"Pulumi.{STACK}.yaml"
        content = yaml.safe_load(stack_file.read_text())
        change(content["config"])
        stack_file.write_text(yaml.safe_dump(content))

    def run(self, verb: str, *, checkpoints: bool = True) -> Outcome:
        """One run of the engine: ``preview``, ``up``, ``refresh`` or ``destroy``.

        Without checkpoints the state is written once, which takes the longest part of an ``up``.
        """
        with self.rehearsal(checkpoints=checkpoints).started() as rehearsal:
            start = time.monotonic()
            outcome: Outcome = getattr(rehearsal, verb)()
            seconds = time.monotonic() - start
        self._report(verb, seconds, outcome)
        return outcome

    def rehearsal(
        self, kind: type[LiveRehearsal] = LiveRehearsal, *, checkpoints: bool = True
    ) -> Rehearsal:
        """The stack in a rehearsal of this kind, which is not started yet."""
        return kind(
            self.cluster,
            self.provider,
            checkpoints=checkpoints,
            project=self.project,
            stack=STACK,
            build=self.build,
            pulumi=tools.pulumi(print).path,
            simulation=Simulation(region=STACK),
            program=self.program,
        )

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
                    place = f"{metadata.get('namespace', '')}/{metadata['name']}"
                    found.add(f"{kind['kind']} {place}")
        return found


@contextmanager
def live_stack(
    folder: Path, say: Say, report: Callable[[str, float, Outcome], object]
) -> Generator[LiveStack]:
    """An empty cluster, and the Beijing stack that is not deployed yet.

    Args:
        folder: an empty one, for the cluster and the engine.
        say: prints how programs are built.
        report: gets each run of the engine: verb, seconds, outcome.
    """
    project = folder / "project"
    project.mkdir()
    for name in _PROGRAM_FILES:
        (project / name).symlink_to(ROOT / name)
    (project / f"Pulumi.{STACK}.yaml").write_text((ROOT / f"Pulumi.{STACK}.yaml").read_text())
    (folder / "cluster").mkdir()
    with live_cluster(programs(say), folder / "cluster") as cluster:
        stack = LiveStack(
            cluster=cluster,
            build=folder / "build",
            project=project,
            provider=kubernetes_provider(say),
            _report=report,
        )
        stack.before = _settled(stack)
        yield stack


def _settled(stack: LiveStack) -> set[str]:
    """The objects of a cluster whose controllers have made what each namespace gets from them."""
    namespaces = stack.cluster.cluster.get("/api/v1/namespaces")["items"]
    names = [each["metadata"]["name"] for each in namespaces]
    made = {f"ServiceAccount {name}/default" for name in names}
    made |= {f"ConfigMap {name}/kube-root-ca.crt" for name in names}
    deadline = time.monotonic() + _SETTLED_SECONDS
    while not made <= (found := stack.objects()):
        assert time.monotonic() < deadline, sorted(made - found)
        time.sleep(1)
    return found
