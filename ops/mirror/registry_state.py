"""Asks what is there and how big the rest is: many questions at a time, none of them a change."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from typing import TypeVar

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ops.cli_errors import messages
from ops.crane import Crane
from ops.crane_failures import CraneFailed
from ops.mirror import plan
from ops.mirror.plan import Copy, Surveyed
from ops.mirror.target import Target
from rendering.cache import cache_folder, sha256_of, write_atomically

_T = TypeVar("_T")
_R = TypeVar("_R")


def survey(
    copies: Sequence[Copy], target: Target, crane: Crane, *, ask_sources: bool, parallel: int
) -> list[Surveyed]:
    """Which copies are there, and whether they are what they should be; in the order given.

    Args:
        copies: what to ask about.
        target: is asked about each of them.
        crane: asks the sources.
        ask_sources: whether a source is asked for its digest where neither it nor a lock tells one.
        parallel: how many questions at a time.
    """

    def one(copy: Copy) -> Surveyed:
        try:
            found = target.found(copy)
        except CraneFailed as why:
            return Surveyed(copy, copy.digest, None, f"cannot be looked for: {copy.host} {why}")
        if copy.digest or not ask_sources:
            return Surveyed(copy, copy.digest, found)
        try:
            return Surveyed(copy, crane.digest(str(copy.source), copy.platform), found)
        except CraneFailed as why:
            # A copy whose source is gone may be all that is left of it: it counts as good.
            return Surveyed(copy, None, found, None if found else str(why))

    return _in_order(copies, one, parallel, "looking for copies")


def weigh(surveyed: Sequence[Surveyed], crane: Crane, *, parallel: int) -> list[Surveyed]:
    """Adds sizes, from the manifests at the source, to those that are to be copied.

    Manifests are kept in the cache by digest: a second run does not spend what a registry allows
    per hour. One that cannot be had makes its copy fail here.
    """

    def one(each: Surveyed) -> Surveyed:
        if not each.due or each.wanted is None:
            return each
        name = each.copy.source.name
        try:
            manifest = _manifest(crane, name, each.wanted)
            found = plan.blobs(manifest)
            for digest in plan.members(manifest):
                found |= plan.blobs(_manifest(crane, name, digest))
        except CraneFailed as why:
            return each.failed(str(why))
        return replace(each, blobs=found)

    return _in_order(surveyed, one, parallel, "adding up sizes")


def _manifest(crane: Crane, name: str, digest: str) -> bytes:
    file = cache_folder("manifests") / digest.replace(":", "-")
    if file.exists():
        kept = file.read_bytes()
        if not digest.startswith("sha256:") or f"sha256:{sha256_of(kept)}" == digest:
            return kept
    manifest = crane.manifest(f"{name}@{digest}")
    write_atomically(file, manifest)
    return manifest


def _in_order(items: Sequence[_T], do: Callable[[_T], _R], parallel: int, label: str) -> list[_R]:
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=messages,
        transient=True,
        disable=not messages.is_terminal,
    )
    answers: dict[int, _R] = {}
    with progress:
        task = progress.add_task(label, total=len(items))
        for number, answer in several(range(len(items)), lambda at: do(items[at]), parallel):
            answers[number] = answer
            progress.advance(task)
    return [answers[number] for number in range(len(items))]


def several(items: Iterable[_T], do: Callable[[_T], _R], parallel: int) -> Generator[tuple[_T, _R]]:
    """Does something with each item, so many at a time, and yields in the order of the ends.

    When it is left early (an interrupt), what has not begun does not begin.
    """
    executor = ThreadPoolExecutor(max_workers=parallel, thread_name_prefix="mirror")
    try:
        begun = {executor.submit(do, item): item for item in items}
        for future in as_completed(begun):
            yield begun[future], future.result()
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
