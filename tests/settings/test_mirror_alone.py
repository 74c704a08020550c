"""The section of the image mirror by itself: the same rules, and keys of the program around it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from settings import SettingsError, from_mapping
from settings.image_mirror import ImageMirrorSettings
from settings.mirror_alone import mirror_alone
from tests.harness import REGIONS
from tests.settings.test_wrong_values import ROWS, whole


def problems(values: dict[str, object], region: str, namespace: str = "") -> list[str]:
    with pytest.raises(SettingsError) as refused:
        mirror_alone(values, region, namespace=namespace)
    return refused.value.problems


@pytest.mark.parametrize("region", REGIONS)
def test_a_mirror_that_a_program_makes_is_enabled_in_every_region(region: str) -> None:
    assert mirror_alone({}, region).mirror.enabled
    on = mirror_alone({"enabled": True}, region)
    assert on.image_mirror == ImageMirrorSettings(enabled=True)


@pytest.mark.parametrize("region", REGIONS)
def test_a_mirror_that_is_made_cannot_be_switched_off(region: str) -> None:
    (sentence,) = problems({"enabled": False}, region, "images")
    assert sentence == (
        "images:imageMirror.enabled is false: this program makes a mirror: remove the line, or the "
        "mirror from the program."
    )


def test_keys_of_sentences_are_those_of_the_program_around_it() -> None:
    values: dict[str, object] = {"buildRegion": "cn-north-1", "whenAbsent": "later", "rule": []}
    with_namespace = problems(values, "cn-northwest-1", "images")
    assert sorted(sentence.partition(" ")[0] for sentence in with_namespace) == [
        "images:imageMirror.buildRegion",
        "images:imageMirror.rule",
        "images:imageMirror.whenAbsent",
    ]
    assert problems(values, "cn-northwest-1") == [
        sentence.removeprefix("images:") for sentence in with_namespace
    ]


def test_a_region_that_is_none_is_told() -> None:
    (sentence,) = problems({}, "cn-nroth-1", "images")
    assert sentence.startswith("images:region is cn-nroth-1: ")


def of_the_mirror_alone() -> list[tuple[str, dict[str, object], list[str]]]:
    """Region, section and sentences of each wrong stack file with nothing but a mirror."""
    rows: list[tuple[str, dict[str, object], list[str]]] = []
    for given, sentences in ROWS:
        if "kubeflow:imageMirror:" not in given:
            continue
        config: dict[str, Any] = yaml.safe_load(whole(given, Path("TMP")))["config"]
        region = config.pop("kubeflow:region")
        section = config.pop("kubeflow:imageMirror", None)
        on = isinstance(section, dict) and (section.get("enabled") or region.startswith("cn-"))
        if on and not config and section.get("enabled") is not False:
            rows.append((region, section, sentences))
    return rows


@pytest.mark.parametrize(("region", "section", "sentences"), of_the_mirror_alone())
def test_a_wrong_value_gives_the_sentence_that_it_gives_in_a_stack(
    region: str, section: dict[str, object], sentences: list[str]
) -> None:
    assert problems(section, region, "kubeflow") == sentences
    own = [sentence.replace("kubeflow:imageMirror", "imageMirror") for sentence in sentences]
    assert problems(section, region) == own


def test_most_wrong_mirrors_are_compared() -> None:
    assert len(of_the_mirror_alone()) >= 25


def test_after_a_refusal_keys_of_a_stack_have_their_own_namespace_again() -> None:
    problems({"platform": "nonsense"}, "cn-north-1", "images")
    with pytest.raises(SettingsError) as of_stack:
        from_mapping({"region": "cn-north-1", "imageMirror": {"platform": "nonsense"}})
    assert of_stack.value.problems[0].startswith("kubeflow:imageMirror.platform is nonsense: ")
