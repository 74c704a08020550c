"""Work in threads: in the order of the items, and none begun after an interrupt."""

from __future__ import annotations

import threading

from ops.parallel import in_order, in_parallel


def test_results_are_in_the_order_of_the_items() -> None:
    second_ended = threading.Event()

    def do(item: int) -> int:
        if item == 1:
            assert second_ended.wait(120)
        else:
            second_ended.set()
        return item * 10

    assert in_order([1, 2], do, 2, "test") == [10, 20]


def test_items_that_have_not_begun_are_dropped_when_the_caller_leaves() -> None:
    begun: list[int] = []
    before = set(threading.enumerate())
    first_result, left = threading.Event(), threading.Event()

    def do(item: int) -> None:
        begun.append(item)
        if first_result.is_set():
            assert left.wait(120)
        first_result.set()

    results = in_parallel(range(100), do, 1)
    next(results)
    results.close()
    left.set()
    for thread in set(threading.enumerate()) - before:
        thread.join(120)
    assert len(begun) <= 2
