"""The cache: files that can be made again, named by a digest of everything they were made from.

``${KUBEFLOW_CACHE:-~/.cache/kubeflow-on-eks}/{sources,build,render,crds,manifests,tools}``;
deleting any of it is always safe.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import yaml


def cache_folder(*parts: str) -> Path:
    """A folder of the cache, made when it is missing."""
    chosen = os.environ.get("KUBEFLOW_CACHE")
    root = Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "kubeflow-on-eks"
    folder = root.joinpath(*parts)
    folder.mkdir(parents=True, exist_ok=True)
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
    """Writes a file in one step: no reader sees a part of it, also with two writers."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
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
    """The stored value of a key; None when it was never stored or is unreadable."""
    try:
        return json.loads((cache_folder(kind) / f"{key}.json").read_bytes())
    except (OSError, ValueError):
        return None


def write(kind: str, key: str, value: Any) -> None:
    """Stores a value of JSON under its key."""
    content = json.dumps(value, ensure_ascii=False).encode()
    write_atomically(cache_folder(kind) / f"{key}.json", content)
