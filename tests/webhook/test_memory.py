"""What a request costs in memory is at least what decoding it takes."""

from __future__ import annotations

import json
import tracemalloc

import pytest

from webhook.memory import DEEPEST, cost, is_deep, marks_of

COUNT = 20_000


@pytest.mark.parametrize(
    "text",
    [
        f"[{'[],' * COUNT}0]",
        f"[{'{},' * COUNT}0]",
        f"[{'12345,' * COUNT}0]",
        f"[{','.join(json.dumps(f'{number:05}') for number in range(COUNT))}]",
        json.dumps([{"a": [number + 1000]} for number in range(COUNT)]),
        json.dumps(["é" * 60] * COUNT, ensure_ascii=False),
    ],
    ids=["lists", "objects", "numbers", "texts", "nested", "not ascii"],
)
def test_decoding_takes_no_more_than_the_cost(text: str) -> None:
    body = text.encode()
    tracemalloc.start()
    try:
        value = json.loads(body)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert value
    assert len(body) + most <= cost(body, marks_of(body))


@pytest.mark.parametrize(("levels", "deep"), [(DEEPEST, False), (5 * DEEPEST, True)])
def test_depth_is_of_brackets_within_brackets(levels: int, deep: bool) -> None:
    flat = '{"a": [1, {}]}, ' * 500
    assert is_deep(marks_of(f"[{flat}{'[' * levels}{']' * levels}]".encode())) is deep
