"""CRDs of a render as one file of the cache, named by its content.

CRDs are 88 % of a release's bytes, and a run that changes none needs their digests alone. So a
render has the file and the digests; bodies are read where somebody looks at them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import yaml

from rendering import cache
from rendering.kubernetes_yaml import document
from rendering.machine_faults import machine_faults_reported
from rendering.objects import Object, RenderError


@dataclass(frozen=True)
class CrdBundle(Sequence[Object]):
    """The CRDs of a render, by name.

    Attributes:
        file: with all of them as JSON; its name is the sha256 of its content.
        digests: name of a CRD -> ``digest_of``.
    """

    file: Path
    digests: Mapping[str, str]

    @classmethod
    def of(cls, crds: Sequence[Mapping[str, Any]]) -> CrdBundle:
        """The bundle of CRDs, written unless they are one whose file is as it was written.

        Raises:
            MachineFault: the cache cannot be written.
        """
        with machine_faults_reported():
            if isinstance(crds, cls) and crds.digest == _digest_in_cache(crds.file):
                return crds
            ordered = sorted(crds, key=_name)
            content = cache.canonical_json(ordered)
            file = crd_bundle_path(cache.sha256_of(content))
            if file.stem != _digest_in_cache(file):
                cache.write_atomically(file, content)
            return cls(file, {_name(crd): digest_of(crd) for crd in ordered})

    @classmethod
    def stored(cls, digest: str, digests: Mapping[str, str]) -> CrdBundle | None:
        """A bundle that was written on this machine; None: its file is not as it was written."""
        file = crd_bundle_path(digest)
        return cls(file, digests) if digest == _digest_in_cache(file) else None

    @property
    def digest(self) -> str:
        """The sha256 of all."""
        return self.file.stem

    @cached_property
    def _bodies(self) -> list[Object]:
        return _read(self.file)

    @overload
    def __getitem__(self, index: int) -> Object: ...
    @overload
    def __getitem__(self, index: slice) -> list[Object]: ...
    def __getitem__(self, index: int | slice) -> Object | list[Object]:
        return self._bodies[index]

    def __len__(self) -> int:
        return len(self.digests)


def digest_of(value: Mapping[str, Any]) -> str:
    """Sixteen hexadecimal digits that change when a CRD, or any other JSON value, does."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


@machine_faults_reported()
def read_crd_bundle(digest: str) -> list[Object]:
    """The CRDs of a bundle that was written on this machine.

    Raises:
        RenderError: they are missing, damaged or unreadable.
        MachineFault: the cache has no folder.
    """
    return _read(crd_bundle_path(digest))


@machine_faults_reported()
def crd_documents(digest: str) -> str:
    """The YAML stream of the CRDs of a bundle that was written on this machine.

    Raises:
        RenderError: they are missing, damaged or unreadable.
        MachineFault: the cache cannot be used.
    """
    code = cache.code_digest("crd_bundle.py", "kubernetes_yaml.py")
    key = cache.sha256_of(f"{digest} {code} {yaml.__version__}".encode())
    text: str | None = cache.read("documents", key)
    if text is None:
        text = "".join(document(crd) for crd in read_crd_bundle(digest))
        cache.write("documents", key, text)
    return text


def crd_bundle_path(digest: str) -> Path:
    """The file of a bundle on this machine."""
    return cache.cache_folder("crds") / f"{digest}.json"


def _read(file: Path) -> list[Object]:
    content, fault = b"", "damaged"
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        fault = "missing"
    except OSError as error:
        fault = f"unreadable ({error.strerror})"
    if cache.sha256_of(content) != file.stem:
        raise RenderError(f"{file} is {fault}: run the command again, which writes that file anew.")
    return json.loads(content)


def _digest_in_cache(file: Path) -> str | None:
    try:
        return cache.file_sha256(file)
    except OSError:
        return None


def _name(crd: Mapping[str, Any]) -> str:
    return str(crd["metadata"]["name"])
