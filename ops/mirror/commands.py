"""``./kf images mirror`` and ``check``: the copies in the account's registry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.filesize import decimal

from ops import inventories, targets
from ops.cli_errors import errors_reported
from ops.mirror.plan import State, Surveyed, bytes_to_copy, ordered
from ops.mirror.registry_state import add_sizes, survey
from ops.mirror.run import Run
from ops.mirror.target import opened
from terminal.application import interruptible
from terminal.exit_codes import FAILED
from terminal.output import Columns, Format, Row, chosen, fail, format_option, messages, say, show

STOPPED = "stopped; the same command continues with the rest"

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
    stack: targets.Stack = targets.DEFAULT,
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
    """Copies missing images to the account's registry; can be interrupted and rerun.

    Example: `./kf images mirror --stack cn-north-1 --only '*kserve*' --dry-run`
    """
    with (
        errors_reported(),
        interruptible(STOPPED),
        opened(stack, file, only) as (copies, target, crane),
    ):
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
                say(f"{item.copy} -> {item.copy.target}")
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
    stack: targets.Stack = targets.DEFAULT,
    file: From = None,
    only: Only = None,
    ask_sources: Annotated[
        bool,
        typer.Option(
            "--ask-sources", help="If the lock has no digest, query the image's own registry."
        ),
    ] = False,
    format_: Annotated[
        Format | None,
        format_option(
            "source, target, state, wanted, found, problem, of every image",
            "a sentence per line, of each image that is not as it should be",
        ),
    ] = None,
) -> None:
    """Lists copies that are missing or differ from their source or the lock.

    Example: `./kf images check --stack cn-north-1`
    """
    with (
        errors_reported(),
        interruptible(STOPPED),
        opened(stack, file, only) as (copies, target, crane),
    ):
        surveyed = survey(copies, target, crane, query_sources=ask_sources, parallel=8)
    wrong = [item for item in surveyed if item.problem or item.due]
    columns: Columns = {"source": "source", "finding": _verdict}
    shown = surveyed if chosen(format_) == "json" else wrong
    show([_row(item) for item in shown], format_, columns, line=_sentence)
    messages.print(_counts(surveyed))
    if wrong:
        raise typer.Exit(FAILED)


def _counts(surveyed: Sequence[Surveyed]) -> str:
    counts = Counter("undecided" if item.problem else str(item.state) for item in surveyed)
    states = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
    return f"{len(surveyed)} images: {states}"


def _row(item: Surveyed) -> Row:
    return {
        "source": str(item.copy),
        "target": str(item.copy.target),
        "state": item.state,
        "wanted": item.expected,
        "found": item.actual,
        "problem": item.problem,
    }


def _sentence(row: Row) -> str:
    return f"{row['source']} {_verdict(row)}"


def _verdict(row: Row) -> str:
    if row["problem"]:
        return row["problem"]
    if row["state"] is State.MISSING:
        return f"is missing: there is no {row['target']}"
    return f"differs: {row['target']} is {row['found']}, not {row['wanted']}"
