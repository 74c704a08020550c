"""Runs the unmodified program on the real Pulumi engine against the simulated clouds.

The program runs inline through Pulumi's Automation API, so no language host is needed; the engine
keeps its project copy, state, home and passphrase under a build folder, and nothing in the checkout
changes. Nothing here opens a connection beyond the loopback interface.
"""

# pyright: reportUnknownMemberType=false, reportPrivateImportUsage=false

from __future__ import annotations

import gc
import json
import re
import runpy
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial, partialmethod
from pathlib import Path
from typing import Any

import pulumi
from pulumi import automation as auto
from pulumi.runtime import settings as runtime

from rehearsal import policy_packs
from rehearsal.account import Account
from rehearsal.channels import channels_closed
from rehearsal.failures import (
    PROTECTED,
    expired_once,
    named,
    namespaces_explained,
    quiet_loop_end,
    sentence_of,
    sentence_of_exception,
)
from rehearsal.findings import MANDATORY, Finding, finding_of
from rehearsal.preload import Preload
from rehearsal.protocol import properties, to_struct
from rehearsal.providers import Simulation
from rehearsal.recording import STACK_TYPE, Planned, Recorder
from rehearsal.simulated import simulated_clouds
from rehearsal.steps import Step
from rehearsal.workspace import open_stack, unprotected_copy
from rendering.cache import write_atomically
from rendering.machine_faults import full, machine_faults_reported
from toolchain.file_backend import Lock, lock_files, remove_torn_attributes

Program = Callable[[], Any]

# Providers the engine makes for itself, one per package and version.
_DEFAULT_PROVIDER = re.compile(r"::pulumi:providers:[\w-]+::default(_|$)")


class EngineFailure(Exception):
    """The engine or the program failed; ``problems`` has one line each, without traces."""

    def __init__(
        self,
        problems: list[str],
        cause: BaseException | None = None,
        outcome: Outcome | None = None,
    ) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems
        self.cause = cause
        """The exception the program raised, when it was the program."""
        self.outcome = outcome
        """What a preview shows that the engine refuses: protection set aside, or all findings."""


@dataclass(frozen=True)
class Outcome:
    """One run of the engine.

    Args:
        changes: operation (``create``, ``update``, ``replace``, ``delete``, ``same`` ...) to count,
            without the stack itself.
        operations: URN to operation.
        resources: what the program asked for; empty for destroy and refresh.
        outputs: the stack's, after ``up``; ``[secret]`` for what is secret in them.
        steps: URN to what the engine did, or would do, of every verb.
        findings: of the policy packs.
    """

    changes: dict[str, int]
    operations: dict[str, str]
    resources: list[Planned]
    outputs: dict[str, Any]
    steps: dict[str, Step] = field(default_factory=dict[str, Step])
    findings: list[Finding] = field(default_factory=list[Finding])


@dataclass
class _Run:
    recorder: Recorder = field(default_factory=Recorder)
    steps: dict[str, Step] = field(default_factory=dict[str, Step])
    findings: list[Finding] = field(default_factory=list[Finding])
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
        packs: folders of policy packs that judge what is planned.
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
        packs: Sequence[Path] = (),
    ) -> None:
        self.project = project.resolve()
        self.stack = stack
        self.build = build.resolve()
        self._pulumi = pulumi
        self._account = self.build / "account.jsonl"
        self._journal = self.build / "account.run.jsonl"
        self._simulation = replace(simulation, journal=simulation.journal or str(self._journal))
        self._program = program
        self._packs = [str(folder.resolve()) for folder in packs]
        self._run = _Run()
        self._handle: auto.Stack | None = None
        self._preload: Preload | None = None

    @contextmanager
    def started(self) -> Generator[Rehearsal]:
        """Serves the simulated clouds and opens the stack, for as long as the context lasts.

        A rehearsal that was killed has written no state: its lock is removed, and an account of its
        own is as it was before.

        Raises:
            EngineFailure: another rehearsal of the stack runs.
            MachineFault: the build folder is on a full disk.
        """
        self._refuse_locked()
        self.build.mkdir(parents=True, exist_ok=True)
        Path(self._simulation.journal).parent.mkdir(parents=True, exist_ok=True)
        self._account.touch()
        write_atomically(self._journal, self._account.read_bytes())
        if self._program is None:
            self._preload = Preload(self.project)
        clouds = simulated_clouds(self._simulation, lambda: self._run.recorder, self.project)
        # The collector would walk a million live objects: 2.5 of a preview's 30 CPU seconds.
        gc.disable()
        try:
            with clouds as listening:
                stack = self._opened()
                attached = {"PULUMI_DEBUG_PROVIDERS": listening()}
                if self._packs:
                    attached |= policy_packs.environment()
                stack.workspace.env_vars = {**stack.workspace.env_vars, **attached}
                self._handle = stack
                yield self
        finally:
            self._handle = None
            # What the run leaves is set aside for good: collecting it takes two seconds.
            gc.freeze()
            gc.enable()

    def _opened(self) -> auto.Stack:
        try:
            return open_stack(self.project, self.stack, self.build, self._pulumi, self._inline)
        except auto.CommandError as failure:
            self._refuse_full_disk(failure)
            raise EngineFailure([sentence_of(str(failure))], failure) from None

    def _refuse_locked(self) -> None:
        state = self.build / "state"
        for path in lock_files(state):
            lock = Lock.of(path.read_bytes())
            if not lock.here or lock.alive:
                way_out = "wait for the end of that run, or stop it and start again."
                raise EngineFailure([f"{self.stack} is locked by {lock}: {way_out}"])
            path.unlink()
        remove_torn_attributes(state)

    def _refuse_full_disk(self, failure: Exception) -> None:
        # In the engine's output, in many words: of its own files, or of the simulated account.
        if "no space left on device" in str(failure).lower():
            raise full(self.build) from None

    def _perform(self, verb: str, *, refused: bool = False) -> Outcome:
        if self._handle is None:
            raise RuntimeError("a rehearsal runs inside `with rehearsal.started():`")
        quiet_loop_end()
        self._run = run = _Run()
        quiet: dict[str, Any] = {
            "on_event": partial(_watch, run),
            "suppress_outputs": True,
            "suppress_progress": True,
            "color": "never",
        }
        if self._packs and verb in ("preview", "up"):
            quiet["policy_packs"] = self._packs
        try:
            with channels_closed():
                if verb == "destroy":
                    # As the CLI does: the preview refuses to delete what is protected.
                    self._handle.preview_destroy(**quiet)
                getattr(self._handle, verb)(**quiet)
            if verb == "up":
                Account(Path(self._simulation.journal)).fill()
        except Exception as failure:
            self._refuse_full_disk(failure)
            if run.failure is not None:
                raise EngineFailure(
                    [sentence_of_exception(run.failure, self.project)], run.failure
                ) from None
            verdicts = [
                f"{each.policy}: {named(each.message, each.urn)}"
                for each in sorted(set(run.findings))
                if each.level == MANDATORY
            ]
            problems = namespaces_explained(
                expired_once(verdicts + run.problems or [sentence_of(str(failure))]),
                partial(_resources, self._handle),
                whole=verb == "destroy",
            )
            outcome = self._refused(run) if verb == "preview" and not refused else None
            raise EngineFailure(problems, failure, outcome) from None
        finally:
            # The engine has written the state, also after a failure.
            write_atomically(self._account, self._journal.read_bytes())
        return _outcome(run, with_outputs=verb == "up")

    def _refused(self, run: _Run) -> Outcome | None:
        """What a refused preview shows without the refusal.

        The engine goes on with other resources after a policy's objection, but leaves out what
        depends on a protected one; then the preview runs again on a state without protection.
        """
        if self._handle is None or run.failure is not None:
            return None
        if not any(PROTECTED in problem for problem in run.problems):
            return _outcome(run) if run.findings else None
        handle, folder = self._handle, self.build / "unprotected"
        try:
            urns = unprotected_copy(self.build / "state", folder)
            variables = {**handle.workspace.env_vars, "PULUMI_BACKEND_URL": folder.as_uri()}
            before, handle.workspace.env_vars = handle.workspace.env_vars, variables
            try:
                outcome = self._perform("preview", refused=True)
            finally:
                handle.workspace.env_vars = before
        except EngineFailure:
            return None
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        for urn in urns & outcome.steps.keys():
            outcome.steps[urn].lifted = True
        return outcome

    preview = partialmethod(_perform, "preview")
    """Plans what ``up`` would do."""
    up = partialmethod(_perform, "up")
    """Creates, updates and deletes until the simulated clouds are as the program describes."""
    refresh = partialmethod(_perform, "refresh")
    """Reads every resource back from the simulated clouds."""
    destroy = partialmethod(_perform, "destroy")
    """Deletes everything."""

    def planned_imports(self, file: Path) -> None:
        """Writes the resources that ``up`` would make, as ``preview --import-file`` does."""
        if self._handle is None:
            raise RuntimeError("a rehearsal runs inside `with rehearsal.started():`")
        self._run = _Run()
        self._handle.preview(import_file=str(file), suppress_outputs=True)

    def import_file(self, file: Path, variables: Mapping[str, str]) -> None:
        """Takes what a file names into the state, protected, as ``pulumi import`` does.

        Args:
            file: of ``pulumi import``.
            variables: that attach the engine to a language host.
        """
        if self._handle is None:
            raise RuntimeError("a rehearsal runs inside `with rehearsal.started():`")
        workspace = self._handle.workspace
        before, workspace.env_vars = workspace.env_vars, {**workspace.env_vars, **variables}
        content = json.loads(file.read_text("utf-8"))
        try:
            with channels_closed():
                self._handle.import_resources(
                    resources=content["resources"],
                    name_table=content["nameTable"],
                    protect=True,
                    generate_code=False,
                )
        finally:
            workspace.env_vars = before

    def _inline(self) -> Any:
        """The program as the engine calls it back: recorded, and its own failure kept."""
        run = self._run
        if self._preload:
            self._preload.wait()
        settings: Any = runtime.SETTINGS
        settings.monitor = run.recorder.watch(settings.monitor)
        # Four per resource, each a call that the program waits for: a fifth of a preview's time.
        pulumi.log.debug = _no_debug
        try:
            with machine_faults_reported():
                return self._program() if self._program else self._main_program()
        except BaseException as failure:
            run.failure = failure
            # A RunError reaches the engine as its text alone, without a stack trace.
            raise pulumi.RunError(sentence_of_exception(failure, self.project)) from failure

    def _main_program(self) -> None:
        # The folder of a program is on its path when Pulumi runs it.
        if str(self.project) not in sys.path:
            sys.path.insert(0, str(self.project))
        runpy.run_path(str(self.project / "__main__.py"), run_name="__main__")


def _no_debug(_msg: str, *_args: object, **_options: object) -> None:
    """Drops a debug message; the engine would drop it too, unless it is being debugged."""


def _resources(stack: auto.Stack) -> list[dict[str, Any]]:
    deployment: Any = stack.export_stack().deployment
    return deployment["resources"]


def _outcome(run: _Run, *, with_outputs: bool = False) -> Outcome:
    operations = {urn: step.operation for urn, step in run.steps.items()}
    return Outcome(
        changes=dict(sorted(Counter(operations.values()).items())),
        operations=operations,
        resources=run.recorder.resources,
        outputs=run.outputs if with_outputs else {},
        steps=run.steps,
        findings=sorted(set(run.findings)),
    )


def _watch(run: _Run, event: Any) -> None:
    if event.resource_pre_event:
        metadata = event.resource_pre_event.metadata
        if metadata.type != STACK_TYPE and not _DEFAULT_PROVIDER.search(metadata.urn):
            # A replacement is announced as three steps; to a person it is one thing.
            value = metadata.op.value
            operation = "replace" if "replace" in value else value
            step = run.steps.setdefault(metadata.urn, Step(operation))
            step.operation = operation
            step.add(metadata)
    elif event.res_outputs_event:
        metadata = event.res_outputs_event.metadata
        if metadata.type == STACK_TYPE:
            # A destroy ends without a new state of the stack.
            stack = metadata.new
            run.outputs = properties(to_struct(stack.outputs), mask=True) if stack else {}
        elif (step := run.steps.get(metadata.urn)) and step.operation == "refresh":
            # What the refresh found: same, update (a drift) or delete (pkg/engine/update.go,
            # OnResourceStepPost).
            step.operation = metadata.op.value
            step.add(metadata)
    elif event.diagnostic_event and event.diagnostic_event.severity == "error":
        sentence = named(sentence_of(event.diagnostic_event.message), event.diagnostic_event.urn)
        if sentence and sentence not in run.problems:
            run.problems.append(sentence)
    elif finding := finding_of(event):
        run.findings.append(finding)
