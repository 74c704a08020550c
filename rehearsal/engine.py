"""Runs the unmodified program on the real Pulumi engine against the simulated clouds.

The program runs inline through Pulumi's Automation API, so no language host is needed; the engine
keeps its project copy, state, home and passphrase under a build folder, and nothing in the checkout
changes. Nothing here opens a connection beyond the loopback interface.
"""

# pyright: reportUnknownMemberType=false, reportPrivateImportUsage=false

from __future__ import annotations

import gc
import re
import runpy
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
from pulumi import automation as auto
from pulumi.runtime import settings as runtime
from pulumi.runtime.proto import engine_pb2

from rehearsal.failures import quiet_loop_end, sentence_of, told
from rehearsal.preload import Preload
from rehearsal.providers import Simulation
from rehearsal.recording import STACK_TYPE, Planned, Recorder
from rehearsal.simulated import simulated_clouds
from rehearsal.protocol import masked
from rehearsal.workspace import EngineWorkspace

Program = Callable[[], Any]

# Providers the engine makes for itself, one per package and version; nobody asked for them.
_DEFAULT_PROVIDER = re.compile(r"::pulumi:providers:[\w-]+::default(_|$)")


_STACK_FRAMES = 12


class EngineFailure(Exception):
    """The engine or the program failed; ``problems`` has one line each, without traces."""

    def __init__(self, problems: list[str], cause: BaseException | None = None) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems
        self.cause = cause
        """The exception the program raised, when it was the program."""


@dataclass(frozen=True)
class Outcome:
    """One run of the engine.

    Args:
        changes: operation (``create``, ``update``, ``replace``, ``delete``, ``same`` ...) to count,
            without the stack itself.
        operations: URN to operation.
        resources: what the program asked for; empty for destroy and refresh.
        outputs: the stack's, after ``up``; ``[secret]`` for what is secret in them.
        seconds: wall time of the run, the simulated clouds' start apart.
    """

    changes: dict[str, int]
    operations: dict[str, str]
    resources: list[Planned]
    outputs: dict[str, Any]
    seconds: float


@dataclass
class _Run:
    recorder: Recorder = field(default_factory=Recorder)
    operations: dict[str, str] = field(default_factory=dict[str, str])
    outputs: dict[str, Any] = field(default_factory=dict[str, Any])
    problems: list[str] = field(default_factory=list[str])
    failure: BaseException | None = None


class Rehearsal:
    """One stack of one project on the real engine and simulated clouds.

    Args:
        project: folder with ``Pulumi.yaml`` and ``Pulumi.<stack>.yaml``.
        stack: the stack's name.
        build: where everything the engine writes goes.
        pulumi: the CLI, see ``toolchain.tools``.
        simulation: how the clouds answer.
        program: what to run; the project's ``__main__.py`` when None.
        checkpoints: write the state at every step as a real deployment does. Without, a run that is
            killed forgets what it made, which costs nothing in a cloud that does not exist, and a
            run of 600 objects is about six times as fast.
    """

    def __init__(
        self,
        *,
        project: Path,
        stack: str,
        build: Path,
        pulumi: Path,
        simulation: Simulation,
        program: Program | None = None,
        checkpoints: bool = False,
    ) -> None:
        self.project = project.resolve()
        self.stack = stack
        self.build = build.resolve()
        self.simulation = simulation
        self._program = program or self._main_program
        self._workspace = EngineWorkspace(
            project=self.project,
            stack=stack,
            build=self.build,
            pulumi=pulumi,
            checkpoints=checkpoints,
        )
        self._run = _Run()
        self._handle: auto.Stack | None = None
        self._preload: Preload | None = None

    @contextmanager
    def started(self) -> Generator[Rehearsal]:
        """Serves the simulated clouds and opens the stack, for as long as the context lasts."""
        if self._program == self._main_program:
            self._preload = Preload(self.project)
        clouds = simulated_clouds(
            self.simulation, lambda: self._run.recorder, python_path=self.project
        )
        with _lean_interpreter(), clouds as listening:
            stack = self._workspace.open(self._inline)
            attached = {"PULUMI_DEBUG_PROVIDERS": listening()}
            stack.workspace.env_vars = {**stack.workspace.env_vars, **attached}
            self._handle = stack
            try:
                yield self
            finally:
                self._handle = None

    def preview(self) -> Outcome:
        """What ``up`` would do."""
        return self._perform(
            lambda stack, watch: stack.preview(
                on_event=watch, suppress_outputs=True, suppress_progress=True, color="never"
            )
        )

    def up(self) -> Outcome:
        """Creates, updates and deletes until the simulated clouds are as the program says."""
        return self._perform(
            lambda stack, watch: stack.up(
                on_event=watch, suppress_outputs=True, suppress_progress=True, color="never"
            ),
            made=True,
        )

    def refresh(self) -> Outcome:
        """Reads every resource back from the simulated clouds."""
        return self._perform(
            lambda stack, watch: stack.refresh(
                on_event=watch, suppress_progress=True, color="never"
            )
        )

    def destroy(self) -> Outcome:
        """Deletes everything."""
        return self._perform(
            lambda stack, watch: stack.destroy(
                on_event=watch, suppress_progress=True, color="never"
            )
        )

    # -- one run ----------------------------------------------------------------------------------

    def _perform(
        self, operation: Callable[[auto.Stack, Callable[[Any], None]], Any], *, made: bool = False
    ) -> Outcome:
        if self._handle is None:
            raise RuntimeError("a rehearsal runs inside `with rehearsal.started():`")
        quiet_loop_end()
        self._run = run = _Run()
        start = time.monotonic()
        try:
            operation(self._handle, lambda event: _watch(run, event))
        except Exception as failure:
            if run.failure is not None:
                raise EngineFailure([told(run.failure, self.project)], run.failure) from None
            raise EngineFailure(run.problems or [sentence_of(str(failure))], failure) from None
        return Outcome(
            changes=dict(sorted(Counter(run.operations.values()).items())),
            operations=run.operations,
            resources=run.recorder.resources,
            outputs=run.outputs if made else {},
            seconds=time.monotonic() - start,
        )

    def _inline(self) -> Any:
        """The program as the engine calls it back: recorded, and its own failure kept."""
        run = self._run
        if self._preload:
            self._preload.wait()
        settings: Any = runtime.SETTINGS
        settings.monitor = run.recorder.watch(settings.monitor)
        settings.engine = _WithoutDebug(settings.engine)
        try:
            return self._program()
        except BaseException as failure:
            run.failure = failure
            # A RunError reaches the engine as its text alone, without a stack trace.
            raise pulumi.RunError(told(failure, self.project)) from failure

    def _main_program(self) -> None:
        # The folder of a program is on its path when Pulumi runs it.
        if str(self.project) not in sys.path:
            sys.path.insert(0, str(self.project))
        runpy.run_path(str(self.project / "__main__.py"), run_name="__main__")


class _WithoutDebug:
    """The engine as a program sees it, without the SDK's debug messages.

    The SDK sends several per resource, each a call the program waits for, and the engine drops them
    unless a person debugs it: a quarter of the processor time of a preview.
    """

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    def Log(self, request: Any, *args: Any, **options: Any) -> Any:  # noqa: N802  (protocol's name)
        if request.severity != engine_pb2.DEBUG:
            return self._engine.Log(request, *args, **options)
        return None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


@contextmanager
def _lean_interpreter() -> Generator[None]:
    """Python without two things that cost a run of a thousand resources a second each.

    The cyclic garbage collector would walk a million live objects again and again; what a run
    leaves is set aside for good, because collecting it takes two seconds, now or when the process
    ends. And the SDK sends the call stack with every resource, of which the innermost frames are
    the program's and the other half is ours.
    """
    enabled = gc.isenabled()
    gc.disable()
    sys.tracebacklimit = _STACK_FRAMES
    try:
        yield
    finally:
        del sys.tracebacklimit
        gc.freeze()
        if enabled:
            gc.enable()


def _watch(run: _Run, event: Any) -> None:
    if event.resource_pre_event:
        metadata = event.resource_pre_event.metadata
        if metadata.type != STACK_TYPE and not _DEFAULT_PROVIDER.search(metadata.urn):
            operation = metadata.op.value
            # A replacement is announced as three steps; to a person it is one thing.
            run.operations[metadata.urn] = "replace" if "replace" in operation else operation
    elif event.res_outputs_event and event.res_outputs_event.metadata.type == STACK_TYPE:
        run.outputs = masked(event.res_outputs_event.metadata.new.outputs)
    elif event.diagnostic_event and event.diagnostic_event.severity == "error":
        sentence = sentence_of(event.diagnostic_event.message)
        if sentence and sentence not in run.problems:
            run.problems.append(sentence)
