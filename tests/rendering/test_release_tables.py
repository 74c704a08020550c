"""What each release.yaml says of its render is so: its old APIs, its lost images."""

from __future__ import annotations

import pytest

from rendering.golden import releases
from rendering.images import inventory
from rendering.release import load
from tests.rendering.beijing import MANIFESTS, rendered, upstream
from tests.rendering.removed_apis import unserved

RELEASES = [path.name for path in releases(MANIFESTS.parent)]
each_release = pytest.mark.parametrize("name", RELEASES)


@each_release
def test_the_apis_that_newer_kubernetes_lacks_are_those_of_the_render(name: str) -> None:
    release, render = load(MANIFESTS / name), rendered(name)
    assert release.unserved == unserved([*render.objects, *render.crds])


@each_release
def test_no_version_a_release_runs_on_lacks_one_of_its_apis(name: str) -> None:
    release = load(MANIFESTS / name)
    assert [gone for gone in release.unserved if release.kubernetes.holds(gone)] == []


@each_release
def test_an_image_that_is_gone_is_still_named_or_replaced_by_its_substitute(name: str) -> None:
    ours = {use.source for use in rendered(name).images}
    theirs = {use.source for use in inventory(upstream(name))}
    for gone in load(MANIFESTS / name).gone:
        named = any(gone.covers(source) for source in ours)
        replaced = gone.substitute in ours and any(gone.covers(source) for source in theirs)
        assert named != replaced, gone.image


def test_every_image_of_pipelines_1_8_2_is_known_to_be_gone() -> None:
    known = load(MANIFESTS / "1.5.1-aws-b1.0.0").gone
    of_pipelines = [
        use.source
        for use in rendered("1.5.1-aws-b1.0.0").images
        if use.source.startswith("gcr.io/ml-pipeline/")
    ]
    assert len(of_pipelines) > 9
    assert [each for each in of_pipelines if not any(gone.covers(each) for gone in known)] == []
