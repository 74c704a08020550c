"""Ordered rules by registry and namespace: the first that covers an image decides."""

from __future__ import annotations

import json
from typing import Any

import pytest

from images.reference import parse
from tests.webhook.reviews import OWN, SHA, FixedMirror, patched, pod, review_of
from webhook.admission import Policy, Presence, review
from webhook.rules import Action, Rule, Subject, WhenAbsent, read, rule_for

TEAMS_QUAY = Rule(action=Action.KEEP, registries=("quay.io",), namespaces=("team-*",))
BITNAMI = Rule(action=Action.DENY, registries=("docker.io/bitnami",))
NVIDIA = Rule(action=Action.MIRROR, registries=("nvcr.io",), when_absent=WhenAbsent.DENY)
NOTHING_ELSE = Rule(action=Action.DENY)


def denied(pattern: str) -> Rule:
    return Rule(action=Action.DENY, registries=(pattern,))


def kept(pattern: str) -> Rule:
    return Rule(action=Action.KEEP, registries=(pattern,))


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
        ((denied("docker.io/library/nginx"),), "a.example/docker.io/nginx", "a", Action.DENY),
        ((denied("docker.io/library/nginx"),), "a.example/docker.io/other", "a", Action.MIRROR),
        ((denied("ghcr.io/team"),), "docker.pkg.github.com/team/a/app", "a", Action.DENY),
        ((denied("ghcr.io/team"),), "docker.pkg.github.com/other/a/app", "a", Action.MIRROR),
        ((denied("quay.io/evil/*"),), "quay.io/evil/app:1", "a", Action.DENY),
        ((denied("quay.io/evil/*"),), "quay.io/evil2/app:1", "a", Action.MIRROR),
        ((denied("quay.io"),), "quay.io.example.com/app:1", "a", Action.MIRROR),
        # Where it allows, a star stays within one part, and a host is the host.
        (ALLOW_LIST, "evil.io/reg.example.com/a:1", "any", Action.DENY),
        (ALLOW_LIST, "reg.example.com:5000/a:1", "any", Action.DENY),
        (ALLOW_LIST, "reg.example.com:443/a:1", "any", Action.MIRROR),
        ((kept("quay.io/*/ours"), NOTHING_ELSE), "quay.io/a/ours/x", "any", Action.KEEP),
        ((kept("quay.io/*/ours"), NOTHING_ELSE), "quay.io/evil/x/ours", "any", Action.DENY),
        # Where it denies, wherever the name stands.
        ((denied("*.example.com"),), "evil.io/reg.example.com/a:1", "any", Action.DENY),
        ((denied("quay.io"),), "quay.io:80/app:1", "a", Action.DENY),
        ((denied("quay.io:80"),), "quay.io/app:1", "a", Action.MIRROR),
        # Every name of a registry is its one name, in a pattern too.
        ((denied("registry-1.docker.io/evil"),), "evil/miner:1", "a", Action.DENY),
        ((kept("quay.io:443/ours/"), NOTHING_ELSE), "quay.io/ours/x", "a", Action.KEEP),
    ],
)
def test_the_first_rule_that_covers_an_image_decides(
    rules: tuple[Rule, ...], image: str, namespace: str, action: Action
) -> None:
    found = rule_for(rules, Subject.of(parse(image), OWN), namespace)
    assert (found.action if found else Action.MIRROR) is action


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


def test_a_copy_is_judged_by_its_source_and_not_copied_either() -> None:
    given = answer((NOTHING_ELSE,), f"{OWN}/quay.io/a/b:1")
    assert not given["allowed"]
    assert given["status"]["message"] == (
        "image-mirror: images of quay.io/a/b are not allowed in namespace team-a by a rule of this "
        f"cluster, of which {OWN}/quay.io/a/b is a copy: use another image, or ask an "
        "administrator for a rule (imageMirror.rules)"
    )
    assert given["asked"] == []
    assert answer(ALLOW_LIST, f"{OWN}/quay.io/a/b:1")["allowed"]


def test_the_platforms_own_images_are_under_no_rule() -> None:
    policy = Policy(registry=OWN, rules=(NOTHING_ELSE,), platform={"quay.io/a/b:1"}, enforce=True)

    def allowed(image: str) -> bool:
        return review(review_of(pod(image)), policy, FixedMirror())["response"]["allowed"]

    assert allowed(f"{OWN}/quay.io/a/b:1")
    assert allowed("quay.io/a/b:1")
    for other in (f"{OWN}/quay.io/a/b:2", f"{OWN}/quay.io/a/b:1@{SHA}", "quay.io/a/b", "a/b:1"):
        assert not allowed(other)


@pytest.mark.parametrize(
    "image", ["https://user:hunter2@registry.example.com/x", "x:hunter2/", "quay.io/x@hunter2"]
)
@pytest.mark.parametrize("enforce", [False, True])
def test_of_what_is_no_image_nothing_is_repeated(image: str, enforce: bool) -> None:
    policy = Policy(registry=OWN, enforce=enforce)
    given = review(review_of(pod("quay.io/a:1", image)), policy, FixedMirror())["response"]
    assert given["allowed"] is not enforce
    said = given["status"]["message"] if enforce else given["warnings"][0]
    assert "spec.containers[1].image is no image reference: its " in said
    assert "hunter2" not in json.dumps(given)


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
