"""Ordered rules by registry and namespace: the first that covers an image decides."""

from __future__ import annotations

import json
from typing import Any

import pytest

from images.reference import parse
from tests.webhook.reviews import OWN, FixedMirror, patched, pod, review_of
from webhook.admission import Policy, Presence, review
from webhook.rules import Action, Rule, WhenAbsent, read, rule_for

TEAMS_QUAY = Rule(action=Action.KEEP, registries=("quay.io",), namespaces=("team-*",))
BITNAMI = Rule(action=Action.DENY, registries=("docker.io/bitnami",))
NVIDIA = Rule(action=Action.MIRROR, registries=("nvcr.io",), when_absent=WhenAbsent.DENY)
NOTHING_ELSE = Rule(action=Action.DENY)


def denied(pattern: str) -> Rule:
    return Rule(action=Action.DENY, registries=(pattern,))


ALLOW_LIST = (
    Rule(action=Action.MIRROR, registries=("quay.io", "*.example.com")),
    NOTHING_ELSE,
)


@pytest.mark.parametrize(
    ("rules", "image", "namespace", "action"),
    [
        ((), "quay.io/a/b:1", "team-a", Action.MIRROR),
        ((TEAMS_QUAY,), "quay.io/a/b:1", "team-a", Action.KEEP),
        ((TEAMS_QUAY,), "quay.io/a/b:1", "other", Action.MIRROR),
        ((TEAMS_QUAY,), "quay.io.example.com/a/b:1", "team-a", Action.MIRROR),
        ((BITNAMI,), "bitnami/redis:7", "any", Action.DENY),
        ((BITNAMI,), "bitnamilegacy/redis:7", "any", Action.MIRROR),
        ((BITNAMI,), "python:3.12", "any", Action.MIRROR),
        (ALLOW_LIST, "quay.io/a/b:1", "any", Action.MIRROR),
        (ALLOW_LIST, "reg.example.com/a:1", "any", Action.MIRROR),
        (ALLOW_LIST, "python:3.12", "any", Action.DENY),
        ((TEAMS_QUAY, NOTHING_ELSE), "quay.io/a/b:1", "team-a", Action.KEEP),
        ((NOTHING_ELSE, TEAMS_QUAY), "quay.io/a/b:1", "team-a", Action.DENY),
        # A pattern of a whole name, or with a star for its last part.
        ((denied("docker.io/library/nginx"),), "nginx:1", "a", Action.DENY),
        ((denied("quay.io/evil/*"),), "quay.io/evil/app:1", "a", Action.DENY),
        ((denied("quay.io/evil/*"),), "quay.io/evil2/app:1", "a", Action.MIRROR),
        ((denied("quay.io"),), "quay.io.example.com/app:1", "a", Action.MIRROR),
    ],
)
def test_the_first_rule_that_covers_an_image_decides(
    rules: tuple[Rule, ...], image: str, namespace: str, action: Action
) -> None:
    assert rule_for(rules, parse(image), namespace).action is action


def answer(rules: tuple[Rule, ...], image: str) -> dict[str, Any]:
    mirror = FixedMirror(Presence.COPYING)
    body = review_of(pod(image), namespace="team-a")
    response: dict[str, Any] = review(body, Policy(registry=OWN, rules=rules), mirror)["response"]
    return {**response, "asked": mirror.asked}


def test_what_is_kept_is_neither_rewritten_nor_copied() -> None:
    given = answer((TEAMS_QUAY,), "quay.io/a/b:1")
    assert given["allowed"]
    assert "patch" not in given
    assert given["asked"] == []


def test_what_is_denied_names_registry_and_namespace_and_is_not_copied() -> None:
    given = answer((BITNAMI,), "bitnami/redis:7")
    assert not given["allowed"]
    assert (
        "docker.io/bitnami/redis are not allowed in namespace team-a" in given["status"]["message"]
    )
    assert given["asked"] == []


def test_a_rule_can_be_stricter_about_absent_copies_than_the_stack() -> None:
    assert not answer((NVIDIA,), "nvcr.io/nvidia/x:1")["allowed"]
    other = answer((NVIDIA,), "quay.io/a/b:1")
    assert patched(other) == {"/spec/containers/0/image": f"{OWN}/quay.io/a/b:1"}


def test_an_image_of_the_own_registry_is_under_no_rule() -> None:
    assert answer((NOTHING_ELSE,), f"{OWN}/quay.io/a/b:1")["allowed"]


def test_a_login_in_what_is_no_image_is_not_repeated() -> None:
    given = answer((), "https://user:hunter2@registry.example.com/x")
    assert given["allowed"]
    assert "hunter2" not in json.dumps(given)
    assert "left as it is" in given["warnings"][0]


def test_rules_are_read_as_the_stack_writes_them() -> None:
    text = json.dumps(
        [
            {"action": "keep", "registries": ["quay.io"], "namespaces": ["team-*"]},
            {"action": "mirror", "registries": ["nvcr.io"], "whenAbsent": "deny"},
            {"action": "deny"},
        ]
    )
    assert read(text) == (TEAMS_QUAY, NVIDIA, NOTHING_ELSE)


@pytest.mark.parametrize(
    "text", ["{", "5", '[{"registries": ["x"]}]', '[{"action": "perhaps"}]', '["mirror"]']
)
def test_what_is_no_list_of_rules_stops_the_handler(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read(text)
