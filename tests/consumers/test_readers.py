"""Each place that holds a late value is read by a real program, or listed as read by none."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from tests.releases import PIPELINES_2
from tests.rendering.beijing import rendered

ROOT = Path(__file__).parents[2]
_MARKER = re.compile(r"<<([a-z][a-z0-9.-]*)>>")


@dataclass(frozen=True, order=True)
class Place:
    """Where one late value stands.

    Attributes:
        place: ``Kind namespace/name path``; elements of a list are named where they have a name.
        value: its name.
    """

    place: str
    value: str


@dataclass(frozen=True)
class Row:
    """A row of ``readers.yaml``."""

    number: int
    places: tuple[str, ...]
    value: str | None
    read_by: str | None
    nobody: str | None

    def patterns_of(self, place: Place) -> list[str]:
        """The patterns of the row that match."""
        if self.value is None and place.value == "image.prefix":
            return []
        if self.value not in (None, place.value):
            return []
        return [pattern for pattern in self.places if fnmatchcase(place.place, pattern)]


def late_values(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Path and name of each late value inside an object."""
    if isinstance(value, Mapping):
        for key, child in cast("Mapping[str, object]", value).items():
            yield from late_values(child, (*path, key))
    elif isinstance(value, list):
        for index, child in enumerate(cast("list[object]", value)):
            name = (
                cast("Mapping[str, object]", child).get("name")
                if isinstance(child, Mapping)
                else None
            )
            yield from late_values(child, (*path, str(name or index)))
    elif isinstance(value, str):
        for name in {*_MARKER.findall(value)}:
            yield "/".join(path), name


@cache
def places(release: str) -> list[Place]:
    """Every place of a release."""
    found: set[Place] = set()
    for obj in rendered(release).objects:
        metadata = obj["metadata"]
        where = f"{obj['kind']} {metadata.get('namespace', '')}/{metadata['name']}"
        found |= {Place(f"{where} {path}", name) for path, name in late_values(obj)}
    return sorted(found)


@cache
def rows() -> list[Row]:
    """The table."""
    listed: list[dict[str, Any]] = yaml.safe_load(
        Path(__file__).with_name("readers.yaml").read_text()
    )
    return [
        Row(
            number,
            tuple(each.pop("places")),
            each.pop("value", None),
            each.pop("read_by", None),
            each.pop("nobody", None),
        )
        for number, each in enumerate(listed, start=1)
    ]


@pytest.mark.parametrize("release", PIPELINES_2)
def test_each_place_has_one_row(release: str) -> None:
    found = places(release)
    assert len(found) > 100
    of = {place: [row.number for row in rows() if row.patterns_of(place)] for place in found}
    assert {place: numbers for place, numbers in of.items() if len(numbers) != 1} == {}


def test_no_row_is_about_a_place_that_is_gone() -> None:
    matched = {
        (row.number, pattern)
        for row in rows()
        for release in PIPELINES_2
        for place in places(release)
        for pattern in row.patterns_of(place)
    }
    assert {(row.number, each) for row in rows() for each in row.places} - matched == set()


def test_a_row_names_a_file_or_the_reason_that_there_is_none() -> None:
    for row in rows():
        assert (row.read_by is None) != (row.nobody is None), row
        assert row.read_by is None or (ROOT / row.read_by).is_file(), row


def test_what_stores_data_is_read_by_real_programs() -> None:
    """The table cannot be emptied by reasons alone."""
    read = {row.read_by for row in rows() if row.read_by}
    mine = {str(path.relative_to(ROOT)) for path in Path(__file__).parent.glob("test_*.py")}
    consumers = {"argo", "katib", "ml_metadata", "model_download", "model_registry", "pipelines"}
    assert {f"tests/consumers/test_{name}.py" for name in consumers} <= read & mine
