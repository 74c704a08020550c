"""``release.yaml``: describes a release or an add-on, in its folder under ``manifests/``."""

from __future__ import annotations

import hashlib
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from packaging.version import Version as ParsedVersion
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
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
"""What an image is pulled for: to install the platform, when a feature is used, by an example."""
NEEDS: tuple[Needed, ...] = get_args(Needed)
"""The strongest first."""


class ReleaseInvalid(RenderError):
    """A file of a release folder is unreadable, or a key or value in it is not allowed."""


class Strict(BaseModel):
    """Part of a file of this project: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class VersionRange(Strict):
    """A range of versions with both ends; a missing end is open."""

    min: Version | None = None
    max: Version | None = None

    def holds(self, version: str) -> bool:
        """Whether ``version`` is inside; 5.8 as an end includes 5.8.1.

        Args:
            version: may have a suffix, as kustomize inside kubectl prints it
                (``v5.0.4-0.20230601165947-6ce0bf390ce3``).
        """
        parts = ParsedVersion(version.partition("-")[0]).release
        low = ParsedVersion(self.min).release if self.min else ()
        high = ParsedVersion(self.max).release if self.max else ()
        return parts[: len(low)] >= low and (not high or parts[: len(high)] <= high)

    def __str__(self) -> str:
        return " ".join(
            f"{sign} {end}" for sign, end in ((">=", self.min), ("<=", self.max)) if end
        )


class Remote(Strict):
    """A base in another repository that a source names by URL; its files are added to a clone.

    A release asset (one file that a project uploaded) is not in git and is built from a base.

    Attributes:
        repository: ``owner/name``.
        ref: a tag, branch or commit.
        commit: of the ref.
        folder: the part of the repository that is copied.
        asset: URL of a release asset.
        base: the kustomization that the asset was built from.
        images: image name in ``base`` -> the whole reference in the asset.
    """

    repository: Repository
    ref: GitRef
    commit: Commit
    folder: Inside
    asset: str | None = None
    base: Inside | None = None
    images: dict[str, str] = Field(default_factory=dict[str, str])

    @model_validator(mode="after")
    def _asset_has_a_base(self) -> Remote:
        if (self.asset is None) != (self.base is None):
            raise ValueError("an asset needs a base, and a base an asset: name both or neither")
        return self


class Source(Strict):
    """Files of an upstream repository at a ref, accepted by their digest wherever they come from.

    Attributes:
        name: begins the name of an archive, ``<name>-<ref>.tar.gz``, which has one top folder.
        repository: ``owner/name``.
        ref: a tag, branch or commit.
        commit: of the ref.
        paths: the files and folders that are used; empty: all of the repository.
        digest: ``source_files.files_digest`` of ``paths``.
        checkout: the same of a clone with its remotes, where the archive is only a part of it.
        remotes: bases that a clone names by URL; the archive contains them as files.
        mounts: folder that the files refer to and do not contain -> the source to mount there.
    """

    name: Name
    repository: Repository
    ref: GitRef
    commit: Commit
    paths: tuple[Inside, ...] = ()
    digest: Sha256
    checkout: Sha256 | None = None
    remotes: tuple[Remote, ...] = ()
    mounts: dict[Inside, Name] = Field(default_factory=dict[str, str])

    @property
    def digests(self) -> tuple[str, ...]:
        """Every digest its files may have."""
        return (self.digest,) if self.checkout is None else (self.digest, self.checkout)

    @property
    def archive(self) -> str:
        """The file name of an archive."""
        return f"{self.name}-{self.ref}.tar.gz"

    def __str__(self) -> str:
        return f"{self.name} {self.ref}"


class CopiedFiles(Strict):
    """A file or folder of a source, copied into the work copy of the release before the build."""

    source: Name
    path: str
    to: str


class Chart(Strict):
    """A Helm chart among the files of a source; its own version is replaced by the add-on's."""

    source: Name
    path: Inside
    version: Version


class Pipelines(Strict):
    """Kubeflow Pipelines of a release: its version, and the credentials it can use for S3."""

    version: Version
    credentials: tuple[str, ...] = ()


class CodeImage(Strict):
    """An image that no object names, because it stands in the code of a program.

    Attributes:
        image: the reference.
        needed: what it is pulled for.
        where: the program, and the source of that knowledge.
    """

    image: str
    needed: Needed
    where: str


class GoneImage(Strict):
    """An image of upstream's that its registry is reported to have removed.

    Attributes:
        image: as upstream names it; ``*`` stands for any characters.
        substitute: an image that takes its place; None: only a copy that was kept can.
        source: of both.
    """

    image: str
    substitute: str | None = None
    source: str

    def covers(self, image: str) -> bool:
        """Whether the entry is about this image."""
        return fnmatchcase(image, self.image)


class Release(Strict):
    """A ``release.yaml``.

    Attributes:
        name: with the version.
        kubernetes: the versions that it runs on.
        unserved: Kubernetes version -> API that it removed -> the objects that use it: the reason
            for the end of ``kubernetes``.
        kustomize: the versions that render it right.
        includes: other folders under ``manifests/`` that the kustomization names as
            ``../<folder>``, and whose sources and files are copied with it.
        part_of: of an add-on: the component that registers its objects, by its folder in
            ``components/``.
        enabled_by: of an add-on: the settings that must all be true, as the stack file writes them.
        sources: upstream repositories.
        files: copied from the sources.
        chart: of an add-on that the Kubernetes provider installs by Helm.
        upstream: the kustomization below ``sources/`` that this release is a changed copy of.
        pipelines: the Kubeflow Pipelines in it.
        images: those that no object names.
        replicated: Deployment, as ``namespace/name`` -> why two pods of it work side by side, where
            no object reveals that (``availability``).
        gone: images of upstream's without a registry; the first that covers an image counts.
        needed: source image, or a place that names it -> what it is pulled for, where the rules of
            ``inventory`` are wrong.
    """

    name: str
    kubernetes: VersionRange = VersionRange()
    unserved: dict[Version, dict[str, tuple[str, ...]]] = Field(
        default_factory=dict[str, dict[str, tuple[str, ...]]]
    )
    kustomize: VersionRange = VersionRange()
    includes: tuple[str, ...] = ()
    part_of: str = ""
    enabled_by: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()
    files: tuple[CopiedFiles, ...] = ()
    chart: Chart | None = None
    upstream: str | None = None
    pipelines: Pipelines | None = None
    images: tuple[CodeImage, ...] = ()
    replicated: dict[str, str] = Field(default_factory=dict[str, str])
    gone: tuple[GoneImage, ...] = ()
    needed: dict[str, Needed] = Field(default_factory=dict[str, Needed])


def load(folder: Path) -> Release:
    """Reads ``folder/release.yaml``.

    Raises:
        ReleaseInvalid: there is none, or as of ``read``.
    """
    try:
        return read(folder / "release.yaml", Release)
    except FileNotFoundError:
        raise ReleaseInvalid(f"{folder} is no release: it has no release.yaml") from None


def read(path: Path, form: Any) -> Any:
    """A YAML file of a release folder as a checked value of the type ``form``.

    Raises:
        ReleaseInvalid: one line per problem, each with the key and the value.
    """
    try:
        raw = yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)
        return TypeAdapter(form).validate_python(raw)
    except yaml.YAMLError as error:
        raise ReleaseInvalid(f"{path} is not readable as YAML: {error}") from None
    except ValidationError as error:
        lines = (
            f"{path}: {'.'.join(map(str, problem['loc']))}: {problem['msg']} "
            f"(found {problem['input']!r})"
            for problem in error.errors()
        )
        raise ReleaseInvalid("\n".join(lines)) from None


def stand_alone(manifests: Path) -> dict[str, Release]:
    """Every folder that is rendered by itself: releases, and add-ons that no release includes.

    Returns:
        Way below ``manifests`` -> release.
    """
    releases = {
        path.parent.relative_to(manifests).as_posix(): load(path.parent)
        for pattern in ("*/release.yaml", "addons/*/release.yaml")
        for path in sorted(manifests.glob(pattern))
    }
    included = {name for release in releases.values() for name in release.includes}
    return {name: release for name, release in releases.items() if name not in included}


MADE_FROM_RENDERS = frozenset(
    {"golden.yaml", "reasons.yaml", "images.lock", "images.explained.yaml", "upgrade.yaml"}
)
"""Files of a release folder that describe its render and are no input of it."""


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
