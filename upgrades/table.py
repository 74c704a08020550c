"""The ways to one release: ``manifests/<release>/upgrade.yaml``."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic import model_validator as checked

NAME = "upgrade.yaml"
Words = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Id = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$")]
Object = Annotated[
    str, StringConstraints(pattern=r"^(\*|[A-Z]\w+)(\.[a-z0-9.-]+)? ([\w.-]+/)?[\w.*-]+$")
]
"""``<kind>[.<group>] [<namespace>/]<name>``, as golden.yaml names objects; ``*`` stands for any
characters, such as a hash."""
Objects = Annotated[tuple[Object, ...], Field(min_length=1)]


class UpgradesInvalid(ValueError):
    """A file of upgrades cannot be read; the message is one sentence that names the file."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Ended(_Part):
    """A field by whose value an object is done with.

    Attributes:
        path: of the field, its parts joined by dots.
        values: that it has then; an object without the field is not done.
    """

    path: Words
    values: Annotated[tuple[Words, ...], Field(min_length=1)]


class Stored(_Part):
    """Objects of users that are in the way of an upgrade.

    Attributes:
        api: ``<group>/<version>`` that the old release serves.
        resource: their plural name.
        kind: the name of one, for sentences.
        named: only those called so are, ``<namespace>/<name>`` where the kind has namespaces.
        having: only objects with any of these fields are, or with any of ``texts`` or ``holding``;
            none of the three: all. In a path, ``*`` stands for any field.
        filled: field in ``having`` -> the value that the old API server itself fills in.
        texts: fields that may hold a text or a number, and hold a text.
        holding: field -> a value that it has.
        unless: those that have ended are not.
    """

    api: Annotated[str, StringConstraints(pattern=r"^[a-z0-9.-]+/v\w+$")]
    resource: Id
    kind: Words
    named: tuple[Words, ...] = ()
    having: tuple[Words, ...] = ()
    filled: dict[Words, Words] = Field(default_factory=dict[str, str])
    texts: tuple[Words, ...] = ()
    holding: dict[Words, Words] = Field(default_factory=dict[str, str])
    unless: Ended | None = None


class Condition(_Part):
    """What must be true before an upgrade, asked before anything changes.

    Attributes:
        name: by which a stack confirms a condition that no answer can show.
        what: the condition, as a part of a sentence.
        why: the reason, as a part of a sentence.
        way_out: how it becomes true, as a part of a sentence.
        snapshot_hours: a snapshot of the database is at most that old; 0: none is asked for.
        objects: none of these are in the cluster.
    """

    name: Id
    what: Words
    why: Words
    way_out: Words
    snapshot_hours: Annotated[int, Field(ge=0)] = 0
    objects: tuple[Stored, ...] = ()

    @checked(mode="after")
    def _asks_something(self) -> Condition:
        if not (self.snapshot_hours or self.objects):
            raise ValueError(f"{self.name} asks nothing: give it snapshot_hours or objects")
        return self


class Gone(_Part):
    """Objects that only the old release has, and what takes their place.

    Attributes:
        objects: of the old release.
        to: of the new release; empty: nothing does.
        why: the reason.
    """

    objects: Objects
    to: tuple[Object, ...] = ()
    why: Words


class Replaced(_Part):
    """An object of both releases that is deleted and created, because a field cannot change.

    Attributes:
        object: its name.
        field: that differs.
        why: the reason, and what stops meanwhile.
    """

    object: Object
    field: Words
    why: Words


class Stays(_Part):
    """What belonged to the old release and is not deleted.

    Attributes:
        what: an object, or a database.
        why: the reason.
    """

    what: Words
    why: Words


class Crd(_Part):
    """A CRD whose objects are stored in another version from then on."""

    name: Words
    storage: Words
    was: Words


class Database(_Part):
    """What happens to a database.

    Attributes:
        name: of the database.
        by: who changes it, and when; empty: nobody.
        adds: tables and columns, ``table`` or ``table.column``.
    """

    name: Words
    by: str = ""
    adds: tuple[Words, ...] = ()

    @checked(mode="after")
    def _agrees(self) -> Database:
        if bool(self.by) != bool(self.adds):
            raise ValueError(f"{self.name}: name both who changes it and what is added, or neither")
        return self


class Upgrade(_Part):
    """The way from one release.

    Attributes:
        known_by: a CRD that no other release has: by it a state is recognised that names no
            release, as all do that an older version of this project has written. None: there is
            no such CRD.
        before: what must be true.
        gone: every object that the new release has not.
        replaced: every object with a field that cannot change.
        awaits_crds: objects with fields that the old release's CRDs do not declare: no preview
            shows them to an API server that still has those.
        webhooks: configurations in ``gone``, deleted before the Service and the Deployment behind
            them, since nothing could be created in between.
        stays: what is left.
        crds: those with another stored version.
        databases: all of them.
        not_undone: what no way back brings back.
    """

    known_by: Words | None = None
    before: tuple[Condition, ...] = ()
    gone: tuple[Gone, ...] = ()
    replaced: tuple[Replaced, ...] = ()
    awaits_crds: tuple[Object, ...] = ()
    webhooks: tuple[Object, ...] = ()
    stays: tuple[Stays, ...] = ()
    crds: tuple[Crd, ...] = ()
    databases: tuple[Database, ...] = ()
    not_undone: tuple[Words, ...] = ()

    @property
    def changes_data(self) -> bool:
        """Whether anything is stored in another way, or is not to be had back."""
        changed = any(each.adds for each in self.databases)
        return changed or bool(self.crds or self.replaced or self.not_undone)

    def condition(self, name: str) -> Condition | None:
        """The condition of a name."""
        return next((each for each in self.before if each.name == name), None)


class Upgrades(_Part):
    """All ways to one release, by the release that a stack has: its folder below ``manifests/``."""

    ways: dict[str, Upgrade] = Field(default_factory=dict[str, Upgrade], alias="from")

    def conditions(self) -> Iterator[str]:
        """The names of all conditions."""
        for way in self.ways.values():
            yield from (each.name for each in way.before)

    @property
    def awaits_crds(self) -> tuple[str, ...]:
        """Those of all ways: the release from which a stack comes is in its state alone."""
        return tuple(each for way in self.ways.values() for each in way.awaits_crds)

    def recognised(self, crds: Collection[str]) -> str | None:
        """The release with these CRDs; None: none of those with a way."""
        return next((name for name, way in self.ways.items() if way.known_by in crds), None)


NONE = Upgrades.model_validate({})
"""Of a release to which no way leads."""


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether an object's name is one of these; see ``Object``."""
    return any(fnmatchcase(name, each) for each in patterns)


@lru_cache(maxsize=16)
def of_release(folder: Path) -> Upgrades:
    """The ways to the release of a folder; ``NONE`` where it has no such file.

    Raises:
        UpgradesInvalid: the file is no such table.
    """
    file = folder / NAME
    if not file.exists():
        return NONE
    try:
        return Upgrades.model_validate(yaml.load(file.read_bytes(), Loader=yaml.CSafeLoader))
    except yaml.YAMLError:
        raise UpgradesInvalid(f"{file} is no YAML: correct it.") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        value = first["input"]
        shown = f" (found {value!r})" if isinstance(value, (str, int, float)) else ""
        told = first["msg"].removeprefix("Value error, ")
        raise UpgradesInvalid(f"{file}, {place or 'the whole'}: {told}{shown}.") from None
