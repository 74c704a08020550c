"""The list of one release: ``manifests/<release>/advisories.yaml``."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic import model_validator as checked

from images.reference import Reference

NAME = "advisories.yaml"
Severity = Literal["critical", "high", "medium", "low"]
SEVERITIES: tuple[Severity, ...] = ("critical", "high", "medium", "low")
State = Literal["open", "closed", "unused"]
"""open: somebody who may log in can use the hole. closed: a file of this project closes it. unused:
what has the hole is not used here."""
Words = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
_ID = r"^(CVE-\d{4}-\d{4,}|GHSA(-[a-z0-9]{4}){3}|[\w.-]+/[\w.-]+#\d+)$"
Id = Annotated[str, StringConstraints(pattern=_ID)]
_LEAST = {"critical": 9.0, "high": 7.0, "medium": 4.0, "low": 0.0}
"""The score from which a severity begins (https://www.first.org/cvss/v3.1/specification-document)."""


def severity_of(score: float) -> Severity:
    """The severity of a score of CVSS."""
    return next(each for each in SEVERITIES if score >= _LEAST[each])


class AdvisoriesInvalid(ValueError):
    """A file of advisories cannot be read; the message is one sentence that names the file."""


class Advisory(BaseModel):
    """One published hole, and what it means in the platform that this project renders.

    Attributes:
        id: of the CVE, of GitHub's advisory, or of the pull request that closed a hole without
            either, ``kubeflow/pipelines#13127``.
        also: its other identifiers, and others of its bulletin for which the row holds as well.
        severity: by the score where there is one.
        score: of CVSS; None: none is known.
        images: ends of the repositories that have it, ``kubeflow/kfp-frontend``.
        affected: their versions, each as pip writes a range; one that fits is enough.
        what: the hole, as a part of a sentence.
        here: see ``State``.
        why: where it is exposed and to whom, or why it is not.
        by: of a closed one, the files below ``manifests/`` that close it.
        way_out: what closes an open one: a version, a setting.
        source: a page or file that shows the versions.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Id
    also: tuple[Id, ...] = ()
    severity: Severity
    score: Annotated[float, Field(ge=0, le=10)] | None = None
    images: Annotated[tuple[Words, ...], Field(min_length=1)]
    affected: Annotated[tuple[Words, ...], Field(min_length=1)]
    what: Words
    here: State
    why: Words
    by: tuple[Words, ...] = ()
    way_out: Words
    source: Annotated[str, StringConstraints(pattern=r"^https://\S+$")]

    @checked(mode="after")
    def _agrees(self) -> Advisory:
        for text in self.affected:
            try:
                SpecifierSet(text)
            except InvalidSpecifier:
                raise ValueError(f"{self.id}: {text!r} in affected is no range") from None
        if self.score is not None and severity_of(self.score) != self.severity:
            raise ValueError(f"{self.id}: a score of {self.score} is {severity_of(self.score)}")
        if bool(self.by) != (self.here == "closed"):
            raise ValueError(f"{self.id}: by names what closes it, if and only if it is closed")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """All identifiers."""
        return (self.id, *self.also)

    @property
    def rank(self) -> tuple[int, float, str]:
        """For sorting: the most severe first."""
        return SEVERITIES.index(self.severity), -(self.score or 0), self.id

    @property
    def label(self) -> str:
        """Identifier and score: ``CVE-2026-54745 (10.0)``."""
        return self.id if self.score is None else f"{self.id} ({self.score})"

    def is_of(self, image: Reference) -> bool:
        """Whether it is about an image of this name in any registry."""
        return any(f"/{image.repository}".endswith(f"/{name}") for name in self.images)

    def affects(self, image: Reference) -> bool:
        """Whether it is about an image, by its name and its version."""
        if not self.is_of(image):
            return False
        try:
            version = Version((image.tag or "").removeprefix("v").partition("-")[0])
        except InvalidVersion:
            return False
        return any(version in SpecifierSet(each) for each in self.affected)


class Advisories(BaseModel):
    """The list of one release.

    Attributes:
        read: the day on which the sources were looked through.
        advisories: in any order.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    read: date
    advisories: tuple[Advisory, ...]

    @checked(mode="after")
    def _names_are_unique(self) -> Advisories:
        names = [name for each in self.advisories for name in each.names]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{twice[0]} is there twice")
        return self

    def still_open(self, severity: Severity | None = None) -> list[Advisory]:
        """Those that are open here, of one severity or of all, the most severe first."""
        found = (each for each in self.advisories if each.here == "open")
        wanted = [each for each in found if severity in (None, each.severity)]
        return sorted(wanted, key=lambda each: each.rank)

    def of_installed(
        self, installed: Collection[Reference], left_out: Collection[Reference]
    ) -> Advisories:
        """Without those that concern only images that are left out.

        Args:
            installed: images that the stack has.
            left_out: images of its release that it does not have.
        """

        def concerns(each: Advisory, images: Collection[Reference]) -> bool:
            return any(map(each.affects, images))

        rest = (e for e in self.advisories if concerns(e, installed) or not concerns(e, left_out))
        return self.model_copy(update={"advisories": tuple(rest)})

    def named(self, name: str) -> Advisory | None:
        """The one with an identifier."""
        return next((each for each in self.advisories if name in each.names), None)

    def ids(self, names: Iterable[str]) -> set[str]:
        """The own identifiers of those that have any of these names."""
        return {each.id for name in names if (each := self.named(name))}


NONE = Advisories(read=date.min, advisories=())
"""Of a release without a list."""


@lru_cache(maxsize=16)
def of_release(folder: Path) -> Advisories:
    """The list of a release's folder; ``NONE`` where it has none.

    Raises:
        AdvisoriesInvalid: the file is no such list.
    """
    file = folder / NAME
    if not file.exists():
        return NONE
    try:
        found: object = yaml.load(file.read_bytes(), Loader=yaml.CSafeLoader)
    except yaml.YAMLError:
        raise AdvisoriesInvalid(f"{file} is no YAML: correct it.") from None
    try:
        return Advisories.model_validate(found)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        value = first["input"]
        shown = f" (found {value!r})" if isinstance(value, (str, int, float)) else ""
        id_ = _id_of_row(found, first["loc"])
        named = f" of {id_}" if id_ else ""
        told = first["msg"].removeprefix("Value error, ")
        sentence = f"{file}, {place or 'the whole'}{named}: {told}{shown}."
        raise AdvisoriesInvalid(sentence) from None


def _id_of_row(found: Any, place: tuple[int | str, ...]) -> str:
    """The identifier of the row to which a place in the file belongs; empty: it has none."""
    try:
        return str(found["advisories"][place[1]]["id"])
    except (LookupError, TypeError):
        return ""
