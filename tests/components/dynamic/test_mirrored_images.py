"""The resource that pods wait for: it holds the inventory, and copies what a change adds."""

from __future__ import annotations

from typing import Any

import pytest

from components.dynamic.mirrored_images import MirroredImages, MirroredImagesProvider
from tests.harness import Registered, run

TYPE = "pulumi-python:dynamic:MirroredImages"
REGISTRY = "111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn/kubeflow"


def registered(*images: str) -> Registered:
    def program() -> None:
        MirroredImages(
            "images",
            images=images,
            registry=REGISTRY,
            region="cn-north-1",
            project="copier",
            table="copies",
            build_region="ap-southeast-1",
            build_profile="kubeflow-build",
        )

    return run(program).only(TYPE)


def props(*images: str, **changed: str) -> dict[str, Any]:
    return {**registered(*images).inputs, **changed}


def test_its_inputs_are_sorted_and_none_is_a_secret() -> None:
    made = registered("b:1", "a:1")
    assert made.inputs["images"] == ["a:1", "b:1"]
    assert not made.secrets


@pytest.mark.parametrize(
    ("news", "changes", "replaces"),
    [
        (props("a:1"), False, []),
        (props("a:1", "b:1"), True, []),
        (props("a:1", buildProfile="other"), False, []),
        (props("a:1", project="other"), False, []),
        (props("a:1", registry="elsewhere/kubeflow"), True, ["registry"]),
    ],
)
def test_another_inventory_is_an_update_and_another_registry_a_new_one(
    news: dict[str, Any], changes: bool, replaces: list[str]
) -> None:
    found = MirroredImagesProvider().diff("id", props("a:1"), news)
    assert (found.changes, found.replaces) == (changes, replaces)


@pytest.mark.parametrize("step", ["create", "update"])
def test_it_exists_only_once_every_image_is_copied(
    step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[Any] = []
    monkeypatch.setattr("components.dynamic.mirrored_images._copy", copied.append)
    news = props("a:1")
    if step == "create":
        result = MirroredImagesProvider().create(news)
        assert result.id == news["registry"]
    else:
        result = MirroredImagesProvider().update("id", {}, news)
    assert copied == [news]
    assert result.outs == news
