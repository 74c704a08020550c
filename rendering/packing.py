"""Puts every source that a release needs into one bundle, and judges one that somebody brings."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from rendering import bundle, checkout, sources
from rendering.bundle import Contents, Packed
from rendering.cache import file_sha256
from rendering.checkout import SourceRejected
from rendering.objects import RenderError
from rendering.release import Release, Source, load


def needed_folders(folder: Path, manifests: Path) -> dict[str, Release]:
    """A release, what it includes, and the add-ons: all that a stack of that release renders.

    Returns:
        Way below ``manifests`` -> release.
    """
    own = folder.resolve().relative_to(manifests.resolve()).as_posix()
    found = {own: load(folder)}
    add_ons = sorted((manifests / "addons").glob("*/release.yaml"))
    for name in (*found[own].includes, *(f"addons/{path.parent.name}" for path in add_ons)):
        found.setdefault(name, load(manifests / name))
    return found


def needed_sources(releases: Iterable[tuple[str, Release]]) -> dict[str, Source]:
    """The sources of several releases by name.

    Raises:
        RenderError: one name stands for two different sources.
    """
    found: dict[str, tuple[str, Source]] = {}
    for folder, release in releases:
        for source in release.sources:
            other, known = found.setdefault(source.name, (folder, source))
            if known != source:
                raise RenderError(
                    f"the source {source.name} is not the same in {other} and {folder}: give one "
                    "of them another name, or both the same archive and commit"
                )
    return {name: source for name, (_, source) in sorted(found.items())}


def create(
    folder: Path, out: Path, *, project: Path, created_by: str, bundles: Path | None = None
) -> Contents:
    """Writes the bundle of the release in ``folder``; equal sources give equal bytes.

    An archive at hand goes in as it is; where there is none, the clone is packed.

    Raises:
        RenderError: a source is out of reach, or is not what release.yaml names.
    """
    releases = needed_folders(folder, project / "manifests")
    wanted = needed_sources(releases.items())
    with ExitStack() as stack:
        made = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kubeflow-bundle-")))
        packed: list[Packed] = []
        files: dict[str, Path] = {}
        for source in wanted.values():
            archive = sources.find_archive(source, project, bundles)
            if archive is not None:
                file, of_git = stack.enter_context(archive.file()), archive.of_git(source)
                name = str(source.bundle) if not of_git else file.name
            else:
                name, of_git = f"{source.name}-{source.commit}.git.tar.gz", True
                file = made / name
                _pack_clone(source, project, bundles, file)
            entry = _entry(source, f"sources/{name}", file, of_git)
            packed.append(entry)
            files[entry.file] = file
        contents = Contents(
            release=next(iter(releases)), created_by=created_by, sources=tuple(packed)
        )
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


def _pack_clone(source: Source, project: Path, bundles: Path | None, file: Path) -> None:
    unpacked = sources.obtain(source, project, bundles)
    if unpacked.identity != checkout.identity(source):
        raise RenderError(
            f"{source.name} is unpacked in the cache, but its archive {source.bundle} is gone: put "
            f"it into ./bundles or a folder named by {sources.BUNDLES}"
        )
    sources.verify_files(unpacked.folder, source, "this bundle")
    bundle.archive(unpacked.folder, source.name, file)


def _entry(source: Source, name: str, file: Path, of_git: bool) -> Packed:
    digest = file_sha256(file)
    return Packed(
        name=source.name,
        file=name,
        sha256=digest,
        identity=checkout.identity(source) if of_git else f"sha256:{digest}",
        repository=source.repository,
        ref=source.ref,
        commit=source.commit,
        remotes=source.remotes,
    )
