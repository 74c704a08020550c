"""What a mirror run has to do: decisions over plain values, without any input or output."""

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
from rendering.release import NEEDS, Needed
from webhook.mirror import target_tag

_ARROW = " -> "


@dataclass(frozen=True)
class Copy:
    """One image or chart, and where its copy belongs.

    Attributes:
        source: as upstream names it.
        repository: ``host/path`` of the copy.
        tag: the copy's.
        digest: what the source is pinned to, or the lock says; None: the source has to be asked.
        needed: why the platform pulls it.
        platform: of an index only the image for it; None: all of it.
    """

    source: Reference
    repository: str
    tag: str
    digest: str | None
    needed: Needed = "feature"
    platform: str | None = None

    @property
    def target(self) -> str:
        return f"{self.repository}:{self.tag}"

    @property
    def host(self) -> str:
        """The registry of the copy."""
        return self.repository.partition("/")[0]

    @property
    def path(self) -> str:
        """The repository within its registry."""
        return self.repository.partition("/")[2]

    def __str__(self) -> str:
        return str(self.source)


class State(StrEnum):
    """Of a copy in the target registry."""

    PRESENT = "present"
    MISSING = "missing"
    DIFFERS = "differs"
    UNCOMPARED = "uncompared"
    """It is there, and nothing tells what its digest should be."""


def state(wanted: str | None, found: str | None) -> State:
    """Compares the digests of whole indexes."""
    if found is None:
        return State.MISSING
    if wanted is None:
        return State.UNCOMPARED
    return State.PRESENT if wanted == found else State.DIFFERS


def copies_of(
    uses: Iterable[ImageUse], locked: Mapping[str, str], platform: str | None
) -> list[Copy]:
    """The copies a stack needs; what it pulls from its source is none.

    Args:
        uses: from ``inventories.of_stack``.
        locked: source -> digest, from the locks.
        platform: the only one that is copied; None: all.
    """
    return [
        _copy(parse(use.source), parse(use.target), locked.get(use.source), platform, use.needed)
        for use in uses
        if use.source != use.target
    ]


def read(text: str, locked: Mapping[str, str], platform: str | None, name: str) -> list[Copy]:
    """The copies in a file with a line ``source -> target`` for each, as ``images.txt`` has them.

    Empty lines and those that begin with ``#`` count for nothing.

    Args:
        text: of the file.
        locked: source -> digest, from the locks.
        platform: the only one that is copied; None: all.
        name: of the file, for sentences.

    Raises:
        Refused: a line says something else, or two lines want one place for two images.
    """
    found: dict[str, Copy] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        source, arrow, target = (part.strip() for part in line.partition(_ARROW))
        if not (arrow and source and target):
            raise Refused(f"{name}, line {number}: write `source -> target`.")
        try:
            copy = _copy(parse(source), parse(target), locked.get(source), platform)
        except InvalidReference as wrong:
            raise Refused(f"{name}, line {number}: {wrong}.") from None
        other = found.setdefault(copy.target, copy)
        if other.source != copy.source:
            raise Refused(f"{name}, line {number}: {copy.target} is to hold {other} as well.")
    if not found:
        raise Refused(f"{name} names no image: write `source -> target`, one image a line.")
    return list(found.values())


def _copy(
    source: Reference,
    target: Reference,
    locked: str | None,
    platform: str | None,
    needed: Needed = "feature",
) -> Copy:
    if target.digest and target.digest != source.digest:
        raise InvalidReference(f"{str(target)!r} has a digest that its source does not have")
    tag = target_tag(source) if target.digest or not target.tag else target.tag
    if source.digest or platform is None:
        return Copy(source, target.name, tag, source.digest or locked, needed)
    # A lock tells the digest of the whole index.
    return Copy(source, target.name, tag, None, needed, platform)


def only(copies: Sequence[Copy], pattern: str | None) -> list[Copy]:
    """Those whose source fits a shell pattern.

    Raises:
        Refused: none does.
    """
    chosen = [copy for copy in copies if pattern is None or fnmatchcase(str(copy), pattern)]
    if not chosen:
        raise Refused(
            f"no image of {len(copies)} fits {pattern!r}: patterns are for whole names, "
            "as in '*kserve*'."
        )
    return chosen


def one_host(copies: Sequence[Copy]) -> str:
    """The registry that receives all copies.

    Raises:
        Refused: there is more than one.
    """
    hosts = sorted({copy.host for copy in copies})
    if len(hosts) > 1:
        raise Refused(f"the copies go to {len(hosts)} registries ({', '.join(hosts)}): one a run.")
    return hosts[0]


@dataclass(frozen=True)
class Surveyed:
    """A copy after its target, and where needed its source, was asked.

    Attributes:
        copy: what was asked about.
        wanted: the digest it should have; None: nothing told it.
        found: the digest it has; None: there is none.
        problem: why it cannot be decided or copied, as the end of a sentence.
        blobs: digest -> bytes of what a copy moves; empty: not asked.
    """

    copy: Copy
    wanted: str | None
    found: str | None
    problem: str | None = None
    blobs: Mapping[str, int] | None = None

    @property
    def state(self) -> State:
        return state(self.wanted, self.found)

    @property
    def due(self) -> bool:
        """Is it to be copied?"""
        return self.problem is None and self.state in (State.MISSING, State.DIFFERS)

    @property
    def bytes(self) -> int:
        return sum((self.blobs or {}).values())

    def failed(self, reason: str) -> Surveyed:
        return replace(self, problem=reason)


def members(manifest: bytes) -> list[str]:
    """The digests of the manifests in an index; of anything else, none."""
    return [each["digest"] for each in _parsed(manifest).get("manifests") or []]


def blobs(manifest: bytes) -> dict[str, int]:
    """The blobs a manifest names, with their sizes in bytes; the old schema 1 tells no sizes.

    Field names: OCI image-spec manifest.md, which Docker's schema 2 shares.
    """
    parsed = _parsed(manifest)
    parts = [parsed.get("config"), *(parsed.get("layers") or [])]
    return {part["digest"]: int(part.get("size", 0)) for part in parts if part}


def _parsed(manifest: bytes) -> dict[str, Any]:
    try:
        parsed: Any = json.loads(manifest)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def bytes_to_copy(due: Iterable[Surveyed]) -> int:
    """What a run moves at most: each blob once per target repository.

    Blobs that the repository already holds are counted: only crane asks for them, one by one.
    """
    needed = {
        (each.copy.repository, digest): size
        for each in due
        for digest, size in (each.blobs or {}).items()
    }
    return sum(needed.values())


def ordered(due: Iterable[Surveyed]) -> list[Surveyed]:
    """What the install needs first; within that the largest first, so that none is left alone."""
    return sorted(
        due, key=lambda each: (NEEDS.index(each.copy.needed), -each.bytes, str(each.copy))
    )


def human(size: float) -> str:
    """Bytes for people, in powers of ten as networks count."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit in ("B", "kB") else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def minutes(seconds: float) -> str:
    """A duration for people."""
    if seconds < 90:
        return f"about {seconds:.0f} s"
    hours, rest = divmod(round(seconds / 60), 60)
    return f"about {hours} h {rest} min" if hours else f"about {rest} min"
