"""``./kf images``: the images a stack can pull, and the locks of releases."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from images.reference import parse
from ops import inventories, registry_reach, targets
from ops.cli_errors import Refused, errors_reported
from ops.crane import Crane, find
from ops.lock_digests import add_digests, digest_of, to_query
from ops.mirror import commands as mirror_commands
from ops.mirror.account_copies import sources_of_copies
from ops.mirror.docker_config import own_logins
from rendering import ImageUse
from rendering import lock as locks
from rendering.inventory import floating_uses
from rendering.lock import Lock
from rendering.release import GoneImage
from terminal.application import application
from terminal.exit_codes import FAILED
from terminal.output import Columns, Format, Row, fail, format_option, messages, show, tab_separated

app = application(no_args_is_help=True, help="Images: list, lock, mirror, check.")
app.command("mirror")(mirror_commands.mirror)
app.command("check")(mirror_commands.check)

Bundle = Annotated[
    Path | None,
    typer.Option("--bundle", help="Sources from this bundle, archive or folder.", metavar="FILE"),
]


@app.command("list")
def list_(
    *,
    stack: targets.Stack = targets.DEFAULT,
    format_: Annotated[
        Format | None,
        format_option(
            "source, target, needed (install, feature, example), where (a list), gone, substitute",
            "tab-separated, one image per line: source, target, needed, where",
        ),
    ] = None,
    bundle: Bundle = None,
) -> None:
    """Lists every image the stack can pull: source, target, reason, place in the manifests.

    Example: `./kf images list --stack cn-north-1 --format text | cut -f 1`
    """
    with errors_reported():
        settings = targets.settings_of(stack)
        folder = targets.MANIFESTS / settings.release
        targets.use_bundle(bundle, folder)
        uses = inventories.of_stack(settings)
        gone = inventories.known_gone(folder, [use.source for use in uses])
    _print(uses, gone, format_)
    counts = Counter(use.needed for use in uses)
    messages.print(
        f"{len(uses)} images of {stack}: " + ", ".join(f"{n} {kind}" for kind, n in counts.items())
    )
    for entry, count in Counter(gone.values()).items():
        messages.print(_gone(entry, count), style="yellow")


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
    from_account: Annotated[
        bool,
        typer.Option(
            "--from-account", help="With --stack: fill digests from the copies in its account."
        ),
    ] = False,
    parallel: Annotated[int, typer.Option(min=1, max=64, help="Number of parallel queries.")] = 8,
    bundle: Bundle = None,
) -> None:
    """Updates images.lock from the render and adds digests; can be interrupted and rerun.

    Example: `./kf images lock --release 26.03 --offline`
    """
    problems: list[str] = []
    with errors_reported():
        if from_account and stack is None:
            raise Refused("--from-account reads the copies of a stack: name it by --stack.")
        for folder in _folders(release, stack):
            name = folder.relative_to(targets.MANIFESTS).as_posix()
            targets.use_bundle(bundle, folder)
            uses = inventories.of_release(folder)
            # A folder that began as a copy of another has the lock of that one, with its digests.
            before = locks.load(folder, name).model_copy(update={"release": name})
            updated = before.updated(uses)
            if not uses:
                continue
            if from_account:
                updated, differing = _filled_from_account(updated, str(stack), refresh=refresh)
                problems += differing
            locks.write(folder, updated)
            problems += floating_uses(uses)
            if not offline and not from_account and (sources := to_query(updated, refresh=refresh)):
                with own_logins() as config, Crane(find(), config) as crane:
                    _refuse_without_registries(sources, registry_mirror)
                    query = partial(digest_of, crane=crane, mirror=registry_mirror)
                    failed = add_digests(folder, updated, query, refresh=refresh, parallel=parallel)
                problems += [f"{source} {reason}" for source, reason in failed.items()]
            digests = [image.digest for image in locks.load(folder, name).images if image.digest]
            messages.print(f"{name}: {len(uses)} images, {len(digests)} with a digest")
    if problems:
        raise fail(problems, FAILED)


def _filled_from_account(lock: Lock, stack: str, *, refresh: bool) -> tuple[Lock, list[str]]:
    """The lock with the digests of the stack account's copies, and a sentence per difference."""
    sources = [image.source for image in lock.images]
    known = sources_of_copies(targets.settings_of(stack), sources)
    digests = {source: each.digest for source, each in known.items() if each.digest}
    differing = [
        f"{image.source} is {digests[image.source]} in the account, and {image.digest} in the lock"
        for image in lock.images
        if not refresh and image.digest and image.digest != digests.get(image.source, image.digest)
    ]
    new = (
        digests
        if refresh
        else {s: digests[s] for s in to_query(lock, refresh=False) if s in digests}
    )
    origin = f"the copies of stack {stack}, {datetime.now(UTC).date()}"
    sizes = {source: each.bytes for source, each in known.items() if each.bytes}
    return lock.filled(new, origin).measured(sizes), differing


def _refuse_without_registries(sources: Sequence[str], mirror: str | None) -> None:
    """Ends the command in one sentence where none of the registries answers.

    Raises:
        typer.Exit
    """
    own = mirror.partition("/")[0] if mirror else None
    hosts = {own or parse(source).registry for source in sources}
    down = registry_reach.unreachable(hosts)
    if down.keys() == hosts:
        way_out = "run this where they are reached, or with --registry-mirror, or --offline"
        raise fail([registry_reach.none_answers(down, way_out)], FAILED)


def _folders(release: str | None, stack: str | None) -> list[Path]:
    if (release is None) == (stack is None):
        raise Refused("name the lock by either --release or --stack.")
    if release is not None:
        return [targets.release_folder(release)]
    return targets.folders_of_stack(targets.settings_of(str(stack)))


def _gone(entry: GoneImage, count: int) -> str:
    images = f"{count} images {entry.image} are" if count > 1 else f"{entry.image} is"
    way_out = (
        f"push a copy of {entry.substitute} to the target"
        if entry.substitute
        else "no substitute is known, so push existing copies to the target"
    )
    return f"{images} reported gone ({entry.source}): {way_out}."


def _print(uses: Sequence[ImageUse], gone: Mapping[str, GoneImage], format_: Format | None) -> None:
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
    columns: Columns = {
        "needed": "needed",
        "source": lambda row: _DIGEST.sub(r"\1...", row["source"]),
        "where": _places,
        "target": "target",
    }
    show(rows, format_, columns, line=_line, optional=("where", "target"))


_DIGEST = re.compile(r"(@sha256:[0-9a-f]{12})[0-9a-f]{52}")


def _places(row: Row) -> str:
    first, *others = dict.fromkeys(place.partition("#")[0] for place in row["where"])
    return f"{first} and {len(others)} more" if others else first


def _line(row: Row) -> str:
    return tab_separated({key: row[key] for key in ("source", "target", "needed", "where")})
