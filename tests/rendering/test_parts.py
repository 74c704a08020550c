"""The objects that release.yaml names for programs of this project, compared with the render."""

from __future__ import annotations

import pytest

from rendering.objects import pod_spec
from rendering.parts import Parts
from rendering.release import load
from settings import MANIFESTS
from tests.releases import RELEASES
from tests.rendering.beijing import kubeflow

REGISTRY = {"model_registry", "model_registry_ui", "model_catalog"}
ABSENT = {
    "1.5.1-aws-b1.0.0": {"trainer", "spark", "external_secrets"} | REGISTRY,
    "26.03": {"training_operator"} | REGISTRY,
    "26.03.1": {"training_operator"},
}


@pytest.mark.parametrize("release", RELEASES)
def test_every_object_of_a_part_is_rendered(release: str) -> None:
    objects = {
        f"{obj['kind']} {obj['metadata'].get('namespace')}/{obj['metadata']['name']}": obj
        for obj in kubeflow(release).rendered.objects
    }
    for part in load(MANIFESTS / release).parts.present.values():
        named = [*part.workloads, ("Service", part.service), ("ServiceAccount", part.account)]
        assert {f"{kind} {name}" for kind, name in named if name} <= objects.keys()
        if part.config:
            kubeflow(release).get("ConfigMap", *reversed(part.config.split("/")))
        if part.container:
            first = objects[" ".join(part.workloads[0])]
            assert part.container in {c["name"] for c in (pod_spec(first) or {})["containers"]}


@pytest.mark.parametrize("release", RELEASES)
def test_a_release_lacks_what_its_kubeflow_lacks_and_nothing_else(release: str) -> None:
    present = load(MANIFESTS / release).parts.present
    assert Parts.model_fields.keys() - present.keys() == ABSENT[release]
    assert all(part.workloads for part in present.values())


@pytest.mark.parametrize("release", RELEASES)
def test_the_deployment_of_a_database_user_is_rendered_or_optional(release: str) -> None:
    form = load(MANIFESTS / release)
    optional = {each for part in form.optional.values() for each in part.objects}
    rendered = {
        f"Deployment {obj['metadata'].get('namespace')}/{obj['metadata']['name']}"
        for obj in kubeflow(release).all("Deployment")
    }
    named = {f"Deployment {user.deployment}" for user in form.databases.values()}
    assert named - rendered - optional == set()
