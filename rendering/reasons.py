"""``reasons.yaml``: why a release differs from its upstream, in the order the reasons are tried."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from rendering.differences import Differences
from rendering.objects import RenderError
from rendering.release import Name, problems

REASONS_FILE = "reasons.yaml"
Way = Literal["removed", "added", "changed"]


class ReasonsInvalid(RenderError):
    """``reasons.yaml`` is unreadable or says something it cannot say."""


class Reason(BaseModel):
    """Why some objects or values differ. In a pattern ``*`` stands for any characters.

    ``removed`` and ``added`` name objects (``Deployment.apps kubeflow/mysql``), ``changed`` names
    values (``ConfigMap kubeflow/pipeline-install-config#data.dbHost``).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Name
    because: str
    """One sentence."""
    source: str
    """Where that is known from: a repository and a path, an issue, a document of this project."""
    removed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    def patterns(self, way: Way) -> tuple[str, ...]:
        return {"removed": self.removed, "added": self.added, "changed": self.changed}[way]


@dataclass(frozen=True, order=True)
class Place:
    """Where two renders differ: an object, or for ``changed`` an object and a path in it."""

    way: Way
    where: str

    @classmethod
    def of_change(cls, name: str, path: str) -> Place:
        return cls("changed", f"{name}#{path}")

    def __str__(self) -> str:
        return f"{self.way} {self.where}"


@dataclass(frozen=True)
class Explained:
    """Differences with their reasons; complete when ``without`` and ``unused`` are empty."""

    given: Mapping[Place, str]
    """The id of the first reason that covers the place."""
    without: tuple[Place, ...]
    """Places that no reason covers."""
    unused: tuple[str, ...]
    """Patterns that are the first to cover nothing, each with the id of its reason."""


def places(differences: Differences) -> Iterator[Place]:
    """Every difference, once."""
    for name in differences.removed:
        yield Place("removed", name)
    for name in differences.added:
        yield Place("added", name)
    for name, changes in differences.changed.items():
        for change in changes:
            yield Place.of_change(name, change.path)


def explain(found: Iterable[Place], reasons: Sequence[Reason]) -> Explained:
    """Gives each place the first reason with a pattern that covers it."""
    patterns = [
        (reason.id, way, pattern)
        for reason in reasons
        for way in get_args(Way)
        for pattern in reason.patterns(way)
    ]
    given: dict[Place, str] = {}
    without: list[Place] = []
    used: set[tuple[str, Way, str]] = set()
    for place in found:
        for known in patterns:
            if known[1] == place.way and _expression(known[2]).fullmatch(place.where):
                given[place] = known[0]
                used.add(known)
                break
        else:
            without.append(place)
    unused = tuple(f"{known[0]}: {known[1]} {known[2]}" for known in patterns if known not in used)
    return Explained(given, tuple(without), unused)


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(r"\*", ".*"), re.DOTALL)


def load_reasons(folder: Path) -> tuple[Reason, ...]:
    """Reads ``folder/reasons.yaml``; a release that differs in nothing needs none.

    Raises:
        ReasonsInvalid: one line per problem, each with the key and the value.
    """
    path = folder / REASONS_FILE
    if not path.exists():
        return ()
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
        reasons = TypeAdapter(tuple[Reason, ...]).validate_python(raw or ())
    except yaml.YAMLError as error:
        raise ReasonsInvalid(f"{path} is not readable as YAML: {error}") from None
    except ValidationError as error:
        raise ReasonsInvalid(problems(path, error)) from None
    ids = [reason.id for reason in reasons]
    if twice := sorted({each for each in ids if ids.count(each) > 1}):
        raise ReasonsInvalid(f"{path}: the id {', '.join(twice)} stands for more than one reason")
    return reasons
