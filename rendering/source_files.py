"""Files of an upstream repository on this disk, and their digest.

The same files have the same digest in a clone, an archive or a bundle, so that a render does not
depend on where they came from.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import os
import shutil
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import IO

from rendering.cache import file_sha256
from rendering.objects import RenderError

MOST_BYTES = 1 << 30
"""The most bytes that an archive may unpack to: fifty times the manifests of a release."""

MOST_BYTES_OF_A_HEADER = 1 << 20
"""The most bytes of a member's name and attributes; files are read in smaller pieces."""


class SourceRejected(RenderError):
    """An archive, a bundle or a clone has not the files that ``release.yaml`` describes."""


class OtherFiles(SourceRejected):
    """It has other files.

    Attributes:
        digest: of these.
    """

    def __init__(self, sentence: str, digest: str) -> None:
        super().__init__(sentence)
        self.digest = digest


def files_digest(folder: Path) -> str:
    """sha256 over the names and contents of every file of a folder; a link counts by its target."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        # Bytes, because a name has other characters in another locale.
        name = os.fsencode(path.relative_to(folder))
        if path.is_symlink():
            digest.update(b"link %s %s\n" % (name, os.fsencode(path.readlink())))
        elif path.is_file():
            digest.update(b"file %s %s\n" % (name, file_sha256(path).encode()))
    return digest.hexdigest()


def unpack(archive: Path, paths: Sequence[str], target: Path, where: str = "") -> None:
    """Unpacks the named files and folders of an archive, or all of it, without its top folder.

    Written member by member, because ``tarfile``'s own filters came with Python 3.11.4
    (https://docs.python.org/3.11/library/tarfile.html#tarfile-extraction-filter).

    Args:
        archive: a ``.tar.gz`` with one top folder.
        paths: below that folder; empty: everything.
        target: a folder that is made.
        where: the name of the archive in messages; its path by default.

    Raises:
        SourceRejected: it is damaged, too large, or has a member that is no file, folder or link
            inside the archive; then nothing is written.
        OSError: the folder cannot be written.
    """
    try:
        with (
            _Unzipped(archive) as content,
            tarfile.open(fileobj=content, mode="r:", encoding="utf-8") as tar,
        ):
            _extract(tar, paths, target)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS):
            error.filename = str(target)
            raise
        raise SourceRejected(f"{where or archive} cannot be unpacked: {error}") from None
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise SourceRejected(f"{where or archive} cannot be unpacked: {error}") from None


def pack(folder: Path, top: str, target: Path) -> None:
    """Packs a folder under one top folder: sorted, without times, owners and modes."""
    with (
        target.open("wb") as stream,
        # No file name and no time in gzip's header either.
        gzip.GzipFile(filename="", fileobj=stream, mode="wb", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in sorted(folder.rglob("*")):
            name = f"{top}/{path.relative_to(folder).as_posix()}"
            if path.is_symlink():
                link = member(name, 0)
                link.type, link.linkname = tarfile.SYMTYPE, path.readlink().as_posix()
                tar.addfile(link)
            elif path.is_file():
                with path.open("rb") as content:
                    tar.addfile(member(name, path.stat().st_size), content)


def member(name: str, size: int) -> tarfile.TarInfo:
    """A header in a tar that has the same bytes on every machine at any time."""
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = size, 0, 0o644
    return info


class _Unzipped(gzip.GzipFile):
    """The tar in an archive, read in pieces that fit into memory.

    ``tarfile`` reads a long name or an extended header at once, whatever size its header states.
    """

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= MOST_BYTES_OF_A_HEADER:
            raise tarfile.TarError("a header is longer than any file name needs")
        return super().read(size)


def _extract(tar: tarfile.TarFile, paths: Sequence[str], target: Path) -> None:
    # All of them first, so that an archive that is refused has filled no disk.
    members = list(_members(tar))
    target.mkdir(parents=True, exist_ok=True)
    links: list[tuple[Path, str]] = []
    for info, inside in members:
        if paths and not any(inside.is_relative_to(path) for path in paths):
            continue
        place = target / inside
        if info.issym():
            links.append((place, info.linkname))
        elif info.isreg():
            place.parent.mkdir(parents=True, exist_ok=True)
            _write(tar.extractfile(info) or io.BytesIO(), place)
    # Links after files, so that no file is written through a link.
    for place, linked in links:
        if not (place.parent / linked).resolve().is_relative_to(target.resolve()):
            raise tarfile.TarError(f"the link {place.name} leads out of the archive")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(linked)


def _members(tar: tarfile.TarFile) -> Iterator[tuple[tarfile.TarInfo, PurePosixPath]]:
    """Each member with its place below the top folder."""
    size = 0
    for info in tar:
        info.name, info.linkname = _of_disk(info.name), _of_disk(info.linkname)
        name = PurePosixPath(info.name)
        if name.is_absolute() or ".." in name.parts:
            raise tarfile.TarError(f"the member {info.name} is outside the archive's folder")
        if not (info.isreg() or info.isdir() or info.issym()):
            raise tarfile.TarError(f"the member {info.name} is no file, folder or symbolic link")
        # A header is a block too: a million empty files take a gigabyte of them.
        size += tarfile.BLOCKSIZE + info.size
        if size > MOST_BYTES:
            raise tarfile.TarError(f"it unpacks to more than {MOST_BYTES >> 20} MiB")
        yield info, PurePosixPath(*name.parts[1:])


def _of_disk(name: str) -> str:
    """A name of an archive, which is UTF-8, as Python has it of this machine's disk."""
    return os.fsdecode(name.encode("utf-8", "surrogateescape"))


def _write(stream: IO[bytes], place: Path) -> None:
    with place.open("xb") as copy:
        shutil.copyfileobj(stream, copy)
