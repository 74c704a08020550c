"""The lock of every release folder equals its inventory; a sentence for each way it does not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from images.reference import parse
from rendering import ImageUse
from rendering.lock import Lock, differences, load, write
from rendering.release import ReleaseInvalid, stand_alone
from tests.rendering.beijing import MANIFESTS, rendered

DIGEST = "sha256:" + "0123456789abcdef" * 4
OTHER = "sha256:" + "f" * 64
PLAIN = ImageUse("quay.io/a/b:1", "quay.io/a/b:1", ("Job n/x#spec.image",), "install")
PINNED = ImageUse(f"quay.io/c/d@{DIGEST}", f"quay.io/c/d@{DIGEST}", ("Job n/y#spec.image",))


def lock_of(*uses: ImageUse) -> Lock:
    return Lock(release="r", images=()).updated(uses)


@pytest.mark.parametrize("folder", list(stand_alone(MANIFESTS)))
def test_the_lock_is_what_the_render_shows(folder: str) -> None:
    lock = load(MANIFESTS / folder, folder)
    advice = f"look at the difference, then: ./kf images lock --release {folder} --offline"
    assert differences(lock, rendered(folder).images) == [], advice
    assert [image.source for image in lock.images] == sorted(i.source for i in lock.images)
    assert lock.release == folder


@pytest.mark.parametrize(
    ("locked", "shown", "sentence"),
    [
        ([PLAIN], [PLAIN, PINNED], "quay.io/c/d@.* is in the render .Job n/y.* not in the lock"),
        ([PLAIN, PINNED], [PLAIN], "quay.io/c/d@.* is in the lock and nothing in the render"),
        (
            [PLAIN],
            [ImageUse(PLAIN.source, PLAIN.target, PLAIN.where, "example")],
            "needed is 'install' in the lock, 'example' in the render",
        ),
        (
            [PLAIN],
            [ImageUse(PLAIN.source, PLAIN.target, ("the SDK",), "install")],
            r"where is \('Job n/x#spec.image',\) in the lock, \('the SDK',\) in the render",
        ),
    ],
)
def test_each_difference_is_a_sentence(
    locked: list[ImageUse], shown: list[ImageUse], sentence: str
) -> None:
    (found,) = differences(lock_of(*locked), shown)
    assert re.search(sentence, found)


def test_a_digest_other_than_the_sources_own_is_a_difference() -> None:
    wrong = lock_of(PINNED).filled({PINNED.source: OTHER})
    assert differences(wrong, [PINNED]) == [f"{PINNED.source}: the lock has the digest {OTHER}"]


def test_digests_are_kept_while_their_image_stays() -> None:
    filled = lock_of(PLAIN, PINNED).filled({PLAIN.source: OTHER})
    assert [i.digest for i in filled.updated([PINNED, PLAIN]).images] == [OTHER, DIGEST]
    newer = ImageUse("quay.io/a/b:2", "quay.io/a/b:2", PLAIN.where)
    assert [i.digest for i in filled.updated([newer]).images] == [None]


def test_the_target_is_where_the_mirror_puts_the_copy() -> None:
    (image,) = lock_of(PLAIN).images
    assert parse(PLAIN.source).mirrored("host/prefix") == f"host/prefix/{image.target}:1"


def test_a_lock_is_read_as_it_was_written(tmp_path: Path) -> None:
    lock = lock_of(PLAIN, PINNED)
    write(tmp_path, lock)
    assert load(tmp_path, "r") == lock
    text = (tmp_path / "images.lock").read_text()
    assert text.startswith("# Every image that r can pull.")
    assert (tmp_path / "images.lock").stat().st_mode & 0o777 == 0o644


def test_a_folder_without_a_lock_has_an_empty_one(tmp_path: Path) -> None:
    assert load(tmp_path, "r") == Lock(release="r", images=())


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("images: [", "not readable as YAML"),
        ("release: r\nimages: [{source: a}]", r"images.0.digest: Field required"),
        (
            "{release: r, images: [{source: a, target: a, digest: md5:1, needed: install}]}",
            r"images.0.digest: .*'md5:1'",
        ),
    ],
)
def test_a_damaged_lock_gives_its_sentence(text: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "images.lock").write_text(text)
    with pytest.raises(ReleaseInvalid, match=complaint):
        load(tmp_path, "r")
