"""``./kf images``: the images a stack can pull, and the lock of those of a release."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from ops import inventories, targets
from ops.cli_errors import FAILED, Refused, fail, messages, told
from ops.crane import running
from ops.lock_digests import digest_of, fill, unknown
from ops.mirror import commands as mirror_commands
from rendering import ImageUse
from rendering import lock as locks
from rendering.inventory import floating_uses
from rendering.release import GoneImage

app = typer.Typer(no_args_is_help=True, help="Images: list, lock, mirror, check.")
app.command("mirror")(mirror_commands.mirror)
app.command("check")(mirror_commands.check)

Bundle = Annotated[
    Path | None,
    typer.Option("--bundle", help="Sources from this bundle, archive or folder.", metavar="FILE"),
]


class Format(StrEnum):
    """How a list is printed."""

    TABLE = "table"
    JSON = "json"
    TEXT = "text"


@app.command("list")
def list_(
    *,
    stack: Annotated[str, typer.Option(help="The stack: Pulumi.<stack>.yaml.")],
    format_: Annotated[
        Format, typer.Option("--format", help="text: tab-separated, one image per line.")
    ] = Format.TABLE,
    bundle: Bundle = None,
) -> None:
    """Lists every image the stack can pull: source, target, reason, place in the manifests."""
    with told():
        settings = targets.settings_of(stack)
        targets.use_bundle(bundle, targets.MANIFESTS / settings.release)
        uses = inventories.of_stack(settings)
        sources = [use.source for use in uses]
        gone = inventories.known_gone(targets.MANIFESTS / settings.release, sources)
    _print(uses, gone, format_)
    counts = Counter(use.needed for use in uses)
    messages.print(
        f"{len(uses)} images of {stack}: " + ", ".join(f"{n} {kind}" for kind, n in counts.items())
    )
    for known, count in Counter(gone.values()).items():
        messages.print(_lost(known, count), style="yellow")


@app.command("lock")
def lock(
    *,
    release: Annotated[
        str | None,
        typer.Option(help="A folder under manifests/: 26.03, addons/karpenter-1.14.1."),
    ] = None,
    stack: Annotated[
        str | None, typer.Option(help="Instead of --release: the release and add-ons of a stack.")
    ] = None,
    refresh: Annotated[bool, typer.Option(help="Query also digests that the lock has.")] = False,
    offline: Annotated[
        bool, typer.Option(help="Query no registry: update lines, retain known digests.")
    ] = False,
    registry_mirror: Annotated[
        str | None,
        typer.Option(help="Query this mirror (host[/prefix], laid out as ours), not sources."),
    ] = None,
    parallel: Annotated[int, typer.Option(min=1, max=64, help="Number of parallel queries.")] = 8,
    bundle: Bundle = None,
) -> None:
    """Updates images.lock from the render and adds digests; can be interrupted and rerun."""
    problems: list[str] = []
    with told():
        for folder in _folders(release, stack):
            name = folder.relative_to(targets.MANIFESTS).as_posix()
            targets.use_bundle(bundle, folder)
            uses = inventories.of_release(folder)
            updated = locks.load(folder, name).updated(uses)
            if not uses:
                continue
            locks.write(folder, updated)
            problems += floating_uses(uses)
            if not offline and unknown(updated, refresh=refresh):
                with running(messages.print) as crane:
                    ask = partial(digest_of, crane=crane, mirror=registry_mirror)
                    failed = fill(folder, updated, ask, refresh=refresh, parallel=parallel)
                problems += [f"{source} {why}" for source, why in failed.items()]
            written = locks.load(folder, name)
            known = sum(image.digest is not None for image in written.images)
            messages.print(f"{name}: {len(uses)} images, {known} with a digest")
    if problems:
        raise fail(problems, FAILED)


def _folders(release: str | None, stack: str | None) -> list[Path]:
    if (release is None) == (stack is None):
        raise Refused("say which lock: either --release or --stack.")
    if release is not None:
        return [targets.release_folder(release)]
    return targets.folders_of_stack(targets.settings_of(str(stack)))


def _lost(known: GoneImage, count: int) -> str:
    what = f"{count} images {known.image} are" if count > 1 else f"{known.image} is"
    way = (
        f"push a copy of {known.substitute} to the target"
        if known.substitute
        else "nothing is known to take their place, so push copies that somebody still has"
    )
    return f"{what} reported gone ({known.source}): {way}."


def _print(uses: Sequence[ImageUse], gone: Mapping[str, GoneImage], format_: Format) -> None:
    match format_:
        case Format.JSON:
            rows = [
                {
                    "source": use.source,
                    "target": use.target,
                    "needed": use.needed,
                    "where": list(use.where),
                    "gone": use.source in gone,
                    "substitute": gone[use.source].substitute if use.source in gone else None,
                }
                for use in uses
            ]
            typer.echo(json.dumps(rows, indent=2))
        case Format.TEXT:
            for use in uses:
                typer.echo("\t".join((use.source, use.target, use.needed, "; ".join(use.where))))
        case Format.TABLE:
            console = Console(highlight=False, markup=False)
            table = Table("source", "target", "needed", "where")
            for column in table.columns:
                column.overflow = "fold"
            for use in uses:
                table.add_row(use.source, use.target, use.needed, _short(use.where))
            console.print(table)


def _short(where: Sequence[str]) -> str:
    more = f" and {len(where) - 1} more" if len(where) > 1 else ""
    return f"{where[0]}{more}"
