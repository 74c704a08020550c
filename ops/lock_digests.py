"""Fills a lock with digests: several registries at once, and nothing lost when it is stopped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from images.reference import Reference, parse
from ops.cli_errors import messages
from ops.crane import Crane
from ops.crane_failures import CraneFailed
from ops.mirror.registry_state import several
from rendering import lock as locks
from rendering.lock import Lock


def digest_of(image: Reference, crane: Crane, mirror: str | None = None) -> str:
    """The digest a pull of the image would get; one that the reference names is not asked for.

    Args:
        mirror: ``host[/prefix]`` that holds copies as our own mirror lays them out.

    Raises:
        CraneFailed: no such image, no right to it, or no answer after several attempts.
    """
    return image.digest or crane.digest(image.mirrored(mirror) if mirror else str(image))


def unknown(lock: Lock, *, refresh: bool) -> list[str]:
    """The sources whose digests are asked for: those the lock lacks, or all."""
    return [image.source for image in lock.images if refresh or image.digest is None]


def fill(
    folder: Path,
    lock: Lock,
    digest_of: Callable[[Reference], str],
    *,
    refresh: bool = False,
    parallel: int = 8,
) -> dict[str, str]:
    """Asks for the digests a lock lacks and writes the lock after each answer.

    Args:
        folder: of the release; its lock is replaced.
        refresh: also asks for those that are there. An answer that does not come changes nothing.
        parallel: how many questions at a time.

    Returns:
        Source of each image whose digest stays unknown -> why, as the end of a sentence.
    """
    open_ones = unknown(lock, refresh=refresh)
    failed: dict[str, str] = {}
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[image]}"),
        console=messages,
    )

    def one(source: str) -> str | CraneFailed:
        try:
            return digest_of(parse(source))
        except CraneFailed as failure:
            return failure

    with progress:
        task = progress.add_task(f"digests of {lock.release}", total=len(open_ones), image="")
        for source, answer in several(open_ones, one, parallel):
            if isinstance(answer, CraneFailed):
                failed[source] = str(answer)
            else:
                lock = lock.filled({source: answer})
                locks.write(folder, lock)
            progress.update(task, advance=1, image=source)
    return dict(sorted(failed.items()))
