"""A bundle: every source of a release in one file, for a machine that reaches no git host.

A tar whose first member, ``bundle.json``, lists the others: one archive for each source, with its
sha256 and origin. The same sources give the same bytes. The checksums in a bundle only find damage;
``sources`` compares its files with the digests in release.yaml.
"""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, Literal

from pydantic import StringConstraints, ValidationError

from rendering.cache import errors_of, file_sha256
from rendering.field_types import Commit, Name, Sha256, Strict
from rendering.source_files import SourceRejected, member

SUFFIX = ".bundle.tar"
MANIFEST = "bundle.json"


class Packed(Strict):
    """One source in a bundle, and its origin.

    Attributes:
        name: of the source.
        file: its archive, a member of the bundle.
        sha256: of the archive.
        digest: of the files in it.
        repository: as in release.yaml, like ``ref`` and ``commit``.
        made_local: other repositories whose files are in the archive too, each with its ref.
    """

    name: Name
    file: Annotated[str, StringConstraints(pattern=r"^sources/[\w.-]+\.tar\.gz$")]
    sha256: Sha256
    digest: Sha256
    repository: str
    ref: str
    commit: Commit
    made_local: tuple[str, ...] = ()


class Contents(Strict):
    """``bundle.json``."""

    format: Literal[2] = 2
    release: str
    created_by: str
    sources: tuple[Packed, ...]


def write(path: Path, contents: Contents, archives: Path) -> None:
    """Writes a bundle in one step: no reader sees a part of it.

    Args:
        path: of the bundle.
        contents: its ``bundle.json``.
        archives: a folder with the archive of each source.

    Raises:
        OSError: with ``path`` as its file name.
    """
    manifest = (
        json.dumps(contents.model_dump(mode="json"), indent=2, sort_keys=True) + "\n"
    ).encode()
    unfinished = path.with_name(f".{path.name}.unfinished")
    with errors_of(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with tarfile.open(unfinished, mode="w", format=tarfile.USTAR_FORMAT) as tar:
                tar.addfile(member(MANIFEST, len(manifest)), io.BytesIO(manifest))
                for file in sorted(packed.file for packed in contents.sources):
                    archive = archives / Path(file).name
                    with archive.open("rb") as stream:
                        tar.addfile(member(file, archive.stat().st_size), stream)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)


def read(path: Path) -> Contents:
    """The bundle.json of a bundle; its archives are not read.

    Raises:
        SourceRejected: it is no bundle, or its bundle.json can't be read.
    """
    with _opened(path) as tar:
        return _contents(path, tar)


@contextmanager
def extracted(path: Path, packed: Packed) -> Generator[Path]:
    """An archive of a bundle as a file of its own, within the block.

    Raises:
        SourceRejected: it is missing, or has another sha256 than bundle.json names.
    """
    with tempfile.TemporaryDirectory(prefix="kubeflow-bundle-") as temporary:
        target = Path(temporary) / Path(packed.file).name
        with _opened(path) as tar:
            stream = _file_in(path, tar, packed.file)
            if stream is None:
                raise SourceRejected(f"{path} lacks {packed.file}, which its {MANIFEST} names")
            with target.open("wb") as copy:
                shutil.copyfileobj(stream, copy)
        sha256 = file_sha256(target)
        if sha256 != packed.sha256:
            raise SourceRejected(
                f"{path} is damaged: its {packed.file} has the sha256 {sha256}, but its {MANIFEST} "
                f"names {packed.sha256}; copy the bundle again"
            )
        yield target


def unlisted(path: Path) -> list[str]:
    """Members of a bundle that are not in its bundle.json."""
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


def _file_in(path: Path, tar: tarfile.TarFile, name: str) -> IO[bytes] | None:
    """A file of a bundle; None when it has none of that name."""
    try:
        info = tar.getmember(name)
    except KeyError:
        return None
    if info.size > path.stat().st_size:
        # Sparse, or cut off: `write` never makes one.
        raise SourceRejected(
            f"{path} is damaged: {name} in it has {info.size} bytes, more than the whole file; "
            "copy the bundle again"
        )
    return tar.extractfile(info)


def _contents(path: Path, tar: tarfile.TarFile) -> Contents:
    stream = _file_in(path, tar, MANIFEST)
    if stream is None:
        raise SourceRejected(f"{path} is no bundle: it has no {MANIFEST}")
    try:
        return Contents.model_validate_json(stream.read())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise SourceRejected(
            f"{path} has an unreadable {MANIFEST}: {where} {first['msg']}"
        ) from None
