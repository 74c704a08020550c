"""The shapes of the SDKs' inputs are read once, and again where the cache is damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rehearsal import sdk_schema
from rehearsal.sdk_schema import shapes_of
from tests.rendering.conftest import own_cache

__all__ = ["own_cache"]

ROLE = "aws:iam/role:Role"


@pytest.fixture
def classes(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """An empty cache; the types whose classes were read."""
    assert own_cache.is_dir()
    read: list[str] = []
    of = sdk_schema._arguments_class  # pyright: ignore[reportPrivateUsage]

    def counted(module: str, kind: str) -> type | None:
        read.append(kind)
        return of(module, kind)

    monkeypatch.setattr(sdk_schema, "_arguments_class", counted)
    return read


DAMAGES: list[tuple[Callable[[bytes], bytes], int]] = [
    (lambda text: text, 1),
    (lambda text: text[:-9], 2),
    (lambda _: b"", 2),
]


@pytest.mark.parametrize(("damage", "reads"), DAMAGES, ids=["intact", "cut off", "empty"])
def test_shapes_come_from_the_cache_unless_it_is_damaged(
    damage: Callable[[bytes], bytes], reads: int, classes: list[str], own_cache: Path
) -> None:
    shapes_of.cache_clear()
    first = shapes_of(ROLE)
    (file,) = own_cache.glob("inputs/*/*")
    file.write_bytes(damage(file.read_bytes()))
    shapes_of.cache_clear()
    assert shapes_of(ROLE) == first
    assert len(classes) == reads
