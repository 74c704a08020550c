"""Admission where ECR pulls by itself: cached registries are rewritten to, all others stay."""

from __future__ import annotations

import math
from typing import Any

import boto3
import pytest

from images.reference import parse
from tests.webhook.reviews import OWN, SHA, patched, pod, review_of
from webhook.admission import Copy, Policy, Presence, review
from webhook.pull_through import PullThroughMirror
from webhook.rules import Action, Rule, WhenAbsent
from webhook.service import Environment, decision

CACHED = ("public.ecr.aws", "quay.io", "registry.k8s.io")
MIRROR = PullThroughMirror(CACHED)


def becomes(response: dict[str, Any], image: str) -> str:
    return patched(response).get("/spec/containers/0/image", image)


def judged(image: str, *rules: Rule, **more: Any) -> dict[str, Any]:
    policy = Policy(registry=OWN, rules=rules)
    return review(review_of(pod(image), namespace="team", **more), policy, MIRROR)["response"]


@pytest.mark.parametrize(
    "image",
    [
        "quay.io/a/b:1",
        f"quay.io/a/b@{SHA}",
        f"registry.k8s.io/pause:3.10@{SHA}",
        "public.ecr.aws/docker/library/redis:7",
    ],
)
@pytest.mark.parametrize("dry_run", [False, True])
def test_an_image_of_a_cached_registry_is_rewritten_without_a_word(
    image: str, dry_run: bool
) -> None:
    response = judged(image, dryRun=dry_run)
    assert becomes(response, image) == f"{OWN}/{image}"
    assert "warnings" not in response


@pytest.mark.parametrize(
    "image",
    [
        "python:3.12",
        "gcr.io/a/b:1",
        "nvcr.io/nvidia/cuda:12",
        "quay.io:5000/a/b:1",
        "sub.quay.io/a/b:1",
        f"quay.io/{'a' * 200}:1",
    ],
)
@pytest.mark.parametrize("when_absent", WhenAbsent)
def test_every_other_image_stays_at_its_source_without_a_word(
    image: str, when_absent: WhenAbsent
) -> None:
    always = Rule(action=Action.MIRROR, when_absent=when_absent)
    response = judged(image, always)
    assert response["allowed"] is True
    assert becomes(response, image) == image
    assert "warnings" not in response


def test_rules_of_the_stack_come_first() -> None:
    assert becomes(judged("quay.io/a/b:1", Rule(action=Action.KEEP)), "-") == "-"
    refused = judged("gcr.io/a/b:1", Rule(action=Action.DENY, registries=("gcr.io",)))
    assert refused["allowed"] is False


def test_a_name_below_the_registry_that_no_cache_serves_is_a_warning() -> None:
    response = judged(f"{OWN}/gcr.io/a/b:1")
    assert becomes(response, "-") == "-"
    assert response["warnings"] == ["this account's registry does not serve gcr.io/a/b:1"]
    assert "warnings" not in judged(f"{OWN}/quay.io/a/b:1")


def test_only_plain_names_are_served() -> None:
    assert MIRROR.ask(parse("quay.io/a/b:1"), start=True) == Copy(Presence.PRESENT)
    assert MIRROR.ask(parse("gcr.io/a/b:1"), start=True) == Copy(Presence.NEVER)


def test_the_handler_needs_neither_table_nor_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise AssertionError("a client was made")

    monkeypatch.setattr(boto3, "client", refused)
    environment = Environment.read({"MIRROR_REGISTRY": OWN, "MIRROR_CACHED": " ".join(CACHED)})
    assert environment.cached == CACHED
    response = decision(environment)(review_of(pod("quay.io/a/b:1")), math.inf)["response"]
    assert becomes(response, "") == f"{OWN}/quay.io/a/b:1"
