"""Fields that the CRDs of a simulated cluster lack, as its API server refuses them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes
import pytest

from components.dynamic.crds import CustomResourceDefinitions
from components.objects.kubernetes_objects import register
from rehearsal.custom_resources import schemas_of, undeclared
from rehearsal.engine import EngineFailure
from rendering import Object
from rendering.await_annotations import PATCH_FORCE
from tests.rehearsal.conftest import Started, steps

REFUSED = r"app/one; tiny\.example/v1, Kind=Widget\): \.spec\.more: field not declared in schema"
OLD, NEW = {"size": 1}, {"size": 1, "more": 2}


def crd(*fields: str, **schema: Any) -> Object:
    spec = {"type": "object", "properties": {name: {"type": "integer"} for name in fields}}
    openapi = {"type": "object", "properties": {"spec": {**spec, **schema}}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.tiny.example"},
        "spec": {
            "group": "tiny.example",
            "names": {"kind": "Widget", "plural": "widgets"},
            "versions": [{"name": "v1", "served": True, "schema": {"openAPIV3Schema": openapi}}],
        },
    }


def widget(spec: Any, version: str = "v1", annotations: Any = None) -> Object:
    metadata = {"name": "one", "namespace": "app", "annotations": annotations or {}}
    return {
        "apiVersion": f"tiny.example/{version}",
        "kind": "Widget",
        "metadata": metadata,
        "spec": spec,
    }


def stack(types: Object, spec: Any, *, awaits: bool) -> Callable[[], None]:
    def program() -> None:
        cluster = kubernetes.Provider("kubernetes", kubeconfig="{}")
        crds = CustomResourceDefinitions("crds", crds=[types], kubeconfig="{}", cluster="arn:of:it")
        known = {PATCH_FORCE: crds.applied.apply(lambda _: "true")} if awaits else {}
        opts = pulumi.ResourceOptions(provider=cluster, depends_on=[crds])
        register(widget(spec, annotations=known), opts=opts)

    return program


@pytest.mark.engine
def test_a_new_field_is_previewed_when_it_awaits_the_crds(started: Started) -> None:
    with started(stack(crd("size"), OLD, awaits=True)) as rehearsal:
        rehearsal.up()
        assert steps(rehearsal.preview()) == []
    changed = crd("size", "more")
    refused = pytest.raises(EngineFailure, match=REFUSED)
    with started(stack(changed, NEW, awaits=False)) as rehearsal, refused:
        rehearsal.preview()
    with started(stack(changed, NEW, awaits=True)) as rehearsal:
        done = [(operation, name) for operation, _, name in steps(rehearsal.preview())]
        assert done == [("update", "crds"), ("update", "app/one")]
        assert steps(rehearsal.up())
        assert steps(rehearsal.preview()) == []


@pytest.mark.engine
def test_a_field_that_no_crd_has_is_refused_by_up(started: Started) -> None:
    program = stack(crd("size"), NEW, awaits=True)
    with started(program) as rehearsal, pytest.raises(EngineFailure, match=REFUSED):
        rehearsal.up()


@pytest.mark.parametrize(
    ("spec", "schema", "missing"),
    [
        ({"size": 1, "more": {"a": 1}}, {}, [".spec.more"]),
        ({"more": {"a": 1}}, {"x-kubernetes-preserve-unknown-fields": True}, []),
        ({"more": {"a": 1}}, {"additionalProperties": True}, []),
        (
            {"more": {"a": 1, "b": 2}},
            {"additionalProperties": {"properties": {"a": {}}}},
            [".spec.more.b"],
        ),
        ({"kind": "Pod", "more": 1}, {"x-kubernetes-embedded-resource": True}, [".spec.more"]),
        ([{"size": 1}, {"more": 1}], {"items": {"properties": {"size": {}}}}, [".spec.more"]),
    ],
)
def test_fields_that_a_schema_lacks(spec: Any, schema: Any, missing: list[str]) -> None:
    assert undeclared(widget(spec), schemas_of([crd("size", **schema)])) == missing


def test_a_version_that_is_not_served_has_no_schema() -> None:
    assert undeclared(widget(NEW, "v2"), schemas_of([crd("size")])) == []
    old = {**crd("size"), "apiVersion": "apiextensions.k8s.io/v1beta1"}
    assert undeclared(widget(NEW), schemas_of([old])) == []
