"""``./kf advisories``: published holes of a release, and what a scanner's report has besides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from advisories.reports import Report, Reported, ReportInvalid, read
from advisories.table import NONE, SEVERITIES, Advisories, AdvisoriesInvalid, Advisory
from advisories.table import of_release as list_of
from images.reference import Reference, parse
from ops import targets
from ops.cli_errors import Refused, errors_reported
from program import advisories_of, patches_that_close
from rendering import lock as locks
from rendering.lock import LockedImage
from settings import MANIFESTS
from settings.errors import listed
from terminal.exit_codes import FAILED
from terminal.output import Columns, Format, Row, format_option, messages, show


def advisories(
    stack: targets.Stack = targets.DEFAULT,
    release: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="A release in place of the stack's own."),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="A report in JSON of Trivy, OSV-Scanner or OSV: shows what the list lacks.",
        ),
    ] = None,
    format_: Annotated[
        Format | None,
        format_option("id, severity, score, images, here, what, why, wayOut, closedBy, source"),
    ] = None,
) -> None:
    """Lists published holes of a release: which are open here, the most severe first.

    Of a stack those of the images that it has; with --release all. Ends with 1 if a critical one is
    open, if the list lacks one of the report, or if the report says that something was not scanned.

    Example: `./kf advisories --release 26.03 --from trivy.json`
    """
    with errors_reported():
        settings = None if release else targets.settings_of(stack)
        name = release or targets.settings_of(stack).release
        folder = targets.release_folder(name)
        try:
            known = list_of(folder)
            here = known if settings is None else advisories_of(settings)
            reported = None if file is None else read(file)
        except (AdvisoriesInvalid, ReportInvalid) as invalid:
            raise Refused(str(invalid)) from None
        if known is NONE and reported is None:
            raise Refused(
                f"{name} has no advisories.yaml, for nobody has looked: write one "
                "(docs/advisories.md), or compare a scanner's report with it (--from)."
            )
        whose = f"release {name}" if settings is None else f"stack {stack}"
        folders = [folder] if settings is None else targets.folders_of_stack(settings)
        pulled = [
            image
            for each in folders
            for image in locks.load(each, each.relative_to(MANIFESTS).as_posix()).images
        ]
    if reported is not None:
        _show_missing(name, reported, missing(known, reported.found, pulled), whose, format_)
        return
    closing = patches_that_close(folder)
    rows = [_row(each, closing) for each in sorted(here.advisories, key=_open_first)]
    columns: Columns = {"advisory": "id", "": "severity", "here": "here", "what": "what"}
    columns = {**columns, "way out": "wayOut", "closed by": "closedBy"}
    show(rows, format_, columns, optional=["way out", "closed by"])
    critical = here.still_open("critical")
    others = len(known.advisories) - len(rows)
    elsewhere = f"; {others} more are about images that this stack leaves out" if others else ""
    messages.print(
        f"release {name}: {len(here.still_open())} of {len(rows)} open, {len(critical)} critical; "
        f"sources were read on {known.read}{elsewhere}"
    )
    if critical:
        raise typer.Exit(FAILED)


def _open_first(advisory: Advisory) -> tuple[bool, tuple[int, float, str]]:
    return advisory.here != "open", advisory.rank


def _row(advisory: Advisory, closing: Mapping[str, str]) -> Row:
    return {
        "id": advisory.id,
        "severity": advisory.severity,
        "score": advisory.score,
        "images": list(advisory.images),
        "here": advisory.here,
        "what": advisory.what,
        "why": advisory.why,
        "wayOut": advisory.way_out,
        "closedBy": closing.get(advisory.id, ""),
        "source": advisory.source,
    }


@dataclass(frozen=True)
class Missing:
    """What a list lacks of a report.

    Attributes:
        rows: the most severe first, one per advisory and image.
        listed: how many the list has for these images.
        elsewhere: how many are of other images.
    """

    rows: Sequence[Reported]
    listed: int
    elsewhere: int


def missing(
    known: Advisories, reported: Iterable[Reported], pulled: Sequence[LockedImage]
) -> Missing:
    """What a list lacks of a report.

    Args:
        known: the release's list.
        reported: of a scanner.
        pulled: the images of the release, or of the whole stack.
    """
    own = [(parse(each.source), each.digest) for each in pulled]
    lacking: dict[_Key, Reported] = {}
    in_list: set[_Key] = set()
    elsewhere: set[_Key] = set()
    for each in reported:
        key = (each.names[0], each.images)
        mine = [image for image in each.images if any(_may_be(image, *one) for one in own)]
        rows = list(filter(None, map(known.named, each.names)))
        if each.images and not mine:
            elsewhere.add(key)
        elif rows and (not mine or any(row.is_of(image) for row in rows for image in mine)):
            in_list.add(key)
        else:
            lacking.setdefault(key, replace(each, images=(*mine, *each.images)[:1]))
    order = (*SEVERITIES, "")
    found = sorted(lacking.values(), key=lambda each: (order.index(each.severity), each.names))
    return Missing(found, len(in_list), len(elsewhere))


_Key = tuple[str, tuple[Reference, ...]]


def _may_be(image: Reference, pulled: Reference, digest: str | None) -> bool:
    """Whether a scanned image may be one that the release pulls.

    An image without a tag counts as one where the lock has no digest to compare.

    Args:
        image: as the report names it; a copy has the source's owner and name in another registry.
        pulled: as upstream names it.
        digest: of the lock.
    """
    # Docker Hub's own images have `library/` there alone.
    own_names = (pulled.repository.removeprefix("library/"), pulled.mirrored_repository)
    if not any(f"/{image.repository}".endswith(f"/{name}") for name in own_names):
        return False
    if image.digest and digest:
        return image.digest == digest or bool(image.tag and image.tag == pulled.tag)
    return not (image.tag and pulled.tag) or image.tag == pulled.tag


def _show_missing(
    name: str, report: Report, found: Missing, whose: str, format_: Format | None
) -> None:
    rows: list[Row] = [
        {
            "id": each.names[0],
            "severity": each.severity or "unknown",
            "package": each.package,
            "image": str(each.images[0]) if each.images else "",
            "what": each.what,
        }
        for each in found.rows
    ]
    columns: Columns = {"advisory": "id", "": "severity", "package": "package"}
    columns = {**columns, "image": "image", "what": "what"}
    show(rows, format_, columns, optional=["image", "what"])
    elsewhere = (
        f", {found.elsewhere} about images that {whose} does not pull" if found.elsewhere else ""
    )
    messages.print(
        f"{len(rows) + found.listed + found.elsewhere} in the report, {len(rows)} of them not in "
        f"{MANIFESTS.name}/{name}/advisories.yaml{elsewhere}"
    )
    if report.unscanned:
        messages.print(
            f"not scanned: {listed(report.unscanned, 'and')}: the report has the reason as `Error`"
        )
    if rows or report.unscanned:
        raise typer.Exit(FAILED)
