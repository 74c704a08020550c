"""Ordered rules by registry and namespace: the first that covers an image decides."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from images.reference import Reference, parse
from webhook.admission import Copy, Policy, Presence, review
from webhook.rules import Action, Rule, WhenAbsent, read, rule_for

OWN = "111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn/kubeflow"
TEAMS_QUAY = Rule(action=Action.KEEP, registries=("quay.io",), namespaces=("team-*",))
BITNAMI = Rule(action=Action.DENY, registries=("docker.io/bitnami",))
NVIDIA = Rule(action=Action.MIRROR, registries=("nvcr.io",), when_absent=WhenAbsent.DENY)
NOTHING_ELSE = Rule(action=Action.DENY)
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
    ],
)
def test_the_first_rule_that_covers_an_image_decides(
    rules: tuple[Rule, ...], image: str, namespace: str, action: Action
) -> None:
    assert rule_for(rules, parse(image), namespace).action is action


class Absent:
    """A registry that has nothing; it remembers whose copy was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def ask(self, source: Reference, *, start: bool, follow: bool = False) -> Copy:
        self.asked.append(str(source))
        return Copy(Presence.COPYING if start else Presence.ABSENT)


def answer(rules: tuple[Rule, ...], image: str, namespace: str = "team-a") -> dict[str, Any]:
    pod = {"metadata": {}, "spec": {"containers": [{"name": "c", "image": image}]}}
    request = {"uid": "1", "operation": "CREATE", "namespace": namespace, "object": pod}
    body = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    mirror = Absent()
    response: dict[str, Any] = review(body, Policy(registry=OWN, rules=rules), mirror)["response"]
    return {**response, "asked": mirror.asked}


def test_what_is_kept_is_neither_rewritten_nor_copied() -> None:
    found = answer((TEAMS_QUAY,), "quay.io/a/b:1")
    assert found["allowed"]
    assert "patch" not in found
    assert found["asked"] == []


def test_what_is_denied_names_registry_and_namespace_and_is_not_copied() -> None:
    found = answer((BITNAMI,), "bitnami/redis:7")
    assert not found["allowed"]
    assert (
        "docker.io/bitnami/redis are not allowed in namespace team-a" in found["status"]["message"]
    )
    assert found["asked"] == []


def test_a_rule_can_be_stricter_about_absent_copies_than_the_stack() -> None:
    assert not answer((NVIDIA,), "nvcr.io/nvidia/x:1")["allowed"]
    other = answer((NVIDIA,), "quay.io/a/b:1")
    patch = json.loads(base64.b64decode(other["patch"]))
    assert patch[0]["value"] == f"{OWN}/quay.io/a/b:1"


def test_an_image_of_the_own_registry_is_under_no_rule() -> None:
    assert answer((NOTHING_ELSE,), f"{OWN}/quay.io/a/b:1")["allowed"]


def test_a_login_in_what_is_no_image_is_not_repeated() -> None:
    found = answer((), "https://user:hunter2@registry.example.com/x")
    assert found["allowed"]
    assert "hunter2" not in json.dumps(found)
    assert "left as it is" in found["warnings"][0]


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
