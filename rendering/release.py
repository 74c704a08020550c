"""``release.yaml``: what a folder under ``manifests/`` says about itself."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from rendering.objects import RenderError

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Commit = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
Version = Annotated[str, StringConstraints(pattern=r"^v?\d+(\.\d+){0,2}$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]*$")]


class ReleaseInvalid(RenderError):
    """``release.yaml`` is missing, unreadable or says something it cannot say."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class VersionRange(_Strict):
    """Both ends are included; a missing end is open."""

    min: Version | None = None
    max: Version | None = None

    def holds(self, version: str) -> bool:
        """Is ``version`` inside? Only the parts an end names are compared (5.8 holds 5.8.1)."""
        given = version_parts(version)
        low = version_parts(self.min) if self.min else ()
        high = version_parts(self.max) if self.max else ()
        return given[: len(low)] >= low and (not high or given[: len(high)] <= high)

    def __str__(self) -> str:
        return " ".join(
            f"{sign} {end}" for sign, end in ((">=", self.min), ("<=", self.max)) if end
        )


class Source(_Strict):
    """An upstream repository at a ref, as a verified archive or a verified commit."""

    name: Name
    repository: Annotated[str, StringConstraints(pattern=r"^[\w.-]+/[\w.-]+$")] | None = None
    ref: str | None = None
    commit: Commit | None = None
    bundle: Annotated[str, StringConstraints(pattern=r"^[\w.-]+\.tar\.gz$")]
    sha256: Sha256


class CopiedFiles(_Strict):
    """Files or folders of a source, copied into the work copy of the folder before the build."""

    source: Name
    path: str
    to: str


class Pipelines(_Strict):
    version: Version
    credentials: tuple[str, ...] = ()


class CodeImage(_Strict):
    """An image the platform can pull although no object names it: it stands in a program's code."""

    image: str
    needed: Literal["install", "feature", "example"]
    where: str
    """Which program names it, and the source of that knowledge."""


class Release(_Strict):
    name: str
    kubernetes: VersionRange = VersionRange()
    kustomize: VersionRange = VersionRange()
    includes: tuple[str, ...] = ()
    """Other folders under ``manifests/`` that the kustomization names as ``../<folder>``; their
    sources and files come with them."""
    sources: tuple[Source, ...] = ()
    files: tuple[CopiedFiles, ...] = ()
    upstream: str | None = None
    """The kustomization below ``sources/`` that this release is a changed copy of."""
    pipelines: Pipelines | None = None
    images: tuple[CodeImage, ...] = ()
    settings: dict[str, tuple[str, ...]] = Field(default_factory=dict[str, tuple[str, ...]])
    """Late value -> the places that carry it, as ``Kind namespace/name#path``."""


def version_parts(version: str) -> tuple[int, ...]:
    """``v5.8.1`` -> (5, 8, 1); a suffix after the digits does not count."""
    digits = version.removeprefix("v").split("-")[0].split("+")[0]
    return tuple(int(part) for part in digits.split("."))


def load(folder: Path) -> Release:
    """Reads ``folder/release.yaml``.

    Raises:
        ReleaseInvalid: one line per problem, each with the key and the value.
    """
    path = folder / "release.yaml"
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    except FileNotFoundError:
        raise ReleaseInvalid(f"{folder} is no release: it has no release.yaml") from None
    except yaml.YAMLError as error:
        raise ReleaseInvalid(f"{path} is not readable as YAML: {error}") from None
    try:
        return Release.model_validate(raw)
    except ValidationError as error:
        problems = "\n".join(
            f"{path}: {'.'.join(str(step) for step in item['loc'])}: {item['msg']}"
            f" (found {item['input']!r})"
            for item in error.errors()
        )
        raise ReleaseInvalid(problems) from None


def folder_digest(folder: Path) -> str:
    """sha256 over the names and contents of every file in a folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"{path.relative_to(folder).as_posix()} {content}\n".encode())
    return digest.hexdigest()
