"""Work in threads: results as they end; a progress bar on a terminal, elsewhere lines."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from queue import SimpleQueue
from typing import TypeVar

from rich.progress import track

from terminal.heartbeat import heartbeat
from terminal.output import messages

_T = TypeVar("_T")
_R = TypeVar("_R")


def in_parallel(
    items: Sequence[_T], do: Callable[[_T], _R], parallel: int, label: str = ""
) -> Generator[tuple[_T, _R]]:
    """Each item with its result, in the order in which they end.

    An interrupt leaves the generator at once: items that have not begun are dropped.

    Args:
        items: the arguments of ``do``, once each.
        do: runs in a thread.
        parallel: number of threads.
        label: of a progress bar on a terminal, and of the lines elsewhere; empty: neither.
    """
    executor, ended = ThreadPoolExecutor(parallel), SimpleQueue[Future[_R]]()
    done = 0
    try:
        futures: dict[Future[_R], _T] = {}
        for item in items:
            future = executor.submit(do, item)
            futures[future] = item
            future.add_done_callback(ended.put)
        beating = heartbeat(lambda: f"{label}: {done} of {len(items)}") if label else nullcontext()
        with beating:
            for future in track(
                (ended.get() for _ in items),
                label,
                total=len(items),
                console=messages,
                transient=True,
                disable=not (label and messages.is_terminal),
            ):
                done += 1
                yield futures[future], future.result()
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


def in_order(items: Sequence[_T], do: Callable[[_T], _R], parallel: int, label: str) -> list[_R]:
    """The results of ``in_parallel``, in the order of the items."""
    results = dict(in_parallel(range(len(items)), lambda at: do(items[at]), parallel, label))
    return [results[at] for at in range(len(items))]
