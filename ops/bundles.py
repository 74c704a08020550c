"""``./kf bundle``: the sources of a release as one file, for a machine that reaches no git host."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ops import targets, version
from ops.cli_errors import Refused, errors_reported
from rendering import packing
from rendering.bundle import SUFFIX, Contents
from rendering.cache import file_sha256
from rendering.needs import sources_of_stack
from settings.release_files import default_release
from terminal.application import application
from terminal.output import Columns, Format, format_option, messages, say, show

app = application(no_args_is_help=True, help="Bundles of sources, for machines without GitHub.")


@app.command()
def create(
    release: Annotated[
        str | None, typer.Option(help="A folder under manifests/. Default: that of a new stack.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Default: bundles/<release>.bundle.tar.")] = None,
) -> None:
    """Packs every source of a release, its includes and the add-ons into one file.

    Example: `./kf bundle create --release 26.03`
    """
    with errors_reported():
        folder = targets.release_folder(release or default_release())
        file = out or targets.PROJECT / "bundles" / f"{folder.name}{SUFFIX}"
        # A folder of bundles is searched by this end of a name.
        if file.is_dir() or not file.name.endswith(SUFFIX):
            raise Refused(f"{file} cannot be the bundle: name a file that ends in {SUFFIX}.")
        contents = packing.create(
            folder, file, project=targets.PROJECT, created_by=f"kf {version()}"
        )
    _summarize(file, contents)
    say(file)


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="The bundle to check.")],
    release: Annotated[
        str | None, typer.Option(help="Default: the release named in the bundle.")
    ] = None,
    format_: Annotated[
        Format | None, format_option("source, repository, ref, commit, digest, made_local (a list)")
    ] = None,
) -> None:
    """Checks that a bundle is intact and contains the sources in release.yaml.

    Example: `./kf bundle verify bundles/26.03.bundle.tar`
    """
    with errors_reported():
        contents = packing.verify(file)
        folder = targets.release_folder(release or contents.release)
        packing.verify(file, sources_of_stack(folder, targets.MANIFESTS))
    rows = [
        {
            "source": packed.name,
            "repository": packed.repository,
            "ref": packed.ref,
            "commit": packed.commit,
            "digest": packed.digest,
            "made_local": list(packed.made_local),
        }
        for packed in contents.sources
    ]
    columns: Columns = {
        "source": "source",
        "ref": "ref",
        "commit": lambda row: row["commit"][:12],
        "digest": lambda row: row["digest"][:12],
        "repository": "repository",
        "made local": lambda row: "\n".join(row["made_local"]),
    }
    show(rows, format_, columns, optional=("repository", "made local"))
    _summarize(file, contents)


def _summarize(path: Path, contents: Contents) -> None:
    megabytes = path.stat().st_size / 1e6
    messages.print(
        f"{path}: release {contents.release}, {len(contents.sources)} sources, {megabytes:.1f} MB, "
        f"sha256 {file_sha256(path)}",
    )
