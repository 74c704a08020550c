"""``./kf verify``: checks of a live platform, with the way out of each problem."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from ops import targets
from ops.cli_errors import Refused, errors_reported
from ops.current_cluster import Unreachable
from ops.live_cluster import LiveCluster
from ops.side_processes import one_signal_later, terminated_as_interrupted
from ops.verification import results, workspace
from ops.verification.check import Check, Verdict
from ops.verification.live_platform import live_platform
from ops.verification.platform import Platform
from ops.verification.profile import chosen
from ops.verification.progress import Progress
from ops.verification.registry import CHECKS
from ops.verification.run import Run
from ops.verification.selection import selected
from ops.verification.workspace import Workspaces
from settings import Settings
from terminal.exit_codes import BAD_INPUT, FAILED, INCOMPLETE, incomplete_fails
from terminal.output import Format, fail, format_option, messages

KEYS = (
    "level (good, note, problem, not checked), about, sentence, check, looks_at, seconds, waited; "
    "with --list: check, group, deep, needs, looks_at"
)


def verify(
    *,
    stack: targets.Stack = targets.DEFAULT,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A check, a group, or the first word of names, such as database; repeatable. "
            "What it needs runs too.",
            show_default="every check",
        ),
    ] = None,
    deep: Annotated[
        bool,
        typer.Option(
            "--deep",
            help="Also the checks that run something on the platform: it is taken away again.",
        ),
    ] = False,
    user: Annotated[
        str | None,
        typer.Option(
            metavar="EMAIL",
            help="In whose profile --deep runs things.",
            show_default="the first of kubeflow:users",
        ),
    ] = None,
    junit: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A report for GitLab or Jenkins.", show_default=False),
    ] = None,
    list_: Annotated[
        bool, typer.Option("--list", help="Lists the checks, and ends.", show_default=False)
    ] = False,
    clean: Annotated[
        bool,
        typer.Option(
            "--clean",
            help="Deletes what verifications that were killed have left, and ends.",
            show_default=False,
        ),
    ] = False,
    format_: Annotated[
        Format | None, format_option(KEYS, "level, about, sentence, tab-separated, a line each")
    ] = None,
) -> None:
    """Checks a live platform, on the cluster of the current kubeconfig.

    Without --deep nothing is made. Exit codes: 0 good or notes only, 1 a problem, 3 no problem and
    something could not be checked (1 where CI=true), 2 bad input or no cluster.

    Example: `./kf verify --stack cn-north-1 --deep --junit verify.xml`
    """
    with errors_reported(), terminated_as_interrupted():
        settings = targets.settings_of(stack)
        checks = selected(CHECKS, only or (), deep=deep or list_)
        if list_:
            results.list_of(checks, format_)
            return
        if junit and not junit.absolute().parent.is_dir():
            raise Refused(f"--junit is {junit}: there is no folder {junit.parent}, make it.")
        if junit and not _writable(junit):
            raise Refused(f"--junit is {junit}, which cannot be written: name another file.")
        if user is not None:
            chosen(settings, user)
        cluster = LiveCluster.of_stack(stack, settings)
        verification = Verification(stack, settings, cluster, user=user)
        if clean:
            verification.clean(CHECKS)
            return
        begun, start = datetime.now(UTC), time.monotonic()
        run = verification.run(checks)
        seconds = time.monotonic() - start
        results.report(run.results, format_)
        if junit:
            junit.write_bytes(results.junit(stack, run.results, seconds, begun))
        if not only and (deeper := len(CHECKS) - len(checks)):
            messages.print(f"{deeper} more checks with --deep.", style="dim")
        _end(run, seconds)


def _writable(file: Path) -> bool:
    """Whether a file can be made or replaced."""
    if file.exists():
        return file.is_file() and os.access(file, os.W_OK)
    return os.access(file.absolute().parent, os.W_OK)


def _end(run: Run, seconds: float) -> None:
    """The last words and the exit code."""
    missing = [each.check.name for each in run.results if each.verdict is Verdict.NOT_CHECKED]
    if missing:
        messages.print(f"Not everything was checked: {', '.join(missing)}.", style="yellow")
    messages.print(results.summary(run.results, seconds, run.waited))
    if run.lost:
        raise fail([run.lost], BAD_INPUT)
    verdicts = {result.verdict for result in run.results}
    if Verdict.PROBLEM in verdicts or (missing and incomplete_fails()):
        raise typer.Exit(FAILED)
    if missing:
        raise typer.Exit(INCOMPLETE)


_TAKING_AWAY = (
    "Taking away what this verification made. A second Ctrl-C leaves that to Kubernetes, which "
    "needs {seconds} seconds at most, and to `./kf verify --clean`."
)


def _warn(sentences: Sequence[str]) -> None:
    for sentence in sentences:
        messages.print(sentence, style="yellow")


class Verification:
    """One verification of a platform, with the end of everything that it makes.

    Args:
        stack: its name.
        settings: of its stack file.
        cluster: of the kubeconfig.
        ahead: seconds after which Kubernetes deletes what a killed verification has made.
        user: in whose profile things run; None: the first of the stack.
    """

    def __init__(
        self,
        stack: str,
        settings: Settings,
        cluster: LiveCluster,
        ahead: int = workspace.AHEAD_SECONDS,
        user: str | None = None,
    ) -> None:
        self._cluster = cluster
        self._progress = Progress()
        self._workspaces = Workspaces(cluster, self._progress, ahead)
        # The first request: what follows is of no use without an API server.
        cluster.answer("GET", "/version", {})
        self._platform: Platform = live_platform(stack, settings, cluster, self._workspaces, user)

    def run(self, checks: Sequence[Check]) -> Run:
        """Examines the checks and takes everything away that they made, also when interrupted.

        Raises:
            Unreachable: the API server does not answer the first check.
        """
        run = Run()
        with self._progress.shown():
            try:
                if any(check.creates for check in checks):
                    self._sweep(checks)
                run.add(checks, self._platform, self._progress)
            except (KeyboardInterrupt, SystemExit):
                if self._workspaces.made:
                    messages.print(_TAKING_AWAY.format(seconds=self._workspaces.ahead))
                raise
            finally:
                self._progress.at("takes away what it made")
                with one_signal_later():
                    _warn(self._workspaces.delete())
                _warn(self._workspaces.await_end())
                run.waited = self._progress.waited
        return run

    def clean(self, checks: Sequence[Check]) -> None:
        """Deletes what verifications that were killed have left."""
        swept = self._sweep(checks)
        living = sorted(workspace.alive(self._cluster))
        if living:
            seconds = workspace.AHEAD_SECONDS
            messages.print(
                f"Left alone, because they run or were killed within the last {seconds} seconds: "
                f"{', '.join(living)}."
            )
        if not swept:
            raise typer.Exit(FAILED)
        messages.print("What verifications that have ended left is deleted.")

    def _sweep(self, checks: Sequence[Check]) -> bool:
        """Whether all of it could be done."""
        done = True
        sweeps = [("objects of earlier verifications", lambda: workspace.sweep(self._cluster))]
        for check in checks:
            if each := check.sweep:
                sweeps.append(
                    (f"what {check.name} made earlier", lambda each=each: each(self._platform))
                )
        for what, function in sweeps:
            try:
                function()
            except Unreachable:
                raise
            except Refused as refused:
                done = False
                messages.print(f"{what} may still be there: {refused}", style="yellow")
            except Exception as error:  # what is left must not hide what the checks find
                done = False
                messages.print(
                    f"{what} may still be there ({type(error).__name__}): `./kf verify --clean`.",
                    style="yellow",
                )
        return done
