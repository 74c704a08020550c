"""Parts of a release that a stack has only where a setting asks for them."""

from __future__ import annotations

import pytest
import yaml

from rendering import Object, Rendered, RenderError, render
from rendering.optional import places_beside, without
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


# -- variables of what stays -----------------------------------------------------------------------


def workload(*variables: str) -> Object:
    env = [{"name": each, "value": "-"} for each in variables]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "keeper", "namespace": "app"},
        "spec": {"template": {"spec": {"containers": [{"name": "a", "env": env}, {"name": "b"}]}}},
    }


SERVICE: Object = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "designer", "namespace": "app"},
}


def parts(**variables: tuple[str, ...]) -> dict[str, OptionalPart]:
    return {
        "designer": OptionalPart(
            setting="a.b",
            because="-",
            objects=("Service app/designer",),
            variables={f"Deployment app/{name}": each for name, each in variables.items()},
        )
    }


@pytest.mark.parametrize(
    ("chosen", "left"),
    [(None, {"URL", "DESIGNER"}), (["designer"], {"URL", "DESIGNER"}), ([], {"URL"})],
)
def test_variables_of_a_part_are_only_where_it_is_chosen(
    chosen: list[str] | None, left: set[str]
) -> None:
    built = without([SERVICE, workload("URL", "DESIGNER")], parts(keeper=("DESIGNER",)), chosen)
    (first, second) = built[-1]["spec"]["template"]["spec"]["containers"]
    assert {entry["name"] for entry in first["env"]} == left
    assert "env" not in second
    assert (SERVICE in built) == ("DESIGNER" in left)


@pytest.mark.parametrize("chosen", [[], ["designer"]])
@pytest.mark.parametrize(
    ("named", "sentence"),
    [
        ({"keeper": ("DESINGER",)}, "variable DESINGER in Deployment app/keeper: correct the name"),
        ({"keepr": ("DESIGNER",)}, "no Deployment app/keepr: correct the name"),
    ],
)
def test_a_variable_that_a_part_names_must_be_there_chosen_or_not(
    named: dict[str, tuple[str, ...]], sentence: str, chosen: list[str]
) -> None:
    with pytest.raises(RenderError, match=sentence):
        without([SERVICE, workload("DESIGNER")], parts(**named), chosen)
