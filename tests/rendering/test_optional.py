"""Parts of a release that a stack has only where a setting asks for them."""

from __future__ import annotations

import pytest
import yaml

from rendering import Rendered, RenderError, render
from rendering.optional import places_beside
from rendering.release import CodeImage, OptionalPart
from tests.rendering.conftest import TinyProject

PART: dict[str, object] = {
    "setting": "widgets.secret",
    "because": "No widget reads it.",
    "objects": ["Deployment app/widgets", "Service app/widgets"],
    "images": [{"image": "docker.io/tiny/draft:v1", "needed": "feature", "where": "the designer"}],
}


@pytest.fixture
def project(tiny: TinyProject) -> TinyProject:
    describe(tiny, PART)
    return tiny


def describe(tiny: TinyProject, part: dict[str, object]) -> None:
    file = tiny.release / "release.yaml"
    described = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump({**described, "optional": {"designer": part}}))


def rendered(project: TinyProject, *chosen: str, everything: bool = False) -> Rendered:
    return render(
        project.release,
        partition="aws-cn",
        dns_suffix="amazonaws.com.cn",
        registry=None,
        optional_parts=None if everything else chosen,
    )


def names(found: Rendered) -> set[str]:
    return {f"{obj['kind']} {obj['metadata']['name']}" for obj in found.objects}


def images(found: Rendered) -> set[str]:
    return {use.source for use in found.images}


def test_a_part_is_rendered_where_it_is_chosen_and_no_trace_of_it_elsewhere(
    project: TinyProject,
) -> None:
    whole, bare = rendered(project, "designer"), rendered(project)
    assert names(whole) - names(bare) == {"Deployment widgets", "Service widgets"}
    assert images(whole) - images(bare) == {
        "docker.io/tiny/draft:v1",
        "docker.io/tiny/widgets:latest",
        "ghcr.io/tiny/maker:v2",
    }
    needs = {
        f"{need.kind} {need.full_name}" for each in bare.prerequisites.values() for need in each
    }
    assert "Deployment app/widgets" not in needs
    assert "Certificate app/widgets" in {f"{key.kind} {key.full_name}" for key in bare.needs_crds}
    assert whole == rendered(project, everything=True)
    assert whole.digest != bare.digest


def test_what_a_part_names_must_be_there_chosen_or_not(tiny: TinyProject) -> None:
    describe(tiny, {**PART, "objects": ["Service app/widget"]})
    sentence = "release.yaml, optional.designer: the build has no Service app/widget: correct"
    for chosen in ((), ("designer",)):
        with pytest.raises(RenderError, match=sentence):
            rendered(tiny, *chosen)


def test_a_part_is_told_by_the_places_of_an_image() -> None:
    code = CodeImage(image="docker.io/tiny/draft:v1", needed="feature", where="the designer")
    part = OptionalPart(setting="a.b", because="-", objects=("Deployment a/b",), images=(code,))
    others = ["Deployment a/c#spec.image", "Deployment a/bc#spec.image"]
    assert places_beside(["Deployment a/b#spec.image", "the designer", *others], [part]) == others
