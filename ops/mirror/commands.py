"""``./kf images mirror`` and ``check``: the copies in the account's registry."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.filesize import decimal

from ops import inventories, targets
from ops.cli_errors import FAILED, errors_reported, fail, messages
from ops.mirror.plan import State, Surveyed, bytes_to_copy, ordered
from ops.mirror.registry_state import add_sizes, survey
from ops.mirror.run import Run
from ops.mirror.target import opened

INTERRUPTED = 130
"""The exit code of shells for a program ended by Ctrl-C."""

From = Annotated[
    Path | None,
    typer.Option(
        "--from",
        metavar="FILE",
        help="Lines `source -> target` (build/<stack>/images.txt) instead of the inventory.",
    ),
]
Only = Annotated[
    str | None, typer.Option(metavar="PATTERN", help="Only sources that match, such as '*kserve*'.")
]


def mirror(
    *,
    stack: targets.Stack,
    file: From = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the planned copies; change nothing.")
    ] = False,
    parallel: Annotated[int, typer.Option(min=1, max=64, help="Number of parallel copies.")] = 4,
    only: Only = None,
    estimate: Annotated[
        bool,
        typer.Option(
            help="Print the total size first; each manifest read counts as a Docker Hub pull."
        ),
    ] = True,
) -> None:
    """Copies missing images to the account's registry; can be interrupted and rerun."""
    with errors_reported(), _interruptible(), opened(stack, file, only) as (copies, target, crane):
        surveyed = survey(copies, target, crane, query_sources=True, parallel=parallel * 2)
        if estimate:
            surveyed = add_sizes(surveyed, crane, parallel=parallel * 2)
        due = ordered(item for item in surveyed if item.due)
        failed = {str(item.copy): item.problem for item in surveyed if item.problem}
        messages.print(_counts(surveyed))
        if due:
            bytes_ = f", {decimal(bytes_to_copy(due))} with what their repositories already hold"
            messages.print(f"to copy: {len(due)} images{bytes_ if estimate else ''}")
        if missing := target.missing_repositories(item.copy for item in due):
            messages.print(f"repositories to make: {len(missing)}")
        if dry_run:
            for item in due:
                typer.echo(f"{item.copy} -> {item.copy.target}")
        elif due:
            if created := target.prepare(item.copy for item in due):
                messages.print(f"made {len(created)} repositories")
            run = Run(due, target, crane)
            run.copy(parallel)
            failed |= run.failed
        release = targets.MANIFESTS / targets.settings_of(stack).release
        gone = inventories.known_gone(release, failed)
    if failed:
        for source, entry in gone.items():
            copy = f"of {entry.substitute}" if entry.substitute else "that still exists"
            failed[source] = (
                f"{failed[source]}; it is reported gone, push a copy {copy} to the target"
            )
        counted = f"{len(failed)} of {len(copies)} images cannot be copied:"
        reasons = [f"  {source} {reason}" for source, reason in sorted(failed.items())]
        raise fail([counted, *reasons], FAILED)


def check(
    *,
    stack: targets.Stack,
    file: From = None,
    only: Only = None,
    ask_sources: Annotated[
        bool,
        typer.Option(
            "--ask-sources", help="If the lock has no digest, query the image's own registry."
        ),
    ] = False,
    format_: Annotated[
        Literal["text", "json"],
        typer.Option("--format", help="json: every image, with its digests."),
    ] = "text",
) -> None:
    """Lists copies that are missing or differ from their source or the lock."""
    with errors_reported(), _interruptible(), opened(stack, file, only) as (copies, target, crane):
        surveyed = survey(copies, target, crane, query_sources=ask_sources, parallel=8)
    wrong = [item for item in surveyed if item.problem or item.due]
    if format_ == "json":
        rows = [
            {
                "source": str(item.copy),
                "target": str(item.copy.target),
                "state": item.state,
                "wanted": item.expected,
                "found": item.actual,
                "problem": item.problem,
            }
            for item in surveyed
        ]
        typer.echo(json.dumps(rows, indent=2))
    else:
        for item in wrong:
            typer.echo(f"{item.copy} {_verdict(item)}")
    messages.print(_counts(surveyed))
    if wrong:
        raise typer.Exit(FAILED)


def _counts(surveyed: Sequence[Surveyed]) -> str:
    counts = Counter("undecided" if item.problem else str(item.state) for item in surveyed)
    states = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
    return f"{len(surveyed)} images: {states}"


def _verdict(item: Surveyed) -> str:
    if item.problem:
        return item.problem
    if item.state is State.MISSING:
        return f"is missing: there is no {item.copy.target}"
    return f"differs: {item.copy.target} is {item.actual}, not {item.expected}"


@contextmanager
def _interruptible() -> Generator[None]:
    """Ctrl-C and SIGTERM end a run in the same way: complete copies remain."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        messages.print("stopped; the same command continues with the rest")
        raise typer.Exit(INTERRUPTED) from None
    finally:
        signal.signal(signal.SIGTERM, before)
