"""The state of copies in their registry, and the sizes of those to copy; read-only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ops.crane import Absent, Crane, CraneFailed
from ops.mirror.plan import Copy, Surveyed, members_and_blobs
from ops.mirror.target import Target
from ops.parallel import in_order
from rendering.cache import cache_folder, sha256_of, write_atomically


def survey(copies: Sequence[Copy], target: Target, parallel: int) -> list[Surveyed]:
    """The state of each copy in its target, in the same order, as far as digests are known."""

    def one(copy: Copy) -> Surveyed:
        try:
            return Surveyed(copy, copy.digest, _expected(copy), target.digest(copy))
        except CraneFailed as failure:
            reason = f"cannot be looked up: {copy.target.registry} {failure}"
            return Surveyed(copy, copy.digest, _expected(copy), None, reason)

    return in_order(copies, one, parallel, "looking up copies")


def _expected(copy: Copy) -> str | None:
    return copy.digest if copy.platform is None else None


def ask_sources(surveyed: Sequence[Surveyed], crane: Crane, parallel: int) -> list[Surveyed]:
    """Add the digests that only the sources have, where the state depends on them."""

    def one(item: Surveyed) -> Surveyed:
        if item.problem or not item.depends_on_source:
            return item
        try:
            return _compared(item, crane)
        except CraneFailed as failure:
            # A copy whose source is gone may be the last one: it counts as good.
            return item if item.actual else replace(item, problem=str(failure))

    return in_order(surveyed, one, parallel, "asking sources")


def _compared(item: Surveyed, crane: Crane) -> Surveyed:
    copy, index = item.copy, item.index
    if index is None:
        index = crane.digest(str(copy.source))
    if copy.platform is None or item.actual == index:
        return replace(item, index=index, expected=index)
    try:
        image = crane.digest(f"{copy.source.name}@{index}", copy.platform)
    except Absent:
        if item.index is None or copy.source.digest:
            raise
        return replace(item, problem=_moved(crane.digest(str(copy.source)), index))
    return replace(item, index=index, expected=image)


def _moved(found: str, known: str) -> str:
    return (
        f"is {found} at its source, and images.lock has {known}, which is no longer there: compare "
        "both, then renew the lock by `./kf images lock --stack <stack> --refresh`"
    )


def add_sizes(surveyed: Sequence[Surveyed], crane: Crane, *, parallel: int) -> list[Surveyed]:
    """Add sizes, from the manifests at the source, to those that are to be copied.

    Manifests are cached by digest, so that a second run saves the hourly limit of a registry. A
    copy whose manifest cannot be read fails here.
    """

    def one(item: Surveyed) -> Surveyed:
        if not item.due or item.expected is None:
            return item
        name = item.copy.source.name
        try:
            members, blobs = members_and_blobs(_manifest(crane, name, item.expected))
            for digest in members:
                blobs |= members_and_blobs(_manifest(crane, name, digest))[1]
        except CraneFailed as failure:
            return replace(item, problem=why(item, failure, crane))
        return replace(item, blobs=blobs)

    return in_order(surveyed, one, parallel, "adding up sizes")


def why(item: Surveyed, failure: CraneFailed, crane: Crane) -> str:
    """Why an image cannot be copied; a tag that left its known digest has its own sentence."""
    copy = item.copy
    if isinstance(failure, Absent) and copy.digest and copy.source.digest is None:
        try:
            found = crane.digest(str(copy.source))
        except CraneFailed:
            return str(failure)
        if found != copy.digest:
            return _moved(found, copy.digest)
    return str(failure)


def _manifest(crane: Crane, name: str, digest: str) -> bytes:
    file = cache_folder("manifests") / digest.replace(":", "-")
    if file.exists():
        cached = file.read_bytes()
        if not digest.startswith("sha256:") or f"sha256:{sha256_of(cached)}" == digest:
            return cached
    manifest = crane.manifest(f"{name}@{digest}")
    write_atomically(file, manifest)
    return manifest
