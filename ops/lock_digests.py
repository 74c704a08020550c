"""Adds digests to a lock: several registries at once, each answer saved as it comes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from images.reference import Reference, parse
from ops.crane import Crane, CraneFailed
from ops.parallel import in_parallel
from rendering import lock as locks
from rendering.lock import Lock


def digest_of(image: Reference, crane: Crane, mirror: str | None = None) -> str:
    """The digest a pull of the image gets; one in the reference needs no query.

    Args:
        image: as upstream names it.
        crane: queries the registry.
        mirror: ``host[/prefix]`` with copies in the layout of this project's mirror.

    Raises:
        CraneFailed: the image is absent or access to it denied, or every attempt failed.
    """
    return image.digest or crane.digest(image.mirrored(mirror) if mirror else str(image))


def to_query(lock: Lock, *, refresh: bool) -> list[str]:
    """The sources whose digests are queried: those without one in the lock, or all."""
    return [image.source for image in lock.images if refresh or image.digest is None]


def add_digests(
    folder: Path,
    lock: Lock,
    digest_of: Callable[[Reference], str],
    *,
    refresh: bool = False,
    parallel: int = 8,
) -> dict[str, str]:
    """Query the digests a lock lacks and write it to the release's folder after each answer.

    With ``refresh``, those that it has too; a failed query leaves them as they are.

    Returns:
        Source of each image whose query failed -> the reason, as the end of a sentence.
    """

    def query(source: str) -> str | CraneFailed:
        try:
            return digest_of(parse(source))
        except CraneFailed as failure:
            return failure

    failed: dict[str, str] = {}
    sources = to_query(lock, refresh=refresh)
    for source, answer in in_parallel(sources, query, parallel, f"digests of {lock.release}"):
        if isinstance(answer, CraneFailed):
            failed[source] = str(answer)
        else:
            lock = lock.filled({source: answer})
            locks.write(folder, lock)
    return dict(sorted(failed.items()))
