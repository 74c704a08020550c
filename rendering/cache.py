"""The cache: files that can be made again, named by a digest of everything they were made from.

``${KUBEFLOW_CACHE:-~/.cache/kubeflow-on-eks}``, with ``sources``, ``build``, ``render``, ``crds``,
``documents``, ``inputs``, ``manifests`` and ``tools``; deleting any of it is always safe. What is
damaged in it is made again: each file has a digest of its content in its first line or in its name.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

CACHE = "KUBEFLOW_CACHE"
"""Environment variable with the cache's folder."""


class CacheUnusable(OSError):
    """There is no folder for the cache; the message is one sentence with the way out."""


def cache_root() -> Path:
    """The cache's own folder, which may be missing.

    Raises:
        CacheUnusable: its path is relative, or there is no home folder.
    """
    chosen = os.environ.get(CACHE)
    if chosen and not Path(chosen).is_absolute():
        raise CacheUnusable(
            f"{CACHE} is {chosen}: write an absolute path, because the programs of a run work in "
            "different folders."
        )
    try:
        return Path(chosen) if chosen else Path.home() / ".cache" / "kubeflow-on-eks"
    except RuntimeError:
        raise CacheUnusable(
            f"This user has no home folder for the cache: name a folder in {CACHE}."
        ) from None


def cache_folder(*parts: str) -> Path:
    """A folder of the cache, made when it is missing.

    Raises:
        OSError: it cannot be made; ``machine_faults`` has the sentence.
    """
    folder = cache_root().joinpath(*parts)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder)) from None
    return folder


def canonical_json(value: Any) -> bytes:
    """One spelling per value: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def sha256_of(content: bytes) -> str:
    """The sha256 of bytes, in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def file_sha256(path: Path) -> str:
    """The sha256 of a file of any size, in hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file in one step: no reader sees a part of it, also with two writers.

    Raises:
        OSError: with ``path`` as its file name.
    """
    with errors_of(path):
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


@contextmanager
def errors_of(path: Path) -> Generator[None]:
    """Gives errors inside the block the file name ``path``; those of a write have none."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise


def code_digest(*names: str) -> str:
    """A digest of the named files of this package; by default of all that makes renders."""
    own = Path(__file__).resolve().parent
    images = own.parent / "images"
    every = (*own.glob("*.py"), *own.glob("*.yaml"), *images.glob("*.py"))
    files = [own / name for name in names] or sorted(every)
    return sha256_of(b"".join(path.read_bytes() for path in files))


def table(name: str) -> Any:
    """The content of a YAML file of this package."""
    return yaml.load(Path(__file__).with_name(name).read_bytes(), Loader=yaml.CSafeLoader)


def read(kind: str, key: str) -> Any:
    """The stored value of a key; None when it was never stored, or is damaged or unreadable."""
    try:
        content = _place(kind, key).read_bytes()
    except OSError:
        return None
    digest, _, text = content.partition(b"\n")
    return json.loads(text) if digest == sha256_of(text).encode() else None


def write(kind: str, key: str, value: Any) -> None:
    """Stores a value of JSON under its key, after a line with the digest of its text."""
    text = json.dumps(value, ensure_ascii=False).encode()
    write_atomically(_place(kind, key), b"%s\n%s" % (sha256_of(text).encode(), text))


def _place(kind: str, key: str) -> Path:
    return cache_folder(kind) / f"{key}.json"
