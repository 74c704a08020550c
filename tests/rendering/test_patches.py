"""Later versions of images by a setting: everywhere, of one component, and nothing else changes."""

from __future__ import annotations

import copy
from functools import cache

import pytest

from images.reference import parse
from rendering import Object
from rendering.assembly import assemble
from rendering.images import inventory
from rendering.objects import RenderError
from rendering.patches import choose, of_others, where, with_images
from rendering.release import Patches, load
from settings import MANIFESTS
from tests.releases import RELEASES

CHOICES = [
    (release, component, version)
    for release in RELEASES
    for component, patch in load(MANIFESTS / release).patches.items()
    for version in patch.versions
]


@cache
def built(release: str) -> list[Object]:
    """The objects of a release as kustomize prints them."""
    assembly = assemble(MANIFESTS / release)
    return assembly.build(assembly.own)


@cache
def own(release: str) -> frozenset[str]:
    return frozenset(sources(built(release)))


def sources(objects: list[Object]) -> set[str]:
    return {use.source for use in inventory(objects)}


@pytest.mark.parametrize(("release", "component", "version"), CHOICES)
def test_the_images_of_a_component_have_the_version_everywhere(
    release: str, component: str, version: str
) -> None:
    objects, patches = copy.deepcopy(built(release)), load(MANIFESTS / release).patches
    patch = patches[component]
    choose(objects, patches, {component: version})
    before, after = own(release), sources(objects)
    covered = {source for source in before if patch.covers(parse(source))}
    assert covered
    assert before - after == covered
    assert after - before == {str(patch.other(parse(source), version)) for source in covered}
    changed = [
        (one, other) for one, other in zip(built(release), objects, strict=True) if one != other
    ]
    back = str(changed).replace(version, patch.version)
    assert str([(one, one) for one, _ in changed]) == back


@pytest.mark.parametrize("release", sorted({release for release, _, _ in CHOICES}))
def test_the_lock_has_the_images_of_every_version(release: str) -> None:
    form = load(MANIFESTS / release)
    known = {image.image for image in with_images(form, built(release)).images}
    for component, patch in form.patches.items():
        covered = [parse(source) for source in own(release) if patch.covers(parse(source))]
        for version in patch.versions:
            assert {str(patch.other(image, version)) for image in covered} <= known
            place = (where(component, version),)
            assert of_others(covered[0], place, form, {})
            assert not of_others(covered[0], place, form, {component: version})
            assert of_others(covered[0], ("Pod a/b#c",), form, {component: version})
            assert not of_others(covered[0], ("Pod a/b#c",), form, {})
            every = {name: each.versions[-1] for name, each in form.patches.items()}
            assert of_others(covered[0], ("Pod a/b#c",), form, every)


PATCH = Patches(version="1.0.0", versions=("1.0.1",), images=("reg.io/a/*",), source="x")


@pytest.mark.parametrize(
    ("image", "covered"),
    [
        ("reg.io/a/b:1.0.0", True),
        ("reg.io/a/b:1.0.0-distroless", True),
        ("reg.io/a/b:1.0.00", False),
        ("reg.io/a/b:11.0.0", False),
        ("reg.io/b/b:1.0.0", False),
        ("reg.io/a/b@sha256:" + "a" * 64, False),
    ],
)
def test_an_image_is_covered_by_name_and_version(image: str, covered: bool) -> None:
    assert PATCH.covers(parse(image)) is covered


def test_an_image_at_another_version_has_its_suffix_and_no_digest() -> None:
    pinned = parse(f"reg.io/a/b:1.0.0-distroless@sha256:{'a' * 64}")
    assert str(PATCH.other(pinned, "1.0.1")) == "reg.io/a/b:1.0.1-distroless"


def test_a_tag_beside_its_hub_gets_the_version() -> None:
    values = '{\n  "hub": "reg.io/a",\n  "proxy": {"image": "proxyv2"},\n  "tag": "1.0.0"\n}'
    objects = [config("istio-sidecar-injector", "values", values)]
    choose(objects, {"a": PATCH}, {"a": "1.0.1"})
    assert sources(objects) == {"reg.io/a/proxyv2:1.0.1"}


def config(name: str, key: str, text: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "istio-system"},
        "data": {key: text},
    }


def pod(*variables: tuple[str, str]) -> Object:
    env = [{"name": name, "value": value} for name, value in variables]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "a", "namespace": "b"},
        "spec": {"containers": [{"name": "c", "image": "reg.io/x:1", "env": env}]},
    }


@pytest.mark.parametrize("versions", [{"a": "1.0.2"}, {"b": "1.0.1"}, {"a": "1.0.0"}])
def test_a_version_that_is_not_declared_is_refused(versions: dict[str, str]) -> None:
    with pytest.raises(RenderError, match="there is no"):
        choose([], {"a": PATCH}, versions)


def test_an_image_that_would_stay_is_refused() -> None:
    objects = [pod(("FRONTEND_IMAGE", "reg.io/a/b"), ("FRONTEND_TAG", "1.0.0"))]
    with pytest.raises(RenderError, match=r"Pod b/a#.* would stay with reg.io/a/b:1.0.0"):
        choose(objects, {"a": PATCH}, {"a": "1.0.1"})
