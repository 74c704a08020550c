"""Upstream sources: found, verified, unpacked once.

Ways, in this order: what the caller gives, ``KUBEFLOW_BUNDLES`` (folders, archives or bundles,
separated like ``PATH``), the cache, ``bundles`` in the project, ``../shared/upstream``, git. An
archive must have the sha256 that ``release.yaml`` names, a clone its commit; nothing else is used.
"""

from __future__ import annotations

import logging
import os
import shutil
import tarfile
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rendering import bundle, checkout
from rendering.cache import cache_folder, file_sha256
from rendering.checkout import GIT_PREFIX, CloneFailed, SourceRejected
from rendering.objects import RenderError
from rendering.release import Source

__all__ = ["GIT_PREFIX", "SourceRejected", "SourcesUnavailable", "Unpacked", "obtain"]

log = logging.getLogger(__name__)

BUNDLES = "KUBEFLOW_BUNDLES"


class SourcesUnavailable(RenderError):
    """None of the ways leads to a source; the message names them."""


@dataclass(frozen=True)
class Unpacked:
    """A verified source on this disk."""

    folder: Path
    identity: str
    """``sha256:...`` of the archive or ``git:...`` of the clone with its remotes."""


@dataclass(frozen=True)
class Archive:
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

    def of_git(self, source: Source) -> bool:
        """Was it made of a clone?"""
        return self.packed is not None and self.packed.identity == checkout.identity(source)


def obtain(source: Source, project: Path, bundles: Path | None = None) -> Unpacked:
    """Finds, verifies and unpacks a source.

    Raises:
        SourcesUnavailable: no way leads to it.
        SourceRejected: an archive or clone is there but is a different one.
    """
    archive = _named_archive(source, bundles)
    if archive is None:
        for unpacked in (_home(source, of_git=False), _home(source, of_git=True)):
            if unpacked.folder.is_dir():
                return unpacked
        archive = _default_archive(source, project)
    return _unpacked(archive, source) if archive else _cloned(source, bundles)


def find_archive(source: Source, project: Path, bundles: Path | None = None) -> Archive | None:
    """The archive of a source, verified; None when there is only git.

    Raises:
        SourceRejected: an archive is there but is a different one.
    """
    return _named_archive(source, bundles) or _default_archive(source, project)


def check(path: Path, source: Source) -> None:
    """Verifies what a bundle holds of a source as if it were used, without the cache.

    Raises:
        SourceRejected: it is not what release.yaml names.
    """
    archive = _archive_at(path, source)
    if archive is None:
        raise SourceRejected(f"{path} does not hold {source.name}")
    with tempfile.TemporaryDirectory(prefix="kubeflow-bundle-") as temporary:
        _unpacked(archive, source, Path(temporary) / "unpacked")


def _home(source: Source, *, of_git: bool) -> Unpacked:
    identity = checkout.identity(source) if of_git else f"sha256:{source.sha256}"
    kind, _, digest = identity.partition(":")
    name = f"{source.name}-{'git-' if kind == 'git' else ''}{digest[:20]}"
    return Unpacked(cache_folder("sources") / name, identity)


# -- archives -------------------------------------------------------------------------------------


def _named_archive(source: Source, bundles: Path | None) -> Archive | None:
    """What a person pointed at: verified every time, and refused when it is another one."""
    named = [Path(entry) for entry in os.environ.get(BUNDLES, "").split(os.pathsep) if entry]
    refused: list[SourceRejected] = []
    for place in [*([bundles] if bundles else []), *named]:
        try:
            found = _archive_at(place.expanduser(), source)
        except SourceRejected as rejected:
            refused.append(rejected)
        else:
            if found:
                return found
    if refused:
        raise refused[0]
    return None


def _default_archive(source: Source, project: Path) -> Archive | None:
    places = (project / "bundles", project.parent / "shared" / "upstream", cache_folder("sources"))
    return next(filter(None, (_archive_at(place, source) for place in places)), None)


def _archive_at(place: Path, source: Source) -> Archive | None:
    if place.is_dir():
        if source.bundle and (place / source.bundle).is_file():
            return _verified(place / source.bundle, source)
        for path in sorted(place.glob(f"*{bundle.SUFFIX}")):
            # A folder can hold the bundles of other releases too.
            if packed := _fitting(bundle.read(path), source):
                return Archive(path, packed)
        return None
    if place.name == source.bundle and place.is_file():
        return _verified(place, source)
    if place.is_file() and not place.name.endswith(".tar.gz"):
        contents = bundle.read(place)
        if packed := _fitting(contents, source):
            return Archive(place, packed)
        for packed in contents.sources:
            if packed.name == source.name:
                raise SourceRejected(_other(place, contents, packed, source))
    return None


def _fitting(contents: bundle.Contents, source: Source) -> bundle.Packed | None:
    accepted = {_home(source, of_git=False).identity, checkout.identity(source)}
    return next(
        (p for p in contents.sources if p.name == source.name and p.identity in accepted), None
    )


def _other(path: Path, contents: bundle.Contents, packed: bundle.Packed, source: Source) -> str:
    wanted = f"sha256:{source.sha256}" if source.sha256 else checkout.identity(source)
    return (
        f"{path} is a bundle of release {contents.release} with {packed.identity} as "
        f"{source.name}, but release.yaml names {wanted}; take the bundle of this release"
    )


def _verified(path: Path, source: Source) -> Archive:
    _verify(path, source)
    return Archive(path)


def _verify(archive: Path, source: Source) -> None:
    found = file_sha256(archive)
    if found != source.sha256:
        raise SourceRejected(
            f"{archive} has the sha256 {found}, but release.yaml names {source.sha256} for "
            f"{source.name}; replace the archive, it is damaged or of another version"
        )


def _unpacked(archive: Archive, source: Source, target: Path | None = None) -> Unpacked:
    of_git = archive.of_git(source)
    home = _home(source, of_git=of_git)
    target = target or home.folder
    with archive.file() as file:
        if archive.packed is not None and not of_git:
            _verify(file, source)
        if not target.is_dir():
            log.info("unpacking %s from %s", source.name, archive.path)
            _unpack(file, target, source if of_git else None)
    return home


def _unpack(archive: Path, target: Path, of_git: Source | None) -> None:
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        with tarfile.open(archive, "r:gz") as content:
            # The data filter refuses absolute names, links that leave the folder, and devices.
            content.extractall(temporary, filter="data")
        inside = list(temporary.iterdir())
        top = inside[0] if len(inside) == 1 and inside[0].is_dir() else temporary
        if of_git is not None:
            verify_files(top, of_git, str(archive.name))
        _publish(top, target)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise SourceRejected(f"{archive} cannot be unpacked: {error}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _publish(folder: Path, target: Path) -> None:
    """Half an unpacked source is never seen; of two processes that unpack it, one wins."""
    try:
        folder.replace(target)
    except OSError:
        if not target.is_dir():
            raise


# -- git ------------------------------------------------------------------------------------------


def _cloned(source: Source, bundles: Path | None) -> Unpacked:
    if not (source.repository and source.in_git):
        raise _unavailable(source, bundles, "it is laid out as no git repository is")
    prefix = checkout.prefix()
    if prefix not in _answering:
        _answering[prefix] = checkout.answers(source.repository)
    if not _answering[prefix]:
        raise _unavailable(source, bundles, f"{prefix}{source.repository} does not answer")
    home = _home(source, of_git=True)
    temporary = Path(tempfile.mkdtemp(dir=home.folder.parent, prefix=f".{home.folder.name}."))
    try:
        log.info("cloning %s%s at %s", prefix, source.repository, source.ref)
        checkout.check_out(source, temporary / "clone")
        if source.checkout:
            verify_files(temporary / "clone", source, f"{prefix}{source.repository}")
        _publish(temporary / "clone", home.folder)
    except CloneFailed as failed:
        raise _unavailable(source, bundles, str(failed)) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return home


_answering: dict[str, bool] = {}
"""Which git hosts answered: one that is cut off is asked once per process, not once per source."""


def verify_files(folder: Path, source: Source, where: str) -> None:
    """Compares a clone, or what a bundle has of one, with the digest in release.yaml.

    Raises:
        SourceRejected: they differ, or release.yaml names none.
    """
    found = checkout.files_digest(folder)
    if source.checkout is None:
        raise SourceRejected(
            f"{source.name} in {where} was made of git and release.yaml names no digest of its "
            f"files: if you trust it, add `checkout: {found}` to the source"
        )
    if found != source.checkout:
        raise SourceRejected(
            f"the files of {source.name} in {where} have the digest {found}, but release.yaml "
            f"names {source.checkout} as its checkout; they were changed on the way"
        )


def _unavailable(source: Source, bundles: Path | None, last: str) -> SourcesUnavailable:
    given = f"{bundles}, " if bundles else ""
    files = f"{source.bundle} or a bundle" if source.bundle else "a bundle"
    return SourcesUnavailable(
        f"the sources of {source.name} are not to be had: put {files} (made by `./kf bundle "
        f"create` where they are) into {given}a folder named by {BUNDLES}, ./bundles or "
        f"../shared/upstream, or let git reach them, by a mirror named in {GIT_PREFIX} if need be "
        f"({last})"
    )
