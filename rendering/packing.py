"""Packs every source of a release into one bundle, and verifies a bundle."""

from __future__ import annotations

import tempfile
from pathlib import Path

from rendering import bundle, sources
from rendering.bundle import Contents, Packed
from rendering.cache import file_sha256
from rendering.needs import sources_of_stack
from rendering.release import Source
from rendering.source_files import SourceRejected, pack


def create(folder: Path, out: Path, *, project: Path, created_by: str) -> Contents:
    """Writes the bundle of the release in ``folder``; equal sources give equal bytes.

    Raises:
        RenderError: a source is out of reach, or is not the one in release.yaml.
    """
    manifests = project / "manifests"
    needed = sources_of_stack(folder, manifests)
    with tempfile.TemporaryDirectory(prefix="kubeflow-bundle-") as archives:
        contents = Contents(
            release=folder.resolve().relative_to(manifests.resolve()).as_posix(),
            created_by=created_by,
            sources=tuple(_pack(source, project, Path(archives)) for source in needed.values()),
        )
        bundle.write(out, contents, Path(archives))
    return contents


def verify(path: Path, needed: dict[str, Source] | None = None) -> Contents:
    """Checks a bundle by its own checksums and by the sources that it should hold.

    Args:
        path: of the bundle.
        needed: by name; None: only the checksums are checked.

    Raises:
        SourceRejected: one sentence with the first fault.
    """
    contents = bundle.read(path)
    if extra := bundle.unlisted(path):
        raise SourceRejected(
            f"{path} holds {', '.join(extra)}, which its bundle.json does not name"
        )
    for packed in contents.sources:
        with bundle.extracted(path, packed):
            pass
    for name, source in (needed or {}).items():
        if name not in {packed.name for packed in contents.sources}:
            raise SourceRejected(
                f"{path} is a bundle of release {contents.release} without {name}, which is needed"
            )
        sources.check(path, source)
    return contents


def _pack(source: Source, project: Path, archives: Path) -> Packed:
    unpacked = sources.obtain(source, project)
    archive = archives / source.archive
    pack(unpacked.folder, source.archive.removesuffix(".tar.gz"), archive)
    return Packed(
        name=source.name,
        file=f"sources/{source.archive}",
        sha256=file_sha256(archive),
        digest=unpacked.digest,
        repository=source.repository,
        ref=source.ref,
        commit=source.commit,
        made_local=tuple(f"{remote.repository} {remote.ref}" for remote in source.remotes),
    )
