"""Upstream sources: found, verified, unpacked once.

Ways, in this order: what the caller gives, ``KUBEFLOW_BUNDLES`` (folders, archives or bundles,
separated like ``PATH``), the cache, ``bundles`` in the project, ``../shared/upstream``, git. Files
must have a digest that ``release.yaml`` names, whichever way they come; nothing else is used.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rendering import bundle, checkout
from rendering.cache import cache_folder
from rendering.checkout import GIT_PREFIX, CloneFailed
from rendering.objects import RenderError
from rendering.release import Source
from rendering.source_files import SourceRejected, files_digest, unpack

__all__ = ["GIT_PREFIX", "SourceRejected", "SourcesUnavailable", "Unpacked", "obtain"]

log = logging.getLogger(__name__)

BUNDLES = "KUBEFLOW_BUNDLES"


class SourcesUnavailable(RenderError):
    """None of the ways leads to some sources; one line names each, and the way out.

    Attributes:
        missing: the sources.
    """

    def __init__(self, missing: Sequence[Source], reason: str = "") -> None:
        self.missing = tuple(missing)
        why = reason or f"{checkout.prefix()} does not serve them"
        super().__init__(
            f"without {', '.join(map(str, missing))}: {why} and no bundle here has them; way out: "
            f"a git mirror in {GIT_PREFIX}, or the file that `./kf bundle create` makes on a "
            f"connected machine in ./bundles or what {BUNDLES} names"
        )


@dataclass(frozen=True)
class Unpacked:
    """A verified source on this disk."""

    folder: Path
    digest: str
    """Of its files."""


def obtain(source: Source, project: Path, bundles: Path | None = None) -> Unpacked:
    """Finds, verifies and unpacks a source.

    Args:
        source: as release.yaml describes it.
        project: the folder beside which ``shared`` is looked for, and in which ``bundles`` is.
        bundles: a folder of archives and bundles, or one of them; before all other ways.

    Raises:
        SourcesUnavailable: no way leads to it.
        SourceRejected: an archive or clone is there but is a different one.
    """
    found = _named(source, bundles) or _cached(source) or _beside(source, project)
    return found or _fetched(source)


def check(path: Path, source: Source) -> None:
    """Verifies what a bundle or an archive holds of a source as if it were used, without the cache.

    Raises:
        SourceRejected: it is not what release.yaml names.
    """
    archive = _archive_at(path, source)
    if archive is None:
        raise SourceRejected(f"{path} does not hold {source}")
    with _unpacked(archive, source):
        pass


# -- the cache ------------------------------------------------------------------------------------


def _home(source: Source, digest: str) -> Path:
    return cache_folder("sources") / f"{source.name}-{digest[:20]}"


def _cached(source: Source) -> Unpacked | None:
    kept = (Unpacked(_home(source, digest), digest) for digest in source.digests)
    return next((each for each in kept if each.folder.is_dir()), None)


def _keep(folder: Path, source: Source, digest: str) -> Unpacked:
    """Moves verified files into the cache in one step; of two processes that race, one wins."""
    home = _home(source, digest)
    try:
        folder.replace(home)
    except OSError:
        if not home.is_dir():
            raise
    return Unpacked(home, digest)


@contextmanager
def _empty(source: Source) -> Generator[Path]:
    """A folder that is not there yet, on the cache's own disk."""
    root = cache_folder("sources")
    with tempfile.TemporaryDirectory(dir=root, prefix=f".{source.name}.") as temporary:
        yield Path(temporary) / "files"


def _verified(folder: Path, source: Source, where: str) -> str:
    found = files_digest(folder)
    if found not in source.digests:
        raise SourceRejected(
            f"{where} is damaged or of another version: its files of {source} have the digest "
            f"{found}, but release.yaml names {' or '.join(source.digests)}; replace it"
        )
    return found


# -- archives and bundles -------------------------------------------------------------------------


@dataclass(frozen=True)
class _Archive:
    """An archive of a source: a file of its own, or a member of a bundle."""

    path: Path
    packed: bundle.Packed | None = None

    @contextmanager
    def file(self) -> Generator[Path]:
        """The archive as a file, undamaged."""
        if self.packed is None:
            yield self.path
            return
        with tempfile.TemporaryDirectory(prefix="kubeflow-bundle-") as temporary:
            target = Path(temporary) / Path(self.packed.file).name
            bundle.extract(self.path, self.packed, target)
            yield target


@contextmanager
def _unpacked(archive: _Archive, source: Source) -> Generator[tuple[Path, str]]:
    """The verified files of an archive in a temporary folder, and their digest."""
    with archive.file() as file, _empty(source) as folder:
        unpack(file, source.paths, folder, str(archive.path))
        yield folder, _verified(folder, source, str(archive.path))


def _used(archive: _Archive, source: Source) -> Unpacked:
    with _unpacked(archive, source) as (folder, digest):
        if not _home(source, digest).is_dir():
            log.info("unpacking %s from %s", source, archive.path)
        return _keep(folder, source, digest)


def _named(source: Source, bundles: Path | None) -> Unpacked | None:
    """What a person pointed at: verified every time, and refused when it is another one."""
    named = [Path(entry) for entry in os.environ.get(BUNDLES, "").split(os.pathsep) if entry]
    refused: list[SourceRejected] = []
    for place in [*([bundles] if bundles else []), *named]:
        try:
            if archive := _archive_at(place.expanduser(), source):
                return _used(archive, source)
        except SourceRejected as rejected:
            refused.append(rejected)
    if refused:
        raise refused[0]
    return None


def _beside(source: Source, project: Path) -> Unpacked | None:
    """What lies where archives are looked for without being asked."""
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
                raise SourceRejected(
                    f"{place} is a bundle of release {contents.release} with {packed.digest} as "
                    f"the digest of {source.name}, but release.yaml names "
                    f"{' or '.join(source.digests)}; take the bundle of this release"
                )
    return None


def _fitting(contents: bundle.Contents, source: Source) -> bundle.Packed | None:
    fitting = (p for p in contents.sources if p.name == source.name and p.digest in source.digests)
    return next(fitting, None)


# -- git ------------------------------------------------------------------------------------------


def _fetched(source: Source) -> Unpacked:
    url = checkout.prefix() + source.repository
    if not checkout.answers(source.repository):
        raise SourcesUnavailable([source], f"{url} does not answer")
    started = time.monotonic()
    log.info("fetching %s from %s", source, url)
    with _empty(source) as folder:
        try:
            checkout.check_out(source, folder)
        except CloneFailed as failed:
            raise SourcesUnavailable([source], str(failed)) from None
        kept = _keep(folder, source, _verified(folder, source, url))
    log.info("fetched %s in %.1f s", source, time.monotonic() - started)
    return kept
