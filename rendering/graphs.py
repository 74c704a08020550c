"""Topological order of a graph, and what a node of it reaches."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping
from graphlib import TopologicalSorter
from typing import Any, TypeVar

_K = TypeVar("_K")


def in_order(needs: Mapping[_K, Iterable[_K]], rank: Callable[[_K], Any]) -> list[_K]:
    """Each key after those it needs; of the keys that are free, the lowest rank comes next.

    Raises:
        graphlib.CycleError: its second argument is a cycle in which each key is needed by the next.
    """
    sorter = TopologicalSorter(needs)
    sorter.prepare()
    free: list[tuple[Any, _K]] = []
    sequence: list[_K] = []
    while sorter.is_active():
        for key in sorter.get_ready():
            heapq.heappush(free, (rank(key), key))
        sequence.append(heapq.heappop(free)[1])
        sorter.done(sequence[-1])
    return sequence


def reachable(starts: Iterable[_K], following: Callable[[_K], Iterable[_K]]) -> set[_K]:
    """The starts and everything that ``following`` leads to from them."""
    reached: set[_K] = set()
    open_ends = list(starts)
    while open_ends:
        key = open_ends.pop()
        if key not in reached:
            reached.add(key)
            open_ends.extend(following(key))
    return reached
