"""A bundle: every source of a release in one file, for a machine that reaches no git host.

A tar whose first member, ``bundle.json``, says what the others are: one archive for each source,
with its sha256 and where it came from. The same sources give the same bytes. What a bundle says of
itself finds damage; that it is the right one is decided by release.yaml, in ``sources``.
"""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, Literal

from pydantic import StringConstraints, ValidationError

from rendering.cache import file_sha256
from rendering.release import Commit, Name, Sha256, Strict
from rendering.source_files import SourceRejected, member

SUFFIX = ".bundle.tar"
MANIFEST = "bundle.json"


class Packed(Strict):
    """One source in a bundle, and where it came from."""

    name: Name
    file: Annotated[str, StringConstraints(pattern=r"^sources/[\w.-]+\.tar\.gz$")]
    sha256: Sha256
    """Of the archive."""
    digest: Sha256
    """Of the files in it."""
    repository: str
    ref: str
    commit: Commit
    made_local: tuple[str, ...] = ()
    """Other repositories whose files it has too, each with its ref."""


class Contents(Strict):
    """``bundle.json``."""

    format: Literal[2] = 2
    release: str
    created_by: str
    sources: tuple[Packed, ...]


def write(path: Path, contents: Contents, files: Mapping[str, Path]) -> None:
    """Writes a bundle; half of one is never seen.

    Args:
        files: member name -> the archive on this disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    manifest = (
        json.dumps(contents.model_dump(mode="json"), indent=2, sort_keys=True) + "\n"
    ).encode()
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        with tarfile.open(unfinished, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            _add(tar, MANIFEST, io.BytesIO(manifest), len(manifest))
            for name in sorted(files):
                with files[name].open("rb") as stream:
                    _add(tar, name, stream, files[name].stat().st_size)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def read(path: Path) -> Contents:
    """What a bundle says is in it; its archives are not looked at.

    Raises:
        SourceRejected: it is no bundle, or its bundle.json can't be read.
    """
    with _opened(path) as tar:
        return _contents(path, tar)


def extract(path: Path, packed: Packed, target: Path) -> None:
    """Copies one archive out of a bundle.

    Raises:
        SourceRejected: it is not there, or not what bundle.json says.
    """
    with _opened(path) as tar:
        try:
            stream = tar.extractfile(packed.file)
        except KeyError:
            stream = None
        if stream is None:
            raise SourceRejected(f"{path} lacks {packed.file}, which its {MANIFEST} names")
        with target.open("wb") as copy:
            shutil.copyfileobj(stream, copy)
    found = file_sha256(target)
    if found != packed.sha256:
        raise SourceRejected(
            f"{path} is damaged: its {packed.file} has the sha256 {found}, but its {MANIFEST} "
            f"says {packed.sha256}; copy the bundle again"
        )


def unlisted(path: Path) -> list[str]:
    """Members that bundle.json does not name."""
    with _opened(path) as tar:
        listed = {MANIFEST, *(packed.file for packed in _contents(path, tar).sources)}
        return sorted(set(tar.getnames()) - listed)


@contextmanager
def _opened(path: Path) -> Generator[tarfile.TarFile]:
    try:
        with tarfile.open(path, "r:") as tar:
            yield tar
    except (tarfile.TarError, EOFError) as error:
        raise SourceRejected(f"{path} cannot be read as a bundle: {error}") from None
    except OSError as error:
        raise SourceRejected(f"{path} cannot be read: {error.strerror or error}") from None


def _contents(path: Path, tar: tarfile.TarFile) -> Contents:
    try:
        stream = tar.extractfile(MANIFEST)
        return Contents.model_validate_json(stream.read() if stream else b"")
    except KeyError:
        raise SourceRejected(f"{path} is no bundle: it has no {MANIFEST}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise SourceRejected(
            f"{path} has an unreadable {MANIFEST}: {where} {first['msg']}"
        ) from None


def _add(tar: tarfile.TarFile, name: str, stream: IO[bytes], size: int) -> None:
    tar.addfile(member(name, size), stream)
