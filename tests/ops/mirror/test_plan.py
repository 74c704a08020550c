"""What a mirror run decides, from plain values."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from images.reference import parse
from ops.cli_errors import Refused
from ops.mirror import plan
from ops.mirror.plan import Copy, State, Surveyed, members_and_blobs
from rendering import ImageUse
from rendering.field_types import Needed
from webhook.mirror import copy_name

REGISTRY = "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/kubeflow"
A, B, C = (f"sha256:{letter * 64}" for letter in "abc")


def copy(source: str, target: str) -> Copy:
    return Copy(parse(source), parse(target), None)


def surveyed(
    source: str,
    needed: Needed = "install",
    actual: str | None = None,
    blobs: dict[str, int] | None = None,
) -> Surveyed:
    copy = Copy(parse(source), parse(parse(source).mirrored(REGISTRY)), None, needed)
    return Surveyed(copy, A, A, actual, None, blobs)


@pytest.mark.parametrize(
    ("expected", "actual", "state"),
    [
        (A, None, State.MISSING),
        (None, None, State.MISSING),
        (A, A, State.PRESENT),
        (A, B, State.DIFFERS),
        (None, B, State.UNCOMPARED),
    ],
)
def test_a_copy_is_judged_by_the_digest_of_its_whole_index(
    expected: str | None, actual: str | None, state: State
) -> None:
    one = copy("quay.io/a/b:1", f"{REGISTRY}/b:1")
    assert Surveyed(one, expected, expected, actual).state is state


def test_what_is_missing_or_differs_is_due_unless_it_cannot_be_had() -> None:
    assert surveyed("quay.io/a/b:1").due
    assert surveyed("quay.io/a/b:1", actual=B).due
    assert not surveyed("quay.io/a/b:1", actual=A).due
    assert not replace(surveyed("quay.io/a/b:1"), problem="is not there").due


def test_a_run_has_one_target_registry() -> None:
    copies = [
        copy("quay.io/a:1", "one.example.com/a:1"),
        copy("quay.io/b:1", "two.example.com/b:1"),
    ]
    with pytest.raises(Refused, match=r"2 registries \(one.example.com, two.example.com\)"):
        plan.one_host(copies)


@pytest.mark.parametrize(
    ("kept", "locked", "due"),
    [
        pytest.param(False, None, True, id="a user's image follows its tag"),
        pytest.param(True, None, False, id="the platform's does not"),
        pytest.param(True, A, True, id="but becomes what the lock says"),
    ],
)
def test_the_platforms_images_do_not_follow_their_tags(
    kept: bool,
    locked: str | None,
    due: bool,
) -> None:
    one = replace(copy("quay.io/a/b:1", f"{REGISTRY}/b:1"), kept=kept, digest=locked)
    item = Surveyed(one, A, A, B)
    assert item.due is due
    assert item.moved is (kept and not due)
    assert replace(item, actual=None).due


def test_a_list_moves_no_copy_of_the_platform() -> None:
    own = ["quay.io/a/b:1", f"quay.io/a/c@{B}"]
    mine, theirs, pinned = (
        copy(source, f"{REGISTRY}/{copy_name(parse(source))}") for source in ("quay.io/a/b:2", *own)
    )
    listed = plan.with_kept([mine, theirs, pinned], own, REGISTRY)
    assert [item.kept for item in listed] == [False, True, True]
    # The copies of another platform, in another place, leave these as they are.
    again = plan.with_kept(listed, own, f"{REGISTRY}/other")
    assert [item.kept for item in again] == [False, True, True]
    assert Surveyed(listed[1], A, A, B).moved
    other = copy("quay.io/a/other:1", str(theirs.target))
    with pytest.raises(Refused, match=r"copy of quay.io/a/b:1, and quay.io/a/other:1 would"):
        plan.with_kept([other], own, REGISTRY)


def test_what_a_stack_pulls_from_its_source_needs_no_copy() -> None:
    stays = ImageUse("quay.io/a:1", "quay.io/a:1", (), "install")
    moves = ImageUse("quay.io/b:1", f"{REGISTRY}/quay.io/b:1", (), "example")
    (copy,) = plan.copies_of([stays, moves], {}, None)
    assert (str(copy), copy.needed) == ("quay.io/b:1", "example")


@pytest.mark.parametrize(
    ("source", "platform"),
    [
        pytest.param("quay.io/a/b:v1", "linux/arm64", id="one platform of a tag"),
        pytest.param(f"quay.io/a/b@{B}", None, id="what is pinned is copied as it is"),
    ],
)
def test_the_lock_tells_the_digest_of_all_platforms(source: str, platform: str | None) -> None:
    made = plan.copy_of(parse(source), parse(f"{REGISTRY}/x"), B, "linux/arm64")
    assert (made.digest, made.platform) == (B, platform)


@pytest.mark.parametrize(
    ("index", "expected", "actual", "state"),
    [
        pytest.param(A, None, A, State.PRESENT, id="all platforms, copied before one was enough"),
        pytest.param(A, B, A, State.PRESENT, id="all platforms, the digest of one known too"),
        pytest.param(A, B, B, State.PRESENT, id="one platform"),
        pytest.param(A, None, B, State.UNCOMPARED, id="one platform, of an unknown digest"),
        pytest.param(A, B, C, State.DIFFERS, id="another image"),
    ],
)
def test_a_copy_of_all_platforms_is_right_where_one_would_do(
    index: str, expected: str | None, actual: str, state: State
) -> None:
    one = replace(copy("quay.io/a/b:1", f"{REGISTRY}/b:1"), platform="linux/amd64")
    item = Surveyed(one, index, expected, actual)
    assert item.state is state
    assert item.depends_on_source is (state is State.UNCOMPARED)


def test_a_pattern_that_fits_nothing_is_refused() -> None:
    copies = [copy("quay.io/a/kserve:1", "reg.example.com/a:1")]
    assert plan.only(copies, "*kserve*") == copies
    with pytest.raises(Refused, match="no image of 1 matches 'kserve'"):
        plan.only(copies, "kserve")


def manifest(config: str, **layers: int) -> dict[str, Any]:
    described = [{"digest": digest, "size": size} for digest, size in layers.items()]
    return {"config": {"digest": config, "size": 10}, "layers": described}


def test_the_blobs_of_a_manifest_are_its_config_and_its_layers() -> None:
    text = json.dumps(manifest("c", x=100, y=1)).encode()
    assert members_and_blobs(text) == ([], {"c": 10, "x": 100, "y": 1})


@pytest.mark.parametrize("text", [b"", b"[1]"])
def test_what_is_no_manifest_has_no_sizes(text: bytes) -> None:
    assert members_and_blobs(text) == ([], {})


def test_an_index_has_members_and_no_blobs_of_its_own() -> None:
    index = json.dumps({"manifests": [{"digest": A, "size": 7}, {"digest": B, "size": 7}]}).encode()
    assert members_and_blobs(index) == ([A, B], {})


def test_a_blob_is_moved_once_per_repository() -> None:
    twice = [
        surveyed("quay.io/a/b:1", blobs={"base": 100, "one": 1}),
        surveyed("quay.io/a/b:2", blobs={"base": 100, "two": 2}),
    ]
    assert plan.bytes_to_copy(twice) == 103
    elsewhere = surveyed("quay.io/a/c:1", blobs={"base": 100})
    assert plan.bytes_to_copy([*twice, elsewhere]) == 203


def test_the_install_comes_first_and_then_what_is_largest() -> None:
    due = [
        surveyed("quay.io/example:1", "example", blobs={"x": 900}),
        surveyed("quay.io/small:1", "install", blobs={"x": 1}),
        surveyed("quay.io/feature:1", "feature", blobs={"x": 50}),
        surveyed("quay.io/large:1", "install", blobs={"x": 500}),
    ]
    names = [each.copy.source.repository for each in plan.ordered(due)]
    assert names == ["large", "small", "feature", "example"]
