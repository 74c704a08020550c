"""``./kf advisories``: published holes of a release, and what a scanner's report has besides."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from advisories.reports import Reported, ReportInvalid, read
from advisories.table import SEVERITIES, Advisories, AdvisoriesInvalid, Advisory
from advisories.table import of_release as list_of
from images.reference import Reference, parse
from ops import targets
from ops.cli_errors import Refused, errors_reported
from program import advisories_of
from rendering import lock as locks
from settings import MANIFESTS
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
        format_option("id, severity, score, images, here, what, why, wayOut, source"),
    ] = None,
) -> None:
    """Lists published holes of a stack, or of a whole release: open ones first.

    Of a stack those of what it leaves out, or has in a later version (`patches`), are none.

    Ends with 1 if a critical one is open, or if the list lacks one of the report.

    Example: `./kf advisories --release 26.03 --from trivy.json`
    """
    with errors_reported():
        settings = None if release else targets.settings_of(stack)
        name = release or (settings.release if settings else "")
        folder = targets.release_folder(name)
        try:
            known = list_of(folder)
            shown = advisories_of(settings) if settings else known
            reported = None if file is None else read(file)
        except (AdvisoriesInvalid, ReportInvalid) as invalid:
            raise Refused(str(invalid)) from None
        pulled = [parse(image.source) for image in locks.load(folder, name).images]
    if reported is not None:
        _show_missing(name, known, reported, pulled, format_)
        return
    rows = [_row(each) for each in sorted(shown.advisories, key=_open_first)]
    columns: Columns = {"advisory": "id", "": "severity", "here": "here", "what": "what"}
    show(rows, format_, {**columns, "way out": "wayOut"}, optional=["way out"])
    critical = shown.still_open("critical")
    messages.print(
        f"release {name}: {len(shown.still_open())} of {len(rows)} open, {len(critical)} critical; "
        f"sources were read on {known.read}"
    )
    if critical:
        raise typer.Exit(FAILED)


def _open_first(advisory: Advisory) -> tuple[bool, tuple[int, float, str]]:
    return advisory.here != "open", advisory.rank


def _row(advisory: Advisory) -> Row:
    return {
        "id": advisory.id,
        "severity": advisory.severity,
        "score": advisory.score,
        "images": list(advisory.images),
        "here": advisory.here,
        "what": advisory.what,
        "why": advisory.why,
        "wayOut": advisory.way_out,
        "source": advisory.source,
    }


def missing(
    known: Advisories, reported: Iterable[Reported], pulled: Sequence[Reference]
) -> tuple[list[Reported], int]:
    """What a list lacks of a report, the most severe first, and how many are of other images.

    Args:
        known: the release's list.
        reported: of a scanner.
        pulled: the images of the release, as upstream names them.
    """
    own = {(_path(each), each.tag) for each in pulled}
    lacking: dict[tuple[str, ...], Reported] = {}
    others = 0
    for each in reported:
        if any(known.named(name) for name in each.names):
            continue
        if each.image and (_path(each.image), each.image.tag) not in own:
            others += 1
        else:
            lacking.setdefault((each.names[0], str(each.image or "")), each)
    order = (*SEVERITIES, "")
    return sorted(lacking.values(), key=lambda each: (order.index(each.severity), each.names)), (
        others
    )


def _path(image: Reference) -> str:
    """Owner and name: a copy in another registry has them too."""
    return "/".join(image.repository.split("/")[-2:])


def _show_missing(
    name: str,
    known: Advisories,
    reported: Sequence[Reported],
    pulled: Sequence[Reference],
    format_: Format | None,
) -> None:
    lacking, others = missing(known, reported, pulled)
    rows: list[Row] = [
        {
            "id": each.names[0],
            "severity": each.severity or "unknown",
            "package": each.package,
            "image": str(each.image or ""),
            "what": each.what,
        }
        for each in lacking
    ]
    columns: Columns = {"advisory": "id", "": "severity", "package": "package", "what": "what"}
    show(rows, format_, columns, optional=["what"])
    elsewhere = f", {others} about images that release {name} does not pull" if others else ""
    messages.print(
        f"{len(reported)} in the report, {len(rows)} of them not in "
        f"{MANIFESTS.name}/{name}/advisories.yaml{elsewhere}"
    )
    if rows:
        raise typer.Exit(FAILED)
