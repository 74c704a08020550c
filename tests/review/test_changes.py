"""What differs between two values, path by path."""

from __future__ import annotations

from typing import Any

import pytest

from review.changes import ABSENT, Change, changes, innermost, leaves
from review.renamed import same_images, same_objects
from review.resources import paired
from review.values import ASSET
from tests.review.plans import kubernetes, policy, sides


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": True}, {"a": 1}, [("a", True, 1)]),
        ({"a": {"b": 1}}, {"a": {"b": 2, "c": 3}}, [("a.b", 1, 2), ("a.c", ABSENT, 3)]),
        ({"a.b/c": 1}, {}, [("a.b/c", 1, ABSENT)]),
        ({"x": {"a.b/c": 1}}, {"x": {}}, [("x[a.b/c]", 1, ABSENT)]),
        (
            {"l": [{"name": "a", "v": 1}, {"name": "b"}]},
            {"l": [{"name": "b"}, {"name": "a", "v": 2}]},
            [("l[a].v", 1, 2)],
        ),
        ({"l": ["a", "b"]}, {"l": ["b", "c"]}, [("l", ["a", "b"], ["b", "c"])]),
        ({"l": ["a", "b"]}, {"l": 1}, [("l", ["a", "b"], 1)]),
        ({"l": [{"x": 1}]}, {"l": {"x": 1}}, [("l", [{"x": 1}], {"x": 1})]),
        (
            {"l": [{"x": 1}, {"x": 2}]},
            {"l": [{"x": 2}, {"x": 1}]},
            [("l (order)", [{"x": 1}, {"x": 2}], [{"x": 2}, {"x": 1}])],
        ),
        (
            {"l": [{"x": 1, "y": 1}]},
            {"l": [{"x": 1, "y": 2}, {"x": 3}]},
            [("l[0].y", 1, 2), ("l[1]", ABSENT, {"x": 3})],
        ),
        ({"json": '{"a": 1}'}, {"json": '{"a":2}'}, [("json.a", 1, 2)]),
        ({"json": '{"a": 1}'}, {"json": '{ "a": 1 }'}, []),
        ({"json": "{no json"}, {"json": "{none"}, [("json", "{no json", "{none")]),
    ],
)  # fmt: skip
def test_differences_are_the_innermost_ones(old: Any, new: Any, found: list[Any]) -> None:
    assert [(each.path, each.old, each.new) for each in changes(old, new)] == found


def test_documents_are_compared_as_a_whole() -> None:
    old, new = (policy({"Effect": "Allow", "Action": a, "Resource": "*"}) for a in ("a:B", "a:C"))
    assert list(changes({"policy": old}, {"policy": new})) == [Change("policy", old, new)]


def test_files_are_compared_by_their_digest_wherever_they_lie() -> None:
    one, other = ({ASSET: "asset", "path": path, "hash": "1"} for path in ("/a/x.py", "/b/x.py"))
    assert list(changes({"code": one}, {"code": other})) == []
    assert len(list(changes({"code": one}, {"code": {**other, "hash": "2"}}))) == 1


def test_what_only_one_side_has_is_seen_to_its_leaves() -> None:
    change = Change("spec", ABSENT, {"a": {"b": 1}, "l": [{"name": "x", "v": 2}]})
    assert [(each.path, each.new) for each in innermost(change)][1:] == [
        ("spec.a.b", 1),
        ("spec.l[x].name", "x"),
        ("spec.l[x].v", 2),
    ]
    assert dict(leaves({"a": [1, 2]})) == {"a": [1, 2]}


def test_an_object_with_another_hash_in_its_name_is_the_same_one() -> None:
    def pairs(*names: tuple[str, str]) -> list[tuple[str, str]]:
        rows = [kubernetes("ConfigMap", name, operation) for name, operation in names]
        found = same_objects(paired(*sides(rows)).values())
        return [(old.label, new.label) for old, new in found]

    old, new, third = (f"config-{each}" for each in ("5thfm669f7", "4kttbbdhtd", "9ksbmc7k2t"))
    assert pairs((old, "delete"), (new, "create")) == [(f"kubeflow/{old}", f"kubeflow/{new}")]
    assert pairs((old, "delete"), (third, "delete"), (new, "create")) == []
    assert pairs((old, "delete"), ("other-4kttbbdhtd", "create")) == []


def test_an_image_in_another_version_is_one_line() -> None:
    digest = "sha256:" + "a" * 64
    assert same_images(
        ["r.example:5000/a:1", "b:1", "b:2", "c", "gone:1"],
        [f"r.example:5000/a:2@{digest}", "b:3", "c:2", "new:1"],
    ) == (
        (("c", "latest", "2"), ("r.example:5000/a", "1", f"2@{digest}")),
        ("b:1", "b:2", "gone:1"),
        ("b:3", "new:1"),
    )
