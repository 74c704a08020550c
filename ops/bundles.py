"""``./kf bundle``: the sources of a release as one file, for a machine that reaches no git host."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from ops import targets, version
from ops.cli_errors import Refused, errors_reported, messages
from rendering import packing
from rendering.bundle import SUFFIX, Contents
from rendering.cache import file_sha256
from rendering.needs import sources_of_stack
from settings import Settings

DEFAULT_RELEASE = str(Settings.model_fields["release"].default)

app = typer.Typer(no_args_is_help=True, help="Bundles of sources, for machines without GitHub.")


@app.command()
def create(
    release: Annotated[str, typer.Option(help="A folder under manifests/.")] = DEFAULT_RELEASE,
    out: Annotated[Path | None, typer.Option(help="Default: bundles/<release>.bundle.tar.")] = None,
) -> None:
    """Packs every source of a release, its includes and the add-ons into one file."""
    with errors_reported():
        folder = targets.release_folder(release)
        file = out or targets.PROJECT / "bundles" / f"{folder.name}{SUFFIX}"
        if file.is_dir() or not file.name.endswith(".tar"):
            raise Refused(f"{file} cannot be the bundle: name a file that ends in {SUFFIX}.")
        contents = packing.create(
            folder, file, project=targets.PROJECT, created_by=f"kf {version()}"
        )
    _summarize(file, contents)
    typer.echo(file)


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="The bundle to check.")],
    release: Annotated[
        str | None, typer.Option(help="Default: the release named in the bundle.")
    ] = None,
) -> None:
    """Checks that a bundle is intact and contains the sources in release.yaml."""
    with errors_reported():
        contents = packing.verify(file)
        folder = targets.release_folder(release or contents.release)
        packing.verify(file, sources_of_stack(folder, targets.MANIFESTS))
    _summarize(file, contents)


def _summarize(path: Path, contents: Contents) -> None:
    table = Table("source", "repository", "ref", "commit", "digest", "made local")
    for packed in contents.sources:
        table.add_row(
            packed.name,
            packed.repository,
            packed.ref,
            packed.commit[:12],
            packed.digest[:12],
            "\n".join(packed.made_local),
        )
    messages.print(table)
    megabytes = path.stat().st_size / 1e6
    messages.print(
        f"{path}: release {contents.release}, {len(contents.sources)} sources, {megabytes:.1f} MB, "
        f"sha256 {file_sha256(path)}",
    )
