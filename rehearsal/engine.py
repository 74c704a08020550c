"""Runs the unmodified program on the real Pulumi engine against the simulated clouds.

The program runs inline through Pulumi's Automation API, so no language host is needed; the engine
keeps its project copy, state, home and passphrase under a build folder, and nothing in the checkout
changes. Nothing here opens a connection beyond the loopback interface.
"""

# pyright: reportUnknownMemberType=false, reportPrivateImportUsage=false

from __future__ import annotations

import gc
import os
import re
import runpy
import secrets
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pulumi
import yaml
from pulumi import automation as auto
from pulumi.runtime import settings as runtime
from semver import VersionInfo

from rehearsal.failures import quiet_loop_end, sentence_of, told
from rehearsal.preload import Preload
from rehearsal.providers import Simulation
from rehearsal.recording import STACK_TYPE, Planned, Recorder
from rehearsal.simulated import simulated_clouds

Program = Callable[[], Any]

# Providers the engine makes for itself, one per package and version; nobody asked for them.
_DEFAULT_PROVIDER = re.compile(r"::pulumi:providers:[\w-]+::default(_|$)")

_OFFLINE = {
    "PULUMI_SKIP_UPDATE_CHECK": "true",
    "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
    "PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS": "true",
    "PULUMI_SKIP_CONFIRMATIONS": "true",
    "PULUMI_K8S_CLIENT_TIMEOUT": "1",
}

# The engine lives for seconds: collecting its garbage less often saves a tenth of its time.
_SHORT_LIVED = {"GOGC": os.environ.get("GOGC", "300")}

_NO_CHECKPOINTS = {"PULUMI_EXPERIMENTAL": "true", "PULUMI_SKIP_CHECKPOINTS": "true"}


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
    problems: list[str] = field(default_factory=list[str])
    failure: BaseException | None = None


class Rehearsal:
    """One stack of one project on the real engine and simulated clouds.

    Args:
        project: folder with ``Pulumi.yaml`` and ``Pulumi.<stack>.yaml``.
        stack: the stack's name.
        build: where everything the engine writes goes.
        pulumi: the CLI, see ``rehearsal.tools``.
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
        self._pulumi = pulumi
        self._checkpoints = checkpoints
        self._run = _Run()
        self._handle: auto.Stack | None = None
        self._preload: Preload | None = None

    @contextmanager
    def started(self) -> Generator[Rehearsal]:
        """Serves the simulated clouds and opens the stack, for as long as the context lasts."""
        if self._program == self._main_program:
            self._preload = Preload(self.project)
        with simulated_clouds(
            self.simulation, lambda: self._run.recorder, python_path=self.project
        ) as listening:
            stack = self._open()
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
            )
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

    def _perform(self, operation: Callable[[auto.Stack, Callable[[Any], None]], Any]) -> Outcome:
        if self._handle is None:
            raise RuntimeError("a rehearsal runs inside `with rehearsal.started():`")
        quiet_loop_end()
        self._run = run = _Run()
        start = time.monotonic()
        outputs: dict[str, Any] = {}
        try:
            with _no_collector():
                result = operation(self._handle, lambda event: _watch(run, event))
        except Exception as failure:
            if run.failure is not None:
                raise EngineFailure([told(run.failure, self.project)], run.failure) from None
            raise EngineFailure(run.problems or [sentence_of(str(failure))], failure) from None
        outputs = {key: item.value for key, item in getattr(result, "outputs", {}).items()}
        return Outcome(
            changes=dict(sorted(Counter(run.operations.values()).items())),
            operations=run.operations,
            resources=run.recorder.resources,
            outputs=outputs,
            seconds=time.monotonic() - start,
        )

    def _inline(self) -> Any:
        """The program as the engine calls it back: recorded, and its own failure kept."""
        run = self._run
        if self._preload:
            self._preload.wait()
        settings: Any = runtime.SETTINGS
        settings.monitor = run.recorder.watch(settings.monitor)
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

    # -- the engine's own files -------------------------------------------------------------------

    def _open(self) -> auto.Stack:
        work = self._write_project()
        state = self.build / "state"
        state.mkdir(parents=True, exist_ok=True)
        options = auto.LocalWorkspaceOptions(
            work_dir=str(work),
            pulumi_home=str(self._home()),
            pulumi_command=_command(self._pulumi),
            env_vars={
                **_OFFLINE,
                **_SHORT_LIVED,
                **({} if self._checkpoints else _NO_CHECKPOINTS),
                "PULUMI_BACKEND_URL": state.as_uri(),
                "PULUMI_CONFIG_PASSPHRASE_FILE": str(self._passphrase_file()),
            },
        )
        name = cast(str, yaml.safe_load((work / "Pulumi.yaml").read_text())["name"])
        return auto.create_or_select_stack(
            self.stack, project_name=name, program=self._inline, opts=options
        )

    def _write_project(self) -> Path:
        """A copy of the project's two files for the engine, which writes into them."""
        work = self.build / "project"
        work.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.project / "Pulumi.yaml", work / "Pulumi.yaml")
        settings = self.project / f"Pulumi.{self.stack}.yaml"
        target = work / f"Pulumi.{self.stack}.yaml"
        own = yaml.safe_load(settings.read_text()) if settings.exists() else {}
        config = cast("dict[str, Any]", (own or {}).get("config") or {})
        kept = yaml.safe_load(target.read_text()) if target.exists() else {}
        # Another passphrase or key encrypted the real stack's secrets; no rehearsal can read them.
        copied = {"config": _without_secure(config)} if config else {}
        salt = (kept or {}).get("encryptionsalt")
        target.write_text(yaml.safe_dump(copied | ({"encryptionsalt": salt} if salt else {})))
        return work

    def _home(self) -> Path:
        """The engine's own folder, in which it can't write its automatic log.

        The CLI encrypts and compresses every property it sees into ``logs/``, 6 MB and 40 % of its
        time per preview, and has no switch for it; it goes on without when there is no such folder
        (pkg/logging/encrypted.go, StartLogging).
        """
        home = self.build / "home"
        home.mkdir(parents=True, exist_ok=True)
        logs = home / "logs"
        if logs.is_dir():
            shutil.rmtree(logs)
        logs.touch()
        return home

    def _passphrase_file(self) -> Path:
        path = self.build / "passphrase"
        if not path.exists():
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(24))
        return path


@contextmanager
def _no_collector() -> Generator[None]:
    """Without the cyclic garbage collector: a tenth less time for 10 MiB more memory."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _without_secure(value: Any) -> Any:
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value)
        if set(items) == {"secure"}:
            return "rehearsal"
        return {key: _without_secure(item) for key, item in items.items()}
    if isinstance(value, list):
        return [_without_secure(item) for item in cast("list[Any]", value)]
    return value


def _command(path: Path) -> auto.PulumiCommand:
    # PulumiCommand insists on ROOT/bin/pulumi and asks for the version again; tools has done both.
    command = auto.PulumiCommand.__new__(auto.PulumiCommand)
    command.command = str(path)
    command.version = VersionInfo(3, 259, 0)
    return command


def _watch(run: _Run, event: Any) -> None:
    if event.resource_pre_event:
        metadata = event.resource_pre_event.metadata
        if metadata.type != STACK_TYPE and not _DEFAULT_PROVIDER.search(metadata.urn):
            operation = metadata.op.value
            # A replacement is announced as three steps; to a person it is one thing.
            run.operations[metadata.urn] = "replace" if "replace" in operation else operation
    elif event.diagnostic_event and event.diagnostic_event.severity == "error":
        sentence = sentence_of(event.diagnostic_event.message)
        if sentence and sentence not in run.problems:
            run.problems.append(sentence)
