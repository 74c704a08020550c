"""The inventory of every release folder is complete, tells why, and has nothing that moves."""

from __future__ import annotations

import re
from functools import cache
from typing import cast

import pytest
import yaml

from images.reference import parse
from rendering import ImageUse, Object
from rendering.field_types import Needed
from rendering.images import Registries, inventory
from rendering.inventory import complete, floating, floating_uses
from rendering.objects import is_crd
from rendering.release import CodeImage, Release, stand_alone
from rendering.sources import obtain
from tests.rendering.beijing import MANIFESTS, rendered
from tests.rendering.registry_search import Hit, search
from tests.rendering.test_images import DIGEST, config, obj, pod

FOLDERS = tuple(stand_alone(MANIFESTS))


def is_known(hit: Hit, images: tuple[ImageUse, ...]) -> bool:
    """Does the inventory have it? A name alone is enough where the text has no tag."""
    try:
        reference = parse(hit.reference)
    except ValueError:
        return False
    if ":" in hit.reference.rpartition("/")[2] or "@" in hit.reference:
        return str(reference) in {use.source for use in images}
    return reference.name in {parse(use.source).name for use in images}


def explanations(folder: str) -> dict[str, str]:
    path = MANIFESTS / folder / "images.explained.yaml"
    return cast("dict[str, str]", yaml.safe_load(path.read_text())) if path.exists() else {}


@cache
def hits(folder: str) -> tuple[list[Hit], list[Hit]]:
    """What the search finds in a render: what the inventory has, and the rest."""
    render = rendered(folder)
    known: list[Hit] = []
    extra: list[Hit] = []
    for hit in search([*render.objects, *render.crds]):
        (known if is_known(hit, render.images) else extra).append(hit)
    return known, extra


@pytest.mark.parametrize("folder", FOLDERS)
def test_what_looks_like_an_image_is_in_the_inventory_or_explained(folder: str) -> None:
    reasons, (_, extra) = explanations(folder), hits(folder)
    used = {p for p in reasons for hit in extra if re.fullmatch(p, hit.reference)}
    assert [hit for hit in extra if not any(re.fullmatch(p, hit.reference) for p in used)] == []
    assert sorted(reasons.keys() - used) == [], "explains nothing any more: take it out"


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_image_in_the_text_is_the_copy_in_the_accounts_registry(folder: str) -> None:
    assert [hit for hit in hits(folder)[0] if not hit.copy] == []


@pytest.mark.parametrize("folder", [name for name in FOLDERS if not name.startswith("addons/")])
def test_the_search_misses_only_what_is_written_in_two_places(folder: str) -> None:
    """It is no witness unless it sees the rest by itself."""
    found = {str(parse(hit.reference)) for hit in hits(folder)[0]}
    missed = [use for use in rendered(folder).images if use.source not in found]
    places = {place for use in missed for place in use.where if "#" in place}
    split = (
        r"ConfigMap \S+/(?:inferenceservice-config#data\.\w+|istio-sidecar-injector#data\.values)"
    )
    assert [place for place in places if not re.fullmatch(split, place)] == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_image_is_another_one_tomorrow(folder: str) -> None:
    assert floating_uses(rendered(folder).images) == []


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("quay.io/a/b", "has the tag latest"),
        ("quay.io/a/b:latest", "has the tag latest"),
        ("quay.io/a/b:latest-gpu", "has the tag latest-gpu"),
        ("quay.io/a/b:main", "has the tag main"),
        ("quay.io/a/b:Master", "has the tag Master"),
        ("quay.io/a/b:nightly", "has the tag nightly"),
        ("gcr.io/k8s-staging-jobset/jobset:v1", "staging"),
        ("us-central1-docker.pkg.dev/k8s-staging-images/lws/lws:v1", "staging"),
        ("quay.io/a/b:v1", None),
        ("quay.io/a/b:main-0a1b2c3", None),
        ("quay.io/a/main", "has the tag latest"),
        (f"quay.io/a/b:latest@{DIGEST}", None),
    ],
)
def test_moving_tags_are_defects(source: str, reason: str | None) -> None:
    found = floating(source)
    assert reason in found if reason and found else found is reason


def upstreams(path: str) -> list[Object]:
    """The objects in a file of kubeflow/manifests as upstream has it."""
    release = stand_alone(MANIFESTS)["26.03"]
    (source,) = [each for each in release.sources if each.name == "kubeflow-manifests"]
    text = (obtain(source, MANIFESTS.parent).folder / path).read_text()
    documents = yaml.load_all(text, Loader=yaml.CSafeLoader)
    return [cast("Object", each) for each in documents if each]


KSERVE = "applications/kserve/kserve/kserve.yaml"
PIPELINES = "applications/pipeline/upstream/base/installs/generic/pipeline-install-config.yaml"
LWS = "remote/lws/config/manager"


@pytest.mark.parametrize(
    ("path", "image", "place"),
    [
        (
            KSERVE,
            "docker.io/kserve/art-explainer:latest has the tag latest, which moves: pin it",
            "ConfigMap kserve/inferenceservice-config#data.explainers",
        ),
        (
            PIPELINES,
            "ghcr.io/containerd/busybox:latest has the tag latest, which moves: pin it",
            "ConfigMap pipeline-install-config#data.cacheImage",
        ),
    ],
)
def test_the_defects_of_upstream_are_found_where_they_stand(
    path: str, image: str, place: str
) -> None:
    sentences = floating_uses(inventory(upstreams(path)))
    assert [s for s in sentences if s.startswith(image) and place in s]


def test_the_staging_image_of_lws_is_found() -> None:
    (manager,) = [each for each in upstreams(f"{LWS}/manager.yaml") if each["kind"] == "Deployment"]
    (change,) = upstreams(f"{LWS}/kustomization.yaml")[0]["images"]
    container = manager["spec"]["template"]["spec"]["containers"][0]
    assert container["image"].partition(":")[0] == change["name"]
    container["image"] = f"{change['newName']}:{change['newTag']}"
    (sentence,) = floating_uses(inventory([manager]))
    assert "k8s-staging-images/lws/lws:main is in a staging registry" in sentence
    assert "#spec.template.spec.containers[manager].image" in sentence


NEEDED: list[tuple[Object, Needed]] = [
    (obj("Deployment", spec={"template": {"spec": pod(image="a/b:1")}}), "install"),
    (
        obj("DaemonSet", spec={"template": {"spec": {"initContainers": [{"image": "a/b:1"}]}}}),
        "install",
    ),
    (obj("Job", spec={"template": {"spec": pod(image="a/b:1")}}), "install"),
    (obj("Deployment", spec=pod(env=[{"name": "X_IMAGE", "value": "a/b:1"}])), "feature"),
    (obj("Deployment", spec=pod(args=["--executor-image", "a/b:1"])), "feature"),
    (obj("ClusterServingRuntime", spec=pod(image="a/b:1")), "feature"),
    (config(cacheImage="a/b:1"), "feature"),
    (
        config(t="containers: [{image: 'a/b:1'}]")
        | {"metadata": {"name": "trial-templates", "namespace": "k"}},
        "example",
    ),
    (
        config(values="{global: {hub: a.io/b, tag: '1', proxy: {image: c}}}")
        | {"metadata": {"name": "istio-sidecar-injector", "namespace": "istio-system"}},
        "install",
    ),
]


@pytest.mark.parametrize(("thing", "needed"), NEEDED)
def test_the_place_says_why_an_image_is_needed(thing: Object, needed: Needed) -> None:
    (use,) = complete([thing], ())
    assert use.needed == needed


def test_the_strongest_place_counts() -> None:
    things = [config(image="a/b:1"), obj("Job", spec=pod(image="a/b:1"))]
    (use,) = complete(things, ())
    assert (use.needed, len(use.where)) == ("install", 2)


@pytest.mark.parametrize("key", ["docker.io/a/b:1", "ConfigMap n/x#data.image"])
def test_release_yaml_can_say_it_better(key: str) -> None:
    (use,) = complete([config(image="a/b:1")], [Release(name="r", needed={key: "example"})])
    assert use.needed == "example"


def test_images_that_only_code_knows_are_in_it_with_their_copy() -> None:
    known = CodeImage(image="a/b:2", needed="example", where="the SDK")
    release = Release(name="r", images=(known,))
    uses = complete([config(image="a/b:1")], [release], Registries("reg/p"))
    assert uses[1] == ImageUse("docker.io/a/b:2", "reg/p/docker.io/a/b:2", ("the SDK",), "example")


def test_an_object_and_code_can_name_the_same_image() -> None:
    known = CodeImage(image="a/b:1", needed="install", where="the SDK")
    (use,) = complete([config(image="a/b:1")], [Release(name="r", images=(known,))])
    assert (use.needed, use.where) == ("install", ("ConfigMap n/x#data.image", "the SDK"))


@pytest.mark.parametrize("folder", FOLDERS)
def test_release_yaml_overrides_only_what_is_there(folder: str) -> None:
    images = rendered(folder).images
    known = {use.source for use in images} | {place for use in images for place in use.where}
    assert stand_alone(MANIFESTS)[folder].needed.keys() <= known


@pytest.mark.parametrize("folder", FOLDERS)
def test_crds_name_no_image(folder: str) -> None:
    assert all(is_crd(crd) for crd in rendered(folder).crds)
    assert inventory(rendered(folder).crds) == ()
