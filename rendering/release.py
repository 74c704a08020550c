"""``release.yaml``: describes a release or an add-on, in its folder under ``manifests/``."""

from __future__ import annotations

import hashlib
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from packaging.version import Version as ParsedVersion
from pydantic import (
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from images.reference import Reference, parse
from rendering.cache import file_sha256
from rendering.field_types import (
    Commit,
    GitRef,
    Inside,
    KindAndName,
    Name,
    Needed,
    ObjectName,
    Repository,
    Sha256,
    SqlDatabase,
    SqlUser,
    Strict,
    Version,
)
from rendering.objects import RenderError
from rendering.parts import Parts


class ReleaseInvalid(RenderError):
    """A file of a release folder is unreadable, or a key or value in it is not allowed."""


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


class DatabaseUser(Strict):
    """The user of a component in the database of the stack, and the user's own database.

    Attributes:
        user: at most 32 characters, MySQL's limit.
        database: its name.
        login: the plugin that checks the password.
        tls: ``SSL``: refused without TLS; ``NONE``: of a client that cannot.
        rights: on its database, and on no other.
        tables: those that the component has made after its first start.
        deployment: whose pods log in as the user, and make the tables.
    """

    user: SqlUser
    database: SqlDatabase
    login: Literal["caching_sha2_password", "mysql_native_password"]
    tls: Literal["SSL", "NONE"]
    rights: tuple[Annotated[str, StringConstraints(pattern=r"^[A-Z]+( [A-Z]+)*$")], ...]
    tables: tuple[str, ...] = ()
    deployment: ObjectName


class OptionalPart(Strict):
    """Objects that are rendered only when a setting asks for them (``rendering.optional``).

    Attributes:
        setting: a boolean, as the stack file writes it.
        because: why it is false by default.
        objects: those that are left out while it is false, as kustomize prints them.
        images: those of the part that stand in the code of a program.
        databases: components in ``databases`` that belong to these objects alone.
        variables: object that stays -> variables of its containers that are for the part alone.
    """

    setting: str
    because: str
    objects: tuple[KindAndName, ...] = Field(min_length=1)
    images: tuple[CodeImage, ...] = ()
    databases: tuple[Name, ...] = ()
    variables: dict[KindAndName, tuple[str, ...]] = Field(
        default_factory=dict[KindAndName, tuple[str, ...]]
    )


class Patches(Strict):
    """Later versions of a component's images that work with the objects of this release.

    Attributes:
        version: that the objects name.
        versions: the others that a setting may choose, oldest first.
        images: names, without tag, of the images whose tag has the version; ``*`` stands for any
            characters.
        source: where the versions and their compatibility can be read.
    """

    version: Version
    versions: tuple[Version, ...] = Field(min_length=1)
    images: tuple[str, ...] = Field(min_length=1)
    source: str

    def covers(self, image: Reference) -> bool:
        """Whether it is one of these images, at the version that the objects name."""
        tag, _, _ = (image.tag or "").partition("-")
        return tag == self.version and any(fnmatchcase(image.name, each) for each in self.images)

    def other(self, image: Reference, version: str) -> Reference:
        """One of these images at another version, without digest: only its registry has that."""
        tag = (image.tag or "").replace(self.version, version, 1)
        return parse(f"{image.name}:{tag}")


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
        upstream: the kustomization that this release is a changed copy of, below ``sources/``; with
            ``./`` before it, in the release's own folder, which composes it of several sources.
        pipelines: the Kubeflow Pipelines in it.
        images: those that no object names.
        replicated: Deployment, as ``namespace/name`` -> why two pods of it work side by side, where
            no object reveals that (``availability``).
        gone: images of upstream's without a registry; the first that covers an image counts.
        needed: source image, or a place that names it -> what it is pulled for, where the rules of
            ``inventory`` are wrong.
        default: this is the release of a stack that names none; of one release only.
        parts: the objects that programs of this project name.
        databases: component -> its user in the database.
        optional: what is rendered only on request.
        patches: component -> later versions of its images that a setting may choose.
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
    default: bool = False
    parts: Parts = Parts()
    databases: dict[Name, DatabaseUser] = Field(default_factory=dict[Name, DatabaseUser])
    optional: dict[Name, OptionalPart] = Field(default_factory=dict[Name, OptionalPart])
    patches: dict[Name, Patches] = Field(default_factory=dict[Name, Patches])

    @model_validator(mode="after")
    def _each_component_has_a_database_of_its_own(self) -> Release:
        owners: dict[str, str] = {}
        for component, user in self.databases.items():
            for name in (f"user {user.user}", f"database {user.database}"):
                if owner := owners.get(name):
                    raise ValueError(
                        f"databases.{component}: {name} is that of {owner}: give it another name, "
                        "because components have tables of the same names"
                    )
                owners[name] = component
        return self

    @model_validator(mode="after")
    def _databases_of_optional_parts_exist(self) -> Release:
        for name, part in self.optional.items():
            for component in part.databases:
                if component not in self.databases:
                    raise ValueError(
                        f"optional.{name}.databases: {component} is not in databases: add its user "
                        "there, or remove the name here"
                    )
        return self


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


def refuse_digests_of_others(folder: Path, release: Release) -> None:
    """Refuses a copied folder with a new commit and old digests: these would render old files.

    Raises:
        ReleaseInvalid: another folder beside this one has the digest with another commit.
    """
    own = folder / "release.yaml"
    for other in sorted(folder.parent.glob("*/release.yaml")):
        text = "" if other == own else other.read_text("utf-8")
        for source in release.sources:
            if source.commit not in text and any(each in text for each in source.digests):
                raise ReleaseInvalid(
                    f"{own}: {source.name} has the digest of {other.parent.name} and another "
                    f"commit: `python -m rendering.new_release {folder.name}` writes the digest of "
                    f"{source.commit}"
                )


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
