"""The state of copies in their registry, and the sizes of those to copy; read-only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ops.crane import Crane, CraneFailed
from ops.mirror.plan import Copy, Surveyed, members_and_blobs
from ops.mirror.target import Target
from ops.parallel import in_order
from rendering.cache import cache_folder, sha256_of, write_atomically


def survey(
    copies: Sequence[Copy], target: Target, crane: Crane, *, query_sources: bool, parallel: int
) -> list[Surveyed]:
    """The state of each copy in its target, in the same order.

    With ``query_sources``, a source is queried for a digest that neither it nor a lock has.
    """

    def one(copy: Copy) -> Surveyed:
        try:
            actual = target.digest(copy)
        except CraneFailed as failure:
            reason = f"cannot be looked up: {copy.target.registry} {failure}"
            return Surveyed(copy, copy.digest, None, reason)
        if copy.digest or not query_sources:
            return Surveyed(copy, copy.digest, actual)
        try:
            return Surveyed(copy, crane.digest(str(copy.source), copy.platform), actual)
        except CraneFailed as failure:
            # A copy whose source is gone may be the last one: it counts as good.
            return Surveyed(copy, None, actual, None if actual else str(failure))

    return in_order(copies, one, parallel, "looking up copies")


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
            return replace(item, problem=str(failure))
        return replace(item, blobs=blobs)

    return in_order(surveyed, one, parallel, "adding up sizes")


def _manifest(crane: Crane, name: str, digest: str) -> bytes:
    file = cache_folder("manifests") / digest.replace(":", "-")
    if file.exists():
        cached = file.read_bytes()
        if not digest.startswith("sha256:") or f"sha256:{sha256_of(cached)}" == digest:
            return cached
    manifest = crane.manifest(f"{name}@{digest}")
    write_atomically(file, manifest)
    return manifest
