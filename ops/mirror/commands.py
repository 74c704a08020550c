"""``./kf images mirror`` and ``check``: the copies in the account's registry."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ops import inventories, targets
from ops.cli_errors import FAILED, fail, messages, told
from ops.mirror import plan
from ops.mirror.plan import State, Surveyed
from ops.mirror.registry_state import survey, weigh
from ops.mirror.run import Run
from ops.mirror.target import Target, opened
from rendering.release import GoneImage

INTERRUPTED = 130
"""What shells take for ended by Ctrl-C."""

Stack = Annotated[str, typer.Option(help="The stack: Pulumi.<stack>.yaml.")]
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


class Format(StrEnum):
    """How the answer is printed."""

    TEXT = "text"
    JSON = "json"


def mirror(
    *,
    stack: Stack,
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
    with told(), _interruptible(), opened(stack, file, only) as (copies, target, crane):
        surveyed = survey(copies, target, crane, ask_sources=True, parallel=parallel * 2)
        if estimate:
            surveyed = weigh(surveyed, crane, parallel=parallel * 2)
        due = plan.ordered(each for each in surveyed if each.due)
        failed = {str(each.copy): each.problem for each in surveyed if each.problem}
        _announce(surveyed, due, target, estimated=estimate)
        if dry_run:
            for each in due:
                typer.echo(f"{each.copy} -> {each.copy.target}")
        elif due:
            failed |= _copied(due, target, Run(due, target, crane), parallel)
        known = _gone(stack, failed)
    if failed:
        counted = f"{len(failed)} of {len(copies)} images cannot be copied:"
        reasons = [
            f"  {source} {why}{known.get(source, '')}" for source, why in sorted(failed.items())
        ]
        raise fail([counted, *reasons], FAILED)


def check(
    *,
    stack: Stack,
    file: From = None,
    only: Only = None,
    ask_sources: Annotated[
        bool,
        typer.Option(
            "--ask-sources", help="If the lock has no digest, query the image's own registry."
        ),
    ] = False,
    format_: Annotated[
        Format, typer.Option("--format", help="json: every image, with its digests.")
    ] = Format.TEXT,
) -> None:
    """Lists copies that are missing or differ from their source or the lock."""
    with told(), _interruptible(), opened(stack, file, only) as (copies, target, crane):
        surveyed = survey(copies, target, crane, ask_sources=ask_sources, parallel=8)
    if format_ is Format.JSON:
        rows = [
            {
                "source": str(each.copy),
                "target": each.copy.target,
                "state": each.state,
                "wanted": each.wanted,
                "found": each.found,
                "problem": each.problem,
            }
            for each in surveyed
        ]
        typer.echo(json.dumps(rows, indent=2))
    else:
        for each in surveyed:
            if each.problem or each.due:
                typer.echo(f"{each.copy} {_verdict(each)}")
    messages.print(f"{len(surveyed)} images: {_counts(surveyed)}")
    if any(each.problem or each.due for each in surveyed):
        raise typer.Exit(FAILED)


def _copied(due: Sequence[Surveyed], target: Target, run: Run, parallel: int) -> dict[str, str]:
    made = target.prepare(each.copy for each in due)
    if made:
        messages.print(f"made {len(made)} repositories")
    try:
        run.copy(parallel)
    finally:
        outcome = run.outcome
        messages.print(
            f"copied {len(outcome.copied)} of {len(due)} images and verified their digests: "
            f"{plan.human(outcome.moved)} in {plan.minutes(outcome.seconds)}, "
            f"{outcome.retries} attempts repeated"
        )
    return outcome.failed


def _announce(
    surveyed: Sequence[Surveyed], due: Sequence[Surveyed], target: Target, *, estimated: bool
) -> None:
    messages.print(f"{len(surveyed)} images: {_counts(surveyed)}")
    if due:
        size = (
            f", {plan.human(plan.bytes_to_copy(due))} with what their repositories already hold"
            if estimated
            else ""
        )
        messages.print(f"to copy: {len(due)} images{size}")
    if lacking := target.lacking(each.copy for each in due):
        messages.print(f"repositories to make: {len(lacking)}")


def _counts(surveyed: Sequence[Surveyed]) -> str:
    counts = Counter("undecided" if each.problem else str(each.state) for each in surveyed)
    return ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))


def _verdict(each: Surveyed) -> str:
    if each.problem:
        return each.problem
    if each.state is State.MISSING:
        return f"is missing: there is no {each.copy.target}"
    return f"differs: {each.copy.target} is {each.found}, not {each.wanted}"


def _gone(stack: str, sources: Iterable[str]) -> dict[str, str]:
    """What is known about images that could not be had, as more of the sentence."""
    gone = inventories.known_gone(targets.MANIFESTS / targets.settings_of(stack).release, sources)
    return {
        source: f"; it is reported gone, push a copy {_instead(known)} to the target"
        for source, known in gone.items()
    }


def _instead(gone: GoneImage) -> str:
    return f"of {gone.substitute}" if gone.substitute else "that somebody still has"


@contextmanager
def _interruptible() -> Generator[None]:
    """Ctrl-C and SIGTERM end a run alike: what is complete stays, the rest is told."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        messages.print("stopped; the same command goes on with the rest")
        raise typer.Exit(INTERRUPTED) from None
    finally:
        signal.signal(signal.SIGTERM, before)
