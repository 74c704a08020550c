"""Puts every source that a release needs into one bundle, and judges one that somebody brings."""

from __future__ import annotations

import tempfile
from pathlib import Path

from rendering import bundle, sources
from rendering.bundle import Contents, Packed
from rendering.cache import file_sha256
from rendering.needs import needed_folders, needed_sources
from rendering.release import Source
from rendering.source_files import SourceRejected, pack


def create(
    folder: Path, out: Path, *, project: Path, created_by: str, bundles: Path | None = None
) -> Contents:
    """Writes the bundle of the release in ``folder``; equal sources give equal bytes.

    Raises:
        RenderError: a source is out of reach, or is not what release.yaml names.
    """
    releases = needed_folders(folder, project / "manifests")
    wanted = needed_sources(releases.items())
    with tempfile.TemporaryDirectory(prefix="kubeflow-bundle-") as made:
        packed = [_pack(source, project, bundles, Path(made)) for source in wanted.values()]
        contents = Contents(
            release=next(iter(releases)), created_by=created_by, sources=tuple(packed)
        )
        files = {entry.file: Path(made) / Path(entry.file).name for entry in packed}
        bundle.write(out, contents, files)
    return contents


def verify(path: Path, wanted: dict[str, Source] | None = None) -> Contents:
    """Judges a bundle by its own checksums and by the sources it should hold.

    Args:
        wanted: by name; None: only whether it is undamaged.

    Raises:
        SourceRejected: one sentence with the first thing that is wrong.
    """
    contents = bundle.read(path)
    held = {packed.name: packed for packed in contents.sources}
    extra = bundle.unlisted(path)
    if extra:
        raise SourceRejected(
            f"{path} holds {', '.join(extra)}, which its bundle.json does not name"
        )
    with tempfile.TemporaryDirectory(prefix="kubeflow-bundle-") as temporary:
        for packed in contents.sources:
            bundle.extract(path, packed, Path(temporary) / Path(packed.file).name)
    for name, source in (wanted or {}).items():
        if name not in held:
            raise SourceRejected(
                f"{path} is a bundle of release {contents.release} without {name}, which is needed"
            )
        sources.check(path, source)
    return contents


def _pack(source: Source, project: Path, bundles: Path | None, made: Path) -> Packed:
    unpacked = sources.obtain(source, project, bundles)
    pack(unpacked.folder, source.archive.removesuffix(".tar.gz"), made / source.archive)
    return Packed(
        name=source.name,
        file=f"sources/{source.archive}",
        sha256=file_sha256(made / source.archive),
        digest=unpacked.digest,
        repository=source.repository,
        ref=source.ref,
        commit=source.commit,
        made_local=tuple(f"{remote.repository} {remote.ref}" for remote in source.remotes),
    )
