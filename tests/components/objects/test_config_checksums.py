"""Which pods start anew when configuration changes, and when they do not."""

from __future__ import annotations

import json
from typing import Any, cast

import pulumi
import pytest

from components.objects.config_checksums import ANNOTATION, read_by, with_checksum
from rendering import Object, ObjectKey
from tests.harness import run

CONTAINER: dict[str, Any] = {"name": "main", "image": "app"}
WAYS: dict[str, dict[str, Any]] = {
    "all variables of it": {
        "containers": [{**CONTAINER, "envFrom": [{"configMapRef": {"name": "read"}}]}]
    },
    "one variable": {
        "containers": [
            {
                **CONTAINER,
                "env": [
                    {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "read", "key": "a"}}}
                ],
            }
        ]
    },
    "an init container": {
        "initContainers": [{**CONTAINER, "envFrom": [{"configMapRef": {"name": "read"}}]}],
        "containers": [CONTAINER],
    },
    "a volume": {
        "containers": [CONTAINER],
        "volumes": [{"name": "v", "configMap": {"name": "read"}}],
    },
    "a projected volume": {
        "containers": [CONTAINER],
        "volumes": [{"name": "v", "projected": {"sources": [{"configMap": {"name": "read"}}]}}],
    },
}
READ = ObjectKey("v1", "ConfigMap", "here", "read")


def workload(kind: str = "Deployment", spec: dict[str, Any] | None = None) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": "app", "namespace": "here"},
        "spec": {"template": {"spec": spec or WAYS["a volume"]}},
    }


def config(**changed: Any) -> dict[str, Any]:
    metadata = {"name": "read", "namespace": "here"}
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "1"}}
    return {**made, **changed}


def checksum(*read: dict[str, Any]) -> str:
    """The annotation that a workload gets which reads these."""

    def program() -> dict[str, Any]:
        annotated = with_checksum(workload(), read)
        return {"text": pulumi.Output.json_dumps(annotated)}

    template = json.loads(run(program).exports["text"])["spec"]["template"]
    return template["metadata"]["annotations"][ANNOTATION]


@pytest.mark.parametrize("spec", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
def test_pods_read_in_every_way_that_a_pod_can_name(kind: str, spec: dict[str, Any]) -> None:
    assert read_by(workload(kind, spec)) == [READ]


def test_what_is_named_twice_or_in_another_order_is_read_once() -> None:
    secret = {"name": "s", "secret": {"secretName": "read"}}
    volumes = [*WAYS["a volume"]["volumes"], secret]
    spec = {**WAYS["all variables of it"], "volumes": volumes}
    other = {**spec, "volumes": volumes[::-1]}
    assert read_by(workload(spec=spec)) == read_by(workload(spec=other))
    assert read_by(workload(spec=spec)) == [READ, ObjectKey("v1", "Secret", "here", "read")]


@pytest.mark.parametrize("kind", ["Job", "Pod", "ConfigMap"])
def test_what_cannot_be_rolled_is_left_alone(kind: str) -> None:
    # A changed template would have a Job or a Pod replaced, and run again.
    assert read_by({**workload(), "apiVersion": "v1", "kind": kind}) == []
    assert read_by({**workload(), "apiVersion": "batch/v1", "kind": kind}) == []


def test_a_claim_is_no_configuration() -> None:
    claim = {"name": "v", "persistentVolumeClaim": {"claimName": "read"}}
    assert read_by(workload(spec={"containers": [CONTAINER], "volumes": [claim]})) == []


@pytest.mark.parametrize(
    "other",
    [
        {"data": {"a": "2"}},
        {"data": {"b": "1"}},
        {"data": {}},
        {"binaryData": {"a": "MQ=="}},
        {"stringData": {"c": "1"}},
        {"kind": "Secret"},
    ],
)
def test_another_content_is_another_checksum(other: dict[str, Any]) -> None:
    assert checksum(config()) != checksum(config(**other))


def test_labels_and_the_order_of_keys_change_no_checksum() -> None:
    metadata = {**config()["metadata"], "labels": {"a": "b"}}
    one = config(data={"a": "1", "b": "2"})
    assert checksum(one) == checksum(config(metadata=metadata, data={"b": "2", "a": "1"}))


def test_pods_that_read_nothing_get_no_annotation() -> None:
    assert with_checksum(workload(), []) == workload()


def test_the_rest_of_the_object_stays_and_the_original_is_left_alone() -> None:
    original = workload()
    template: dict[str, Any] = original["spec"]["template"]
    template["metadata"] = {"labels": {"app": "a"}, "annotations": {"own": "kept"}}
    before = json.dumps(original)
    added = with_checksum(original, [config()])
    assert json.dumps(original) == before
    metadata = added["spec"]["template"]["metadata"]
    assert isinstance(metadata["annotations"].pop(ANNOTATION), pulumi.Output)
    assert added == original


@pytest.mark.parametrize("value", ["plain", "secret"])
def test_a_checksum_over_a_secret_would_be_one(value: str) -> None:
    """Nothing leaks when a value was marked secret by mistake."""

    def program() -> dict[str, Any]:
        data = {"a": pulumi.Output.secret("1") if value == "secret" else "1"}
        added = with_checksum(workload(), [config(data=data)])
        annotation = added["spec"]["template"]["metadata"]["annotations"][ANNOTATION]
        made = cast("pulumi.Output[str]", annotation)
        return {"secret": pulumi.Output.from_input(made.is_secret())}

    assert run(program).exports["secret"] == (value == "secret")
