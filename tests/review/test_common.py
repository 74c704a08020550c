"""What many resources have alike is one line, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest

from review.changes import Change
from review.common import MANY, OTHER_DIGEST, common, middle, own_changes, words
from review.resources import Resource, paired
from tests.review.plans import row, sides


def resources(*pairs: tuple[dict[str, Any], dict[str, Any]]) -> list[Resource]:
    rows = [
        row("aws:sqs/queue:Queue", f"q-{n:02}", "update", *pair) for n, pair in enumerate(pairs)
    ]
    return list(paired(*sides(rows)).values())


@pytest.mark.parametrize(
    ("old", "new", "pair"),
    [
        ("kubeflow-1111-cn", "acme-ml-1111-cn", ("kubeflow", "acme-ml")),
        ("v1.9.0", "v1.10.0", ("v1.9.0", "v1.10.0")),
        ("app-1.19.4-r1", "app-1.5.0-r1", ("1.19.4", "1.5.0")),
        ("abcd", "abxd", ("abcd", "abxd")),
        ("host.example.com", "other.example.com", ("host", "other")),
    ],
)
def test_words_are_whole(old: str, new: str, pair: tuple[str, str]) -> None:
    assert middle(old, new) == pair


def test_texts_of_another_form_have_no_words_in_common() -> None:
    assert words("a/b/c", "a/b") == frozenset()
    assert words(["a/x"], ["a/x", "b"]) == frozenset()
    assert words(["a/x", "c"], ["a/y", "c"]) == {("x", "y")}
    assert words(1, 2) == frozenset()


def test_a_change_of_many_is_said_once_and_one_of_few_where_it_is() -> None:
    many = [({"tags": {"owner": "alpha"}}, {"tags": {"owner": "beta"}})] * MANY
    few = [({"delay": 1}, {"delay": 2})] * (MANY - 1)
    both = resources(*many, *few)
    (found,) = common(both)
    assert (found.old, found.new, len(found.urns)) == ("alpha", "beta", MANY)
    own = [own_changes(each, [found]) for each in both]
    assert [len(each) for each in own] == [0] * MANY + [1] * (MANY - 1)


def test_a_second_change_of_one_of_many_is_its_own() -> None:
    pairs: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"url": "https://a/kubeflow/q"}, {"url": "https://a/acme-ml/q"}) for _ in range(MANY)
    ]
    pairs[0] = ({"url": "https://a/kubeflow/q"}, {"url": "https://b/acme-ml/q"})
    pairs.append(({"url": "https://a/kubeflow/q"}, {"url": "https://a/acme-ml/q"}))
    both = resources(*pairs)
    shared = common(both)
    assert [each.urn for each in both if own_changes(each, shared)] == [both[0].urn]


def test_flags_and_numbers_are_said_with_their_path() -> None:
    flags = [({"a": True, "count": "1"}, {"a": False, "count": "2"})] * MANY
    found = common(resources(*flags))
    assert [(each.paths, each.old, each.new) for each in found] == [
        (("a",), "true", "false"),
        (("count",), "1", "2"),
    ]


def test_digests_that_differ_are_one_line() -> None:
    pairs = [({"sum": f"{n:064x}"}, {"sum": f"{n + 9:064x}"}) for n in range(3)]
    (found,) = common(resources(*pairs))
    assert (found.paths, found.new) == (("sum",), OTHER_DIGEST)


def test_a_secret_among_many_stays_hidden() -> None:
    pairs = [({"password": "old-password"}, {"password": "new-password"})] * MANY
    assert {
        text
        for each in common(resources(*pairs))
        if not each.inside
        for text in (each.old, each.new)
    } <= {"[secret]"}


def test_a_change_knows_its_path() -> None:
    (resource,) = resources(
        ({"rules": [{"name": "a", "x": 1}]}, {"rules": [{"name": "a", "x": 2}]})
    )
    assert resource.changes == (Change("rules[a].x", 1, 2),)
