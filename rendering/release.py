"""``release.yaml``: what a folder under ``manifests/`` says about itself."""

from __future__ import annotations

import hashlib
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal, get_args

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from rendering.cache import file_sha256
from rendering.objects import RenderError

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Commit = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
Version = Annotated[str, StringConstraints(pattern=r"^v?\d+(\.\d+){0,2}$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]*$")]
Repository = Annotated[str, StringConstraints(pattern=r"^[\w.-]+/[\w.-]+$")]
GitRef = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][\w./+-]*$")]
Inside = Annotated[str, StringConstraints(pattern=r"^\w[\w-]*(\.[\w-]+)*(/[\w-]+(\.[\w-]+)*)*$")]
"""A path below a folder: relative, and without a way up."""
Needed = Literal["install", "feature", "example"]
"""Why an image is pulled: to install the platform, when a feature is used, by an example."""
NEEDS: tuple[Needed, ...] = get_args(Needed)
"""The strongest first."""


class ReleaseInvalid(RenderError):
    """``release.yaml`` is missing, unreadable or says something it cannot say."""


class Strict(BaseModel):
    """A file of ours: an unknown key in it is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class VersionRange(Strict):
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


class Remote(Strict):
    """A base in another repository that a source names by URL; a clone gets it as files.

    A release asset (one file that a project uploaded) is not in git: ``asset`` is its URL, ``base``
    the kustomization it was built from, ``images`` what the release process changed on the way.
    """

    repository: Repository
    ref: GitRef
    commit: Commit
    folder: Inside
    """The part of the repository that is taken over."""
    asset: str | None = None
    base: Inside | None = None
    images: dict[str, str] = Field(default_factory=dict[str, str])
    """Image name in ``base`` -> the whole reference in the asset."""

    @model_validator(mode="after")
    def _asset_has_a_base(self) -> Remote:
        if (self.asset is None) != (self.base is None):
            raise ValueError("an asset needs a base, and a base an asset: name both or neither")
        return self


class Source(Strict):
    """Files of an upstream repository at a ref; their digest decides, whichever way they come.

    An archive of them is called ``<name>-<ref>.tar.gz`` and has one top folder.
    """

    name: Name
    repository: Repository
    ref: GitRef
    commit: Commit
    paths: tuple[Inside, ...] = ()
    """The files and folders that are used; empty: all of the repository."""
    digest: Sha256
    """``source_files.files_digest`` of ``paths``."""
    checkout: Sha256 | None = None
    """The same of a clone with its remotes, where the archive is less than the repository."""
    remotes: tuple[Remote, ...] = ()
    """What a clone lacks: the archive holds these already."""
    mounts: dict[Inside, Name] = Field(default_factory=dict[str, str])
    """Folder inside it that it expects and does not hold -> the source that belongs there."""

    @property
    def digests(self) -> tuple[str, ...]:
        """Every digest its files may have."""
        return (self.digest,) if self.checkout is None else (self.digest, self.checkout)

    @property
    def archive(self) -> str:
        return f"{self.name}-{self.ref}.tar.gz"

    def __str__(self) -> str:
        return f"{self.name} {self.ref}"


class CopiedFiles(Strict):
    """Files or folders of a source, copied into the work copy of the folder before the build."""

    source: Name
    path: str
    to: str


class Pipelines(Strict):
    version: Version
    credentials: tuple[str, ...] = ()


class CodeImage(Strict):
    """An image the platform can pull although no object names it: it stands in a program's code."""

    image: str
    needed: Needed
    where: str
    """Which program names it, and the source of that knowledge."""


class GoneImage(Strict):
    """An image of upstream's that its registry is reported to serve no more."""

    image: str
    """As upstream names it; ``*`` stands for any characters."""
    substitute: str | None = None
    """What is known to take its place; None: nothing, whoever has a copy must push it."""
    source: str
    """Where both are known from."""

    def covers(self, image: str) -> bool:
        return fnmatchcase(image, self.image)


class Release(Strict):
    name: str
    kubernetes: VersionRange = VersionRange()
    unserved: dict[Version, dict[str, tuple[str, ...]]] = Field(
        default_factory=dict[str, dict[str, tuple[str, ...]]]
    )
    """Kubernetes version -> API it took away -> the objects that ask for it: why ``kubernetes``
    ends where it ends."""
    kustomize: VersionRange = VersionRange()
    includes: tuple[str, ...] = ()
    """Other folders under ``manifests/`` that the kustomization names as ``../<folder>``; their
    sources and files come with them."""
    part_of: str = ""
    """Of an add-on: the component that registers its objects, by its folder in ``components/``."""
    enabled_by: tuple[str, ...] = ()
    """Of an add-on: the settings that must all be true, as the stack file writes them."""
    sources: tuple[Source, ...] = ()
    files: tuple[CopiedFiles, ...] = ()
    upstream: str | None = None
    """The kustomization below ``sources/`` that this release is a changed copy of."""
    pipelines: Pipelines | None = None
    images: tuple[CodeImage, ...] = ()
    gone: tuple[GoneImage, ...] = ()
    """The first that covers an image counts."""
    needed: dict[str, Needed] = Field(default_factory=dict[str, Needed])
    """Source image, or a place that names it -> why it is needed, where the rules judge wrong."""
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
        raise ReleaseInvalid(problems(path, error)) from None


def stand_alone(manifests: Path) -> dict[str, Release]:
    """Every folder that is rendered by itself: releases, and add-ons that no release includes.

    Returns:
        Way below ``manifests`` -> release.
    """
    found = {
        path.parent.relative_to(manifests).as_posix(): load(path.parent)
        for pattern in ("*/release.yaml", "addons/*/release.yaml")
        for path in sorted(manifests.glob(pattern))
    }
    included = {name for release in found.values() for name in release.includes}
    return {name: release for name, release in found.items() if name not in included}


def problems(path: Path, error: ValidationError) -> str:
    """One line per problem of a file, each with the key and the value."""
    return "\n".join(
        f"{path}: {'.'.join(str(step) for step in item['loc'])}: {item['msg']}"
        f" (found {item['input']!r})"
        for item in error.errors()
    )


MADE_FROM_RENDERS = frozenset(
    {"golden.yaml", "reasons.yaml", "images.lock", "images.explained.yaml"}
)
"""Files of a release folder that say something about its render and are no part of it."""


def folder_digest(folder: Path) -> str:
    """sha256 over the names and contents of every file in a folder that a render can depend on."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.name in MADE_FROM_RENDERS or "__pycache__" in path.parts:
            continue
        if path.is_file():
            content = file_sha256(path)
            digest.update(f"{path.relative_to(folder).as_posix()} {content}\n".encode())
    return digest.hexdigest()
