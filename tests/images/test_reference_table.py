"""Every reference of ``image_references.yaml`` is read, refused and mirrored as written there.

The table is written from the grammar, never from what this code answers.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from images.reference import InvalidReference, Reference, parse

PREFIX = "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/kubeflow"
HEX = "0123456789abcdef"
DIGESTS = {
    "$sha256": "sha256:" + HEX * 4,
    "$sha384": "sha384:" + HEX * 6,
    "$sha512": "sha512:" + HEX * 8,
}


def written(cell: str) -> str:
    """A cell of the table with its shorthands spelled out."""
    for short, digest in DIGESTS.items():
        cell = cell.replace(short, digest)
    return re.sub(r"\$(\w)\*(\d+)", lambda found: found[1] * int(found[2]), cell)


def rows(part: str) -> list[tuple[str, ...]]:
    text = Path(__file__).with_name("image_references.yaml").read_text(encoding="utf-8")
    # The base loader reads each scalar as text: a tag such as 3.10 is no number here.
    table: dict[str, list[list[str]]] = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506
    return [tuple(written(cell) for cell in row) for row in table[part]]


def optional(cell: str) -> str | None:
    return None if cell == "~" else cell


VALID = rows("valid")
INVALID = rows("invalid")
ECR = rows("ecr")


@pytest.mark.parametrize("row", VALID, ids=lambda row: row[0])
def test_an_image_is_split_as_the_grammar_says(row: tuple[str, ...]) -> None:
    image, registry, repository, tag, digest, _ = row
    assert parse(image) == Reference(registry, repository, optional(tag), optional(digest))


@pytest.mark.parametrize("row", VALID, ids=lambda row: row[0])
def test_its_copy_is_below_the_prefix_with_tag_and_digest(row: tuple[str, ...]) -> None:
    image, _, _, tag, digest, copy = row
    suffix = ("" if tag == "~" else f":{tag}") + ("" if digest == "~" else f"@{digest}")
    assert parse(image).mirrored_repository == copy
    assert parse(image).mirrored(PREFIX) == f"{PREFIX}/{copy}{suffix}"


@pytest.mark.parametrize(("image", "sentence"), INVALID)
def test_what_is_no_image_is_refused_with_its_own_sentence(image: str, sentence: str) -> None:
    with pytest.raises(InvalidReference, match=sentence) as refused:
        parse(image)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(("host", "region"), ECR)
def test_a_private_ecr_registry_is_known_in_every_partition(host: str, region: str) -> None:
    assert parse(f"{host}/x").ecr_region == optional(region)


def test_the_table_names_each_image_once_and_at_least_150() -> None:
    images = [row[0] for row in (*VALID, *INVALID)]
    assert len(set(images)) == len(images) >= 150
