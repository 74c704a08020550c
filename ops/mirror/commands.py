"""``./kf images mirror`` and ``check``: the copies in the account's registry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.filesize import decimal

from costs import report
from costs.copies import Amount, priced
from ops import inventories, registry_reach, targets
from ops.cli_errors import Refused, errors_reported
from ops.crane import Crane
from ops.mirror.plan import Copy, State, Surveyed, bytes_to_copy, ordered
from ops.mirror.registry_state import add_sizes, survey
from ops.mirror.registry_state import ask_sources as ask_sources_of
from ops.mirror.run import Run
from ops.mirror.target import Target, opened
from regions.price_list import PricesRejected, prices_of
from regions.region import Region
from rendering.release import GoneImage
from settings.mirror_mode import MirrorMode
from terminal.application import interruptible
from terminal.exit_codes import FAILED
from terminal.output import Columns, Format, Row, chosen, fail, format_option, messages, say, show

_WAY_OUT = (
    "run this where they are reached, set a proxy, or let the builds of `pulumi up` copy "
    "(kubeflow:imageMirror.inventoryFirst)"
)
STOPPED = "stopped; the same command continues with the rest"

From = Annotated[
    Path | None,
    typer.Option(
        "--from",
        metavar="FILE",
        help="Images of this file, one a line: a source, or `source -> target`.",
    ),
]
Only = Annotated[
    str | None, typer.Option(metavar="PATTERN", help="Only sources that match, such as '*kserve*'.")
]

Registry = Annotated[
    str | None,
    typer.Option(
        metavar="HOST/PREFIX",
        help="Where copies of --from go, in place of a stack's registry.",
    ),
]


def mirror(
    *,
    stack: targets.Stack = targets.DEFAULT,
    file: From = None,
    registry: Registry = None,
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
        opened(stack, file, only, registry) as (copies, target, crane),
    ):
        surveyed, down = _surveyed(copies, target, crane, parallel * 2, asked=True)
        lost = [_host(item) for item in surveyed if _is_lost(item, down)]
        surveyed = [
            replace(item, problem=down[_host(item)]) if _is_lost(item, down) else item
            for item in surveyed
        ]
        if estimate:
            surveyed = add_sizes(surveyed, crane, parallel=parallel * 2)
        due = ordered(item for item in surveyed if item.due)
        failed = {str(i.copy): i.problem for i in surveyed if i.problem and not _is_lost(i, down)}
        messages.print(_counts(surveyed))
        if due:
            bytes_ = f", {decimal(bytes_to_copy(due))} with what their repositories already hold"
            messages.print(f"to copy: {len(due)} images{bytes_ if estimate else ''}")
            if estimate and target.account and registry is None:
                for sentence in _prices(stack, due):
                    messages.print(f"  {sentence}")
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
        gone: dict[str, GoneImage] = {}
        if registry is None:
            release = targets.MANIFESTS / targets.settings_of(stack).release
            gone = inventories.known_gone(release, failed)
    if failed or lost:
        for source, entry in gone.items():
            copy = f"of {entry.substitute}" if entry.substitute else "that still exists"
            failed[source] = (
                f"{failed[source]}; it is reported gone, push a copy {copy} to the target"
            )
        counted = f"{len(failed) + len(lost)} of {len(copies)} images cannot be copied:"
        reasons = [f"  {source} {reason}" for source, reason in sorted(failed.items())]
        silent = registry_reach.grouped(down, lost)
        raise fail([counted, *reasons, *silent], FAILED)


def check(
    *,
    stack: targets.Stack = targets.DEFAULT,
    file: From = None,
    registry: Registry = None,
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
        opened(stack, file, only, registry) as (copies, target, crane),
    ):
        surveyed, down = _surveyed(copies, target, crane, 8, asked=ask_sources)
    wrong = [item for item in surveyed if item.problem or item.due or item.moved]
    columns: Columns = {"source": "source", "finding": _verdict}
    shown = surveyed if chosen(format_) == "json" else wrong
    show([_row(item) for item in shown], format_, columns, line=_sentence)
    messages.print(_counts(surveyed))
    unknown = [_host(item) for item in surveyed if item.depends_on_source]
    for line in registry_reach.grouped(down, unknown):
        messages.print(f"not compared:{line.removeprefix(' ')}", style="red")
    if wrong or down:
        raise typer.Exit(FAILED)


def _surveyed(
    copies: Sequence[Copy], target: Target, crane: Crane, parallel: int, *, asked: bool
) -> tuple[list[Surveyed], dict[str, str]]:
    """The copies as far as registries answer; host -> reason of those that do not.

    Args:
        copies: in question.
        target: that has them.
        crane: asks.
        parallel: number of queries at a time.
        asked: whether sources are asked too.

    Raises:
        typer.Exit: no registry answers that is needed; said in one sentence.
    """
    down = registry_reach.unreachable([target.host] if target.host else [])
    if down:
        raise fail([registry_reach.none_answers(down, "it is where the copies go")], FAILED)
    surveyed = survey(copies, target, parallel)
    if not asked:
        return surveyed, {}
    needed = {_host(item) for item in surveyed if item.depends_on_source or item.due}
    down = registry_reach.unreachable(needed)
    if down.keys() == needed and any(item.actual is None for item in surveyed):
        raise fail([registry_reach.none_answers(down, _WAY_OUT)], FAILED)
    answering = [item for item in surveyed if _host(item) not in down]
    compared = iter(ask_sources_of(answering, crane, parallel))
    return [item if _host(item) in down else next(compared) for item in surveyed], down


def _prices(stack: str, due: Sequence[Surveyed]) -> list[str]:
    """What the copies cost where the builds of `pulumi up` make them, and to keep."""
    settings = targets.settings_of(stack)
    build = MirrorMode(settings.image_mirror, Region.of(settings.region)).build_region.name
    amount = Amount(len(due), bytes_to_copy(due), 0)
    uses = (("transfer.out", build), ("ecr.stored", settings.region))
    own = report.own_prices()
    try:
        return [priced(key, amount, prices_of(region, own)) for key, region in uses]
    except PricesRejected as error:
        raise Refused(str(error)) from None


def _host(item: Surveyed) -> str:
    return item.copy.source.registry


def _is_lost(item: Surveyed, down: Mapping[str, str]) -> bool:
    """Whether there is no copy, and no registry to make one from."""
    return item.actual is None and _host(item) in down


def _counts(surveyed: Sequence[Surveyed]) -> str:
    moved = sum(item.moved for item in surveyed)
    note = f"; of the platform {moved} differ and stay: images.lock has no digest of them"
    counts = Counter("undecided" if item.problem else str(item.state) for item in surveyed)
    states = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
    return f"{len(surveyed)} images: {states}{note if moved else ''}"


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
