"""Where things that can be made again are kept, and renders by what went into them.

``${KUBEFLOW_CACHE:-~/.cache/kubeflow-on-eks}/{sources,build,render,crds,manifests,tools}``;
deleting any of it is always safe.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

FORMAT = "1"


def cache_folder(*parts: str) -> Path:
    """A folder of the cache, made when it is not there."""
    chosen = os.environ.get("KUBEFLOW_CACHE")
    root = Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "kubeflow-on-eks"
    folder = root.joinpath(*parts)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def canonical_json(value: Any) -> bytes:
    """One spelling per value: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def sha256_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def file_sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_atomically(path: Path, content: bytes) -> None:
    """Nobody ever reads half a file, also when two processes write the same one."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def code_digest() -> str:
    """Changes whenever the code that makes renders does."""
    here = Path(__file__).resolve().parent
    return _digest_of([*sorted(here.glob("*.py")), *sorted((here.parent / "images").glob("*.py"))])


def _digest_of(files: Iterable[Path]) -> str:
    digest = hashlib.sha256(FORMAT.encode())
    for path in files:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def build_key(kustomization: str, inputs: Mapping[str, Any]) -> str:
    """The name of what kustomize makes of a kustomization; ``inputs``: all that it reads."""
    here = Path(__file__).resolve().parent
    code = _digest_of(here / name for name in ("assembly.py", "kustomize.py"))
    return sha256_of(canonical_json({**inputs, "kustomization": kustomization, "code": code}))


def read_build(key: str) -> list[dict[str, Any]] | None:
    """The stored objects of a build; None when it was never stored or is unreadable."""
    try:
        return json.loads((cache_folder("build") / f"{key}.json").read_bytes())
    except (OSError, ValueError):
        return None


def write_build(key: str, objects: Sequence[Mapping[str, Any]]) -> None:
    content = json.dumps(objects, ensure_ascii=False).encode()
    write_atomically(cache_folder("build") / f"{key}.json", content)


def render_key(inputs: Mapping[str, Any]) -> str:
    """The name of a render: a digest of everything it is made from."""
    return sha256_of(canonical_json({**inputs, "code": code_digest()}))


def read_render(key: str) -> tuple[dict[str, Any], list[dict[str, Any]]] | None:
    """The stored body and CRDs of a render; None when it was never stored or is unreadable."""
    folder = cache_folder("render")
    try:
        body = json.loads((folder / f"{key}.json").read_bytes())
        crds = json.loads((folder / f"{key}.crds.json").read_bytes())
    except (OSError, ValueError):
        return None
    return body, crds


def write_render(key: str, body: Mapping[str, Any], crds: list[dict[str, Any]]) -> None:
    # CRDs are three quarters of the bytes and have their own file, so that tools that only want the
    # objects need not read them. The body comes last: it makes the entry count.
    folder = cache_folder("render")
    write_atomically(folder / f"{key}.crds.json", json.dumps(crds, ensure_ascii=False).encode())
    write_atomically(folder / f"{key}.json", json.dumps(body, ensure_ascii=False).encode())
