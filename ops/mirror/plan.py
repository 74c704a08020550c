"""The plan of a mirror run: decisions over plain values, without any input or output."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

from images.reference import InvalidReference, Reference, parse
from ops.cli_errors import Refused
from rendering import ImageUse
from rendering.field_types import NEEDS, Needed
from webhook.mirror import copy_name, target_tag


@dataclass(frozen=True)
class Copy:
    """One image or chart, and the place of its copy.

    Attributes:
        source: as upstream names it.
        target: of the copy, by tag.
        digest: of the source's reference, or of the whole index from the lock; None: only the
            source's registry has it.
        needed: why the platform pulls it.
        platform: of an index, the only one that is copied; None: all of them. What is pinned is
            copied as it is, for only the whole index has its digest.
        kept: whether it is an image of the platform, whose copy does not follow the source's tag.
    """

    source: Reference
    target: Reference
    digest: str | None
    needed: Needed = "feature"
    platform: str | None = None
    kept: bool = False

    def __str__(self) -> str:
        return str(self.source)


def copies_of(
    uses: Iterable[ImageUse], locked: Mapping[str, str], platform: str | None
) -> list[Copy]:
    """The copies of ``inventories.of_stack``: of images that are not pulled from their source.

    Args:
        uses: each with its target.
        locked: source -> digest, from the locks.
        platform: the only one that is copied; None: all.
    """
    return [
        replace(
            copy_of(
                parse(use.source), parse(use.target), locked.get(use.source), platform, use.needed
            ),
            kept=True,
        )
        for use in uses
        if use.source != use.target
    ]


def copy_of(
    source: Reference,
    target: Reference,
    locked: str | None,
    platform: str | None,
    needed: Needed = "feature",
) -> Copy:
    """The copy of one image.

    Args:
        source: as upstream names it.
        target: of the copy, by any tag.
        locked: the digest of the whole index, from a lock; None: it has none.
        platform: the only one that is copied; None: all.
        needed: why the platform pulls it.

    Raises:
        InvalidReference: the target is for another digest.
    """
    if target.digest and target.digest != source.digest:
        fault = "has a digest that its source does not have"
        raise InvalidReference(f"{str(target)!r} {fault}", f"its target {fault}")
    tag = target_tag(source) if target.digest or not target.tag else target.tag
    target = replace(target, tag=tag, digest=None)
    known = source.digest or locked
    return Copy(source, target, known, needed, None if source.digest else platform)


def with_kept(listed: Iterable[Copy], own: Iterable[str], registry: str) -> list[Copy]:
    """The copies of a list, those of the platform's own images marked as such.

    Args:
        listed: the copies.
        own: sources of the platform.
        registry: ``<host>/<prefix>`` of its copies.

    Raises:
        Refused: another image would replace one of the platform's.
    """
    places = {f"{registry}/{copy_name(source)}": source for source in map(parse, own)}
    marked: list[Copy] = []
    for copy in listed:
        source = places.get(str(copy.target))
        if source not in (None, copy.source):
            raise Refused(
                f"{copy.target} is the platform's copy of {source}, and {copy} would replace it: "
                "write another target."
            )
        marked.append(replace(copy, kept=copy.kept or source is not None))
    return marked


def only(copies: Sequence[Copy], pattern: str | None) -> list[Copy]:
    """The copies whose source matches a shell pattern.

    Raises:
        Refused: none does.
    """
    matching = [copy for copy in copies if pattern is None or fnmatchcase(str(copy), pattern)]
    if not matching:
        raise Refused(
            f"no image of {len(copies)} matches {pattern!r}: patterns are for whole names, "
            "as in '*kserve*'."
        )
    return matching


def one_host(copies: Iterable[Copy]) -> str:
    """The registry that receives all copies.

    Raises:
        Refused: there is more than one.
    """
    hosts = sorted({copy.target.registry for copy in copies})
    if len(hosts) > 1:
        raise Refused(
            f"the copies go to {len(hosts)} registries ({', '.join(hosts)}): copy to one registry "
            "per run, from a file of its own."
        )
    return hosts[0]


class State(StrEnum):
    """Of a copy in the target registry."""

    PRESENT = "present"
    MISSING = "missing"
    DIFFERS = "differs"
    UNCOMPARED = "uncompared"
    """The copy is present, and the digest it should have is unknown."""


@dataclass(frozen=True)
class Surveyed:
    """A copy after the query of its target and, where necessary, of its source.

    Attributes:
        copy: the copy in question.
        index: the digest of the source as a whole; None: unknown.
        expected: the digest that a copy made now gets: that of ``index``, or of the one platform in
            it; None: unknown.
        actual: the digest it has; None: it is missing.
        problem: why its state is unknown or it cannot be copied, as the end of a sentence.
        blobs: digest -> bytes of what a copy moves; None: not queried.
    """

    copy: Copy
    index: str | None
    expected: str | None
    actual: str | None
    problem: str | None = None
    blobs: Mapping[str, int] | None = None

    @property
    def state(self) -> State:
        """A copy of all platforms is right where one would do."""
        if self.actual is None:
            return State.MISSING
        if self.actual in (self.index, self.expected):
            return State.PRESENT
        return State.UNCOMPARED if self.expected is None else State.DIFFERS

    @property
    def depends_on_source(self) -> bool:
        """Whether the source's registry has a digest that the state, or a copy, depends on."""
        return self.expected is None and self.state is not State.PRESENT

    @property
    def moved(self) -> bool:
        """Whether the tag of a platform's image has left its copy, which stays."""
        return self.copy.kept and self.copy.digest is None and self.state is State.DIFFERS

    @property
    def due(self) -> bool:
        """Whether a run copies it."""
        differs = self.state in (State.MISSING, State.DIFFERS)
        return self.problem is None and differs and not self.moved

    @property
    def bytes(self) -> int:
        """The size of what a copy moves."""
        return sum((self.blobs or {}).values())


def members_and_blobs(manifest: bytes) -> tuple[list[str], dict[str, int]]:
    """The digests of the manifests in an index; the blobs of any other manifest, with their bytes.

    Field names: OCI image-spec manifest.md, which Docker's schema 2 shares; the old schema 1 has no
    sizes. What is not a JSON object has neither.
    """
    try:
        parsed: Any = json.loads(manifest)
    except ValueError:
        parsed = None
    fields: dict[str, Any] = parsed if isinstance(parsed, dict) else {}
    blobs = [fields.get("config"), *(fields.get("layers") or [])]
    return (
        [member["digest"] for member in fields.get("manifests") or []],
        {blob["digest"]: int(blob.get("size", 0)) for blob in blobs if blob},
    )


def bytes_to_copy(due: Iterable[Surveyed]) -> int:
    """The most that a run moves: each blob once per target repository.

    Blobs that the repository already has are included: crane finds them during the copy.
    """
    sizes = {
        (item.copy.target.name, digest): size
        for item in due
        for digest, size in (item.blobs or {}).items()
    }
    return sum(sizes.values())


def ordered(due: Iterable[Surveyed]) -> list[Surveyed]:
    """The images of the install first, of these the largest first, so that none runs on alone."""
    return sorted(
        due, key=lambda item: (NEEDS.index(item.copy.needed), -item.bytes, str(item.copy))
    )
