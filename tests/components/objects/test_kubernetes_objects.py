"""Any Kubernetes object is one resource: its own type and fields, late values bound into it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from importlib.metadata import version as installed
from typing import Any

import pulumi
import pytest

from components.objects.kubernetes_objects import (
    UnboundValue,
    bind,
    object_name,
    register,
    type_token,
    with_encoded_secret,
)
from tests.harness import MASKED, Registered, run

FORCED = {"pulumi.com/patchForce": "true"}
VALUES: dict[str, pulumi.Input[str]] = {"bucket.name": "artifacts", "s3.host": "s3.example"}


def thing(kind: str = "ConfigMap", version: str = "v1", **fields: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "x"}, **fields}


def registered(obj: dict[str, Any], **options: Any) -> Registered:
    recorded = run(lambda: register(obj, opts=pulumi.ResourceOptions(**options)).urn)
    return recorded.all[0]


def registered_with(obj: dict[str, Any], secret: Callable[[str], pulumi.Output[str]]) -> Registered:
    """As ``registered``, with <<password>> bound to an output of "hunter2"."""

    def program() -> Any:
        bound = bind(obj, {"password": secret("hunter2")})
        return register(bound, opts=pulumi.ResourceOptions()).urn

    return run(program).all[0]


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


# -- what it is called ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "kind", "token"),
    [
        ("v1", "Secret", "kubernetes:core/v1:Secret"),
        ("apps/v1", "Deployment", "kubernetes:apps/v1:Deployment"),
        ("kubeflow.org/v1", "Profile", "kubernetes:kubeflow.org/v1:Profile"),
    ],
)
def test_the_type_is_that_of_the_provider(version: str, kind: str, token: str) -> None:
    assert type_token(thing(kind, version)) == token


@pytest.mark.parametrize(
    ("metadata", "name"),
    [({"name": "x"}, "x"), ({"name": "x", "namespace": "team"}, "team/x")],
)
def test_the_name_tells_the_namespace(metadata: dict[str, str], name: str) -> None:
    assert object_name(thing(metadata=metadata)) == name
    assert registered(thing(metadata=metadata)).name == name


def test_a_name_can_be_given() -> None:
    recorded = run(lambda: register(thing(), name="own", opts=pulumi.ResourceOptions()).urn)
    assert recorded.only("kubernetes:core/v1:ConfigMap").name == "own"


# -- late values ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "bound"),
    [
        ("<<bucket.name>>", "artifacts"),
        ("https://<<s3.host>>/<<bucket.name>>/x", "https://s3.example/artifacts/x"),
        ("no marker", "no marker"),
        ("", ""),
        (["<<s3.host>>", {"deep": ["<<bucket.name>>"]}], ["s3.example", {"deep": ["artifacts"]}]),
        ({"a": 1, "b": True, "c": None, "d": 1.5}, {"a": 1, "b": True, "c": None, "d": 1.5}),
        ("cat <<EOF and $(X) and {{y}} << z >>", "cat <<EOF and $(X) and {{y}} << z >>"),
    ],
)
def test_a_marker_becomes_its_value_wherever_it_stands(value: Any, bound: Any) -> None:
    assert bind(value, VALUES) == bound


def test_binding_leaves_the_render_as_it_was() -> None:
    rendered = {"data": ["<<bucket.name>>"]}
    bind(rendered, VALUES)
    assert rendered == {"data": ["<<bucket.name>>"]}


def test_a_value_is_not_searched_for_markers_again() -> None:
    assert bind("<<s3.host>>", {"s3.host": "<<bucket.name>>"}) == "<<bucket.name>>"


def test_an_output_makes_only_its_own_field_an_output() -> None:
    late = pulumi.Output.from_input("db.example")
    bound = bind({"host": "<<h>>:3306", "port": "<<p>>", "more": ["x"]}, {"h": late, "p": "3306"})
    assert isinstance(bound.pop("host"), pulumi.Output)
    assert bound == {"port": "3306", "more": ["x"]}


def test_an_output_is_bound_among_text_and_other_values() -> None:
    def program() -> dict[str, Any]:
        late = pulumi.Output.from_input("db.example")
        return {"url": bind("mysql://<<h>>:<<p>>/x", {"h": late, "p": "3306"})}

    assert run(program).exports["url"] == "mysql://db.example:3306/x"


def test_a_secret_value_makes_its_field_secret_and_no_other() -> None:
    obj = thing(data={"dsn": "root:<<password>>@db", "other": "seen"})
    made = registered_with(obj, pulumi.Output.secret)
    assert made.inputs["data"] == {"dsn": "root:hunter2@db", "other": "seen"}
    assert made.visible["data"] == {"dsn": MASKED, "other": "seen"}


def test_a_key_is_bound_too_and_has_its_value_early() -> None:
    assert bind({"data": {"<<bucket.name>>": ""}}, VALUES) == {"data": {"artifacts": ""}}

    def program() -> Any:
        with pytest.raises(UnboundValue, match="<<late>> is a key in a manifest"):
            bind({"<<late>>": ""}, {"late": pulumi.Output.from_input("x")})

    run(program)


def test_a_marker_without_a_value_is_an_error_with_all_values() -> None:
    with pytest.raises(UnboundValue) as told:
        bind({"data": ["<<bucket.nmae>>"]}, VALUES)
    assert str(told.value) == (
        "<<bucket.nmae>> is in a manifest and the stack has no such value: "
        "use one of bucket.name, s3.host."
    )


# -- secrets --------------------------------------------------------------------------------------


def test_the_string_data_of_a_secret_is_registered_as_data() -> None:
    made = registered(thing("Secret", stringData={"password": "hunter2 ü"}))
    assert made.inputs["data"] == {"password": encoded("hunter2 ü")}
    assert "stringData" not in made.inputs


def test_every_value_of_a_secret_is_a_secret_and_its_keys_are_not() -> None:
    made = registered(thing("Secret", stringData={"a": "1"}, data={"b": encoded("2")}))
    assert made.visible["data"] == {"a": MASKED, "b": MASKED}
    assert made.inputs["data"] == {"a": encoded("1"), "b": encoded("2")}


def test_string_data_wins_over_data_as_in_the_api_server() -> None:
    made = registered(thing("Secret", stringData={"a": "new"}, data={"a": encoded("old")}))
    assert made.inputs["data"] == {"a": encoded("new")}


def test_a_late_value_of_a_secret_is_encoded_too() -> None:
    obj = thing("Secret", stringData={"p": "<<password>>"})
    made = registered_with(obj, pulumi.Output.from_input)
    assert made.inputs["data"] == {"p": encoded("hunter2")}
    assert made.visible["data"] == {"p": MASKED}


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("ConfigMap", {"data": {"a": "1"}}),
        ("SealedSecret", {"stringData": {"a": "1"}, "anything": {"at": ["all"]}}),
    ],
)
def test_other_objects_pass_as_they_are(kind: str, content: dict[str, Any]) -> None:
    obj = thing(kind, **content)
    assert with_encoded_secret(obj) is obj
    assert registered(obj).inputs == {**obj, "metadata": {"name": "x", "annotations": FORCED}}


def test_an_object_can_be_left_to_its_other_owners() -> None:
    annotations = {"pulumi.com/patchForce": "false"}
    made = registered(thing(metadata={"name": "x", "annotations": annotations}))
    assert made.inputs["metadata"]["annotations"] == annotations


def test_a_value_that_somebody_edited_can_be_written_again_and_annotations_stay() -> None:
    obj = thing(metadata={"name": "x", "annotations": {"own": "kept"}})
    assert registered(obj).inputs["metadata"]["annotations"] == {"own": "kept", **FORCED}
    assert obj["metadata"]["annotations"] == {"own": "kept"}


def test_a_secret_of_another_api_group_passes_as_it_is() -> None:
    obj = thing("Secret", "example.org/v1", stringData={"a": "1"})
    assert with_encoded_secret(obj) is obj


# -- options --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("obj", "left"),
    [
        (thing(), ()),
        (thing("Secret", stringData={"a": "1"}), ()),
        (thing("Secret"), ("data", "stringData")),
        (
            thing("ClusterRole", "rbac.authorization.k8s.io/v1", aggregationRule={}, rules=[]),
            ("rules",),
        ),
        (
            thing(
                "MutatingWebhookConfiguration",
                "admissionregistration.k8s.io/v1",
                webhooks=[{"clientConfig": {}, "rules": []}, {"clientConfig": {"caBundle": "Cg"}}],
            ),
            ("webhooks[0].clientConfig.caBundle",),
        ),
    ],
)
def test_what_a_controller_fills_in_is_left_to_it(obj: Any, left: tuple[str, ...]) -> None:
    assert registered(obj).ignore_changes == left


def test_the_callers_options_are_kept() -> None:
    made = registered(thing("Secret"), protect=True, ignore_changes=["metadata"])
    assert made.protect
    assert made.ignore_changes == ("metadata", "data", "stringData")


def test_every_object_asks_for_the_installed_provider() -> None:
    assert registered(thing()).options.version == installed("pulumi-kubernetes")
