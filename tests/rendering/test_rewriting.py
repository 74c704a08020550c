"""Rewriting generated objects: idempotent, digests kept, nothing else touched, at any depth."""

from __future__ import annotations

import copy
import random
import string
from typing import Any

import pytest

from rendering.images import Registries, occurrences, rewrite
from rendering.objects import strings
from tests.rendering.test_images import DIGEST, REGISTRY, obj, pod


def _random_value(chance: random.Random, depth: int) -> Any:
    kinds = "text image list dict" if depth else "text image"
    match chance.choice(kinds.split()):
        case "text":
            letters = string.ascii_lowercase + ":/ .-_#\n\"'{}$"
            return "".join(chance.choices(letters, k=chance.randint(0, 30)))
        case "image":
            tag = chance.choice([":1", f"@{DIGEST}", f":1@{DIGEST}"])
            image = chance.choice(["a/b", "quay.io/a/b", "ghcr.io/a/b/c", "r.example:5000/x"]) + tag
            return chance.choice([pod(image=image), {"text": image}])
        case "list":
            return [_random_value(chance, depth - 1) for _ in range(chance.randint(0, 3))]
        case _:
            keys = chance.sample(["spec", "image", "data", "template", "value", "name"], 3)
            return {key: _random_value(chance, depth - 1) for key in keys}


@pytest.mark.parametrize("seed", range(60))
def test_rewriting_any_object_changes_its_images_only(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    thing = obj(chance.choice(["Thing", "ConfigMap"]), spec=_random_value(chance, 6))
    places = {path for path, _ in occurrences(thing)}
    moved = copy.deepcopy(thing)
    rewrite(moved, Registries(REGISTRY))
    for (path, before), (same, after) in zip(strings(thing), strings(moved), strict=True):
        assert path == same
        if path in places:
            assert after.startswith(REGISTRY)
            assert after.partition("@")[2] == before.partition("@")[2]
        else:
            assert after == before
    again = copy.deepcopy(moved)
    rewrite(again, Registries(REGISTRY))
    assert again == moved
