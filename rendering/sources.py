"""Upstream sources: found, verified, unpacked once.

Searched in this order: the caller's argument, ``KUBEFLOW_BUNDLES`` (folders, archives or bundles,
separated like ``PATH``), the cache, ``bundles`` in the project, ``../shared/upstream``, git. Files
from any of them must have a digest that ``release.yaml`` names.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from rendering import bundle, checkout
from rendering.cache import cache_folder, errors_of
from rendering.checkout import GIT_PREFIX, CloneFailed
from rendering.objects import RenderError
from rendering.release import Source
from rendering.source_files import OtherFiles, SourceRejected, files_digest, unpack

log = logging.getLogger(__name__)

BUNDLES = "KUBEFLOW_BUNDLES"
_UNKNOWN = "0" * 64


class SourcesUnavailable(RenderError):
    """Sources are out of reach; one line names each, and the way out.

    Attributes:
        missing: the sources.
    """

    def __init__(self, missing: Sequence[Source], reason: str = "") -> None:
        self.missing = tuple(missing)
        why = reason or f"{checkout.shown(checkout.prefix())} does not serve them"
        super().__init__(
            f"without {', '.join(map(str, missing))}: {why} and no bundle here has them; way out: "
            f"a git mirror in {GIT_PREFIX}, or the file that `./kf bundle create` makes on a "
            f"connected machine in ./bundles or what {BUNDLES} names"
        )


@dataclass(frozen=True)
class Unpacked:
    """A verified source on this disk.

    Attributes:
        folder: with its files.
        digest: of the files.
    """

    folder: Path
    digest: str


def obtain(source: Source, project: Path, bundles: Path | None = None) -> Unpacked:
    """Finds, verifies and unpacks a source.

    Args:
        source: as release.yaml describes it.
        project: the folder with ``bundles`` in it and ``shared`` beside it.
        bundles: a folder of archives and bundles, or one of them; searched first.

    Raises:
        SourcesUnavailable: it is out of reach.
        SourceRejected: an archive or clone is there but is a different one.
    """
    return (
        _named(source, bundles) or _cached(source) or _beside(source, project) or _fetched(source)
    )


def digest_found(source: Source, project: Path) -> str:
    """The digest of the files that are found for a source, which nobody has compared yet.

    They are searched as ``obtain`` searches them; its archive comes before its repository.

    Raises:
        SourcesUnavailable: as of ``obtain``.
        SourceRejected: what was found is damaged, or has another commit than release.yaml names.
    """
    unknown = source.model_copy(update={"digest": _UNKNOWN, "checkout": None})
    try:
        obtain(unknown, project)
    except OtherFiles as found:
        return found.digest
    raise AssertionError(f"no files have the digest {_UNKNOWN}")


def check(path: Path, source: Source) -> None:
    """Verifies the files of a source in a bundle or an archive, without use of the cache.

    Raises:
        SourceRejected: they are missing, or are not the ones in release.yaml.
    """
    archive = _archive_at(path, source)
    if archive is None:
        raise SourceRejected(f"{path} does not hold {source}")
    with _unpacked(archive, source):
        pass


# -- the cache ------------------------------------------------------------------------------------


def _home(source: Source, digest: str) -> Path:
    return cache_folder("sources") / f"{source.name}-{digest[:20]}"


_intact: set[Path] = set()
"""Folders of the cache with the files that their digests name: a process verifies each once."""


def _cached(source: Source) -> Unpacked | None:
    entries = (Unpacked(_home(source, digest), digest) for digest in source.digests)
    return next((entry for entry in entries if _is_intact(source, entry)), None)


def _is_intact(source: Source, entry: Unpacked) -> bool:
    """Whether the cache has the files of an entry; a damaged one is deleted, to be made again."""
    if entry.folder in _intact:
        return True
    if not entry.folder.is_dir():
        return False
    if files_digest(entry.folder) != entry.digest:
        log.warning("%s is damaged and is made again", entry.folder)
        with _empty(source) as damaged:
            entry.folder.replace(damaged)
        return False
    _intact.add(entry.folder)
    return True


def _keep(folder: Path, source: Source, digest: str) -> Unpacked:
    """Moves verified files into the cache in one step; of two processes that race, one wins."""
    kept = Unpacked(_home(source, digest), digest)
    if not _is_intact(source, kept):
        try:
            folder.replace(kept.folder)
            _intact.add(kept.folder)
        except OSError:
            if not kept.folder.is_dir():
                raise
    return kept


@contextmanager
def _empty(source: Source) -> Generator[Path]:
    """The path of a folder to be made, on the cache's own disk."""
    root = cache_folder("sources")
    with (
        errors_of(root),
        tempfile.TemporaryDirectory(dir=root, prefix=f".{source.name}.") as temporary,
    ):
        yield Path(temporary) / "files"


def _verified(digest: str, source: Source, where: str) -> str:
    """The digest of files, which ``release.yaml`` names."""
    if digest not in source.digests:
        raise OtherFiles(
            f"{where} is damaged or of another version: its files of {source} have the digest "
            f"{digest}, but release.yaml names {' or '.join(source.digests)}; replace it",
            digest,
        )
    return digest


# -- archives and bundles -------------------------------------------------------------------------


@dataclass(frozen=True)
class _Archive:
    """An archive of a source: a file of its own, or a member of a bundle."""

    path: Path
    packed: bundle.Packed | None = None


@contextmanager
def _unpacked(archive: _Archive, source: Source) -> Generator[tuple[Path, str]]:
    """The verified files of an archive in a temporary folder, and their digest."""
    packed, path = archive.packed, archive.path
    with (
        nullcontext(path) if packed is None else bundle.extracted(path, packed) as file,
        _empty(source) as folder,
    ):
        unpack(file, source.paths, folder, str(path))
        digest = files_digest(folder)
        # An archive that a git host makes has no remote bases.
        if digest not in source.digests:
            _add_remotes(folder, source)
            digest = files_digest(folder)
        yield folder, _verified(digest, source, str(path))


def _add_remotes(folder: Path, source: Source) -> None:
    if not checkout.names_remotes(source, folder):
        return
    try:
        checkout.add_remotes(source, folder)
    except CloneFailed as failed:
        raise SourcesUnavailable(
            [source], f"its archive names other repositories: {failed}"
        ) from None


def _used(archive: _Archive, source: Source) -> Unpacked:
    with _unpacked(archive, source) as (folder, digest):
        if not _home(source, digest).is_dir():
            log.info("unpacking %s from %s", source, archive.path)
        return _keep(folder, source, digest)


def _named(source: Source, bundles: Path | None) -> Unpacked | None:
    """From a place that the user named: verified every time, and refused if it does not fit."""
    named = [Path(entry) for entry in os.environ.get(BUNDLES, "").split(os.pathsep) if entry]
    refused: list[RenderError] = []
    for place in [*([bundles] if bundles else []), *named]:
        try:
            if archive := _archive_at(place.expanduser(), source):
                return _used(archive, source)
        except (SourceRejected, SourcesUnavailable) as rejected:
            refused.append(rejected)
    if refused:
        raise refused[0]
    return None


def _beside(source: Source, project: Path) -> Unpacked | None:
    """From the folders that are searched by default."""
    places = (project / "bundles", project.parent / "shared" / "upstream")
    archive = next(filter(None, (_archive_at(place, source) for place in places)), None)
    return _used(archive, source) if archive else None


def _archive_at(place: Path, source: Source) -> _Archive | None:
    if place.is_dir():
        if (place / source.archive).is_file():
            return _Archive(place / source.archive)
        for path in sorted(place.glob(f"*{bundle.SUFFIX}")):
            # A folder can hold the bundles of other releases too.
            if packed := _fitting(bundle.read(path), source):
                return _Archive(path, packed)
        return None
    if place.name == source.archive and place.is_file():
        return _Archive(place)
    if place.is_file() and not place.name.endswith(".tar.gz"):
        contents = bundle.read(place)
        if packed := _fitting(contents, source):
            return _Archive(place, packed)
        for packed in contents.sources:
            if packed.name == source.name:
                raise OtherFiles(
                    f"{place} is a bundle of release {contents.release} with {packed.digest} as "
                    f"the digest of {source.name}, but release.yaml names "
                    f"{' or '.join(source.digests)}; take the bundle of this release",
                    packed.digest,
                )
    return None


def _fitting(contents: bundle.Contents, source: Source) -> bundle.Packed | None:
    fitting = (p for p in contents.sources if p.name == source.name and p.digest in source.digests)
    return next(fitting, None)


# -- git ------------------------------------------------------------------------------------------


def _fetched(source: Source) -> Unpacked:
    url = checkout.shown(checkout.prefix()) + source.repository
    if not checkout.answers(source.repository):
        raise SourcesUnavailable([source], f"{url} does not answer")
    started = time.monotonic()
    log.info("fetching %s from %s", source, url)
    with _empty(source) as folder:
        try:
            checkout.check_out(source, folder)
        except CloneFailed as failed:
            raise SourcesUnavailable([source], str(failed)) from None
        unpacked = _keep(folder, source, _verified(files_digest(folder), source, url))
    log.info("fetched %s in %.1f s", source, time.monotonic() - started)
    return unpacked
