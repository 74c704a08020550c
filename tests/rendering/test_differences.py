"""Two renders are compared value by value; what differs is as small as the change that made it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, cast

import pytest

from rendering import RenderError
from rendering.differences import ABSENT, Change, changes, compare

HASHES = ("42d46f9h7d", "9kbt2c84gm")
Value = Any


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "kubeflow"},
        "data": data,
    }


def container(**fields: Value) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "main", **fields}, {"name": "side"}]}}


MAIN = "spec.containers[name=main]"
A, B, C = ({"name": name, "value": name.lower()} for name in "ABC")
USES_A = {"name": "U", "value": "$(A)"}


@pytest.mark.parametrize(
    ("upstream", "ours", "expected"),
    [
        ({"a": {"b": 1}}, {"a": {"b": 2}}, [("a.b", 1, 2)]),
        ({}, {"a": None}, [("a", ABSENT, None)]),
        ({"a": True}, {"a": 1}, [("a", True, 1)]),
        ({"a": {}}, {"a": []}, [("a", {}, [])]),
        (
            {"annotations": {"a.io/b": "1"}},
            {"annotations": {"a.io/b": "2"}},
            [("annotations[a.io/b]", "1", "2")],
        ),
        # a list whose items have names: by name, wherever they stand
        (container(env=[A, C]), container(env=[B, A, C]), [(f"{MAIN}.env[name=B]", ABSENT, B)]),
        (container(env=[A, B]), container(env=[B]), [(f"{MAIN}.env[name=A]", A, ABSENT)]),
        ({"init": [A, B]}, {"init": [B, A]}, [("init[order]", "A B", "B A")]),
        # the order of variables has a meaning only when one uses another
        (container(env=[A, B]), container(env=[B, A]), []),
        (
            container(env=[A, USES_A]),
            container(env=[USES_A, A]),
            [(f"{MAIN}.env[order]", "A U", "U A")],
        ),
        (container(image="x:1"), container(image="x:2"), [(f"{MAIN}.image", "x:1", "x:2")]),
        # one volume mounted twice has two paths and one name
        (
            {"mounts": [{"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/b"}]},
            {"mounts": [{"name": "v", "mountPath": "/a"}]},
            [("mounts[mountPath=/b]", {"name": "v", "mountPath": "/b"}, ABSENT)],
        ),
        (
            {"ports": [{"port": 80}]},
            {"ports": [{"port": 80, "x": 1}]},
            [("ports[port=80].x", ABSENT, 1)],
        ),
        # a list without names: by the longest common part, at the place it has in upstream
        ({"args": ["a", "b"]}, {"args": ["a", "new", "b"]}, [("args[+1]", ABSENT, "new")]),
        ({"args": ["a", "b", "c"]}, {"args": ["a", "c"]}, [("args[1]", "b", ABSENT)]),
        ({"args": ["a", "b", "c"]}, {"args": ["a", "x", "c"]}, [("args[1]", "b", "x")]),
        ({"args": ["a", "b"]}, {"args": ["x"]}, [("args[0:2]", ["a", "b"], ["x"])]),
        (
            {"rules": [{"verbs": ["get"]}]},
            {"rules": [{"verbs": ["get", "list"]}]},
            [("rules[0].verbs[+1]", ABSENT, "list")],
        ),
        ({"list": []}, {"list": [{"name": "a"}]}, [("list[+0]", ABSENT, {"name": "a"})]),
    ],
)
def test_a_difference_is_the_smallest_value_that_changed(
    upstream: Value, ours: Value, expected: list[tuple[str, Value, Value]]
) -> None:
    found = list(changes(upstream, ours))
    assert [(each.path, each.upstream, each.ours) for each in found] == expected


@pytest.mark.parametrize(
    ("upstream", "ours", "expected"),
    [
        (
            '{"s3": {"region": "", "x": 1}}',
            '{"s3":{"region":"cn","x":1}}',
            [("text > s3.region", "", "cn")],
        ),
        (
            "s3:\n  insecure: true\n",
            "s3: {insecure: false}\n",
            [("text > s3.insecure", True, False)],
        ),
        (
            "a:\n- name: x\n- name: y\n",
            "a:\n- name: y\n",
            [("text > a[name=x]", {"name": "x"}, ABSENT)],
        ),
        # nothing to compare by structure: the whole texts
        ("one line", "another", [("text", "one line", "another")]),
        ("key: 1", "key: 2", [("text", "key: 1", "key: 2")]),
        (
            "set -e\nexit 0\n",
            "set -e\nexit 1\n",
            [("text", "set -e\nexit 0\n", "set -e\nexit 1\n")],
        ),
        ("a: 1\nb: 2\n", "- a\n- b\n", [("text", "a: 1\nb: 2\n", "- a\n- b\n")]),
        # the same structure in other words is still a difference
        ("# old\na: 1\n", "# new\na: 1\n", [("text", "# old\na: 1\n", "# new\na: 1\n")]),
    ],
)
def test_texts_that_are_yaml_or_json_are_compared_by_what_they_say(
    upstream: str, ours: str, expected: list[tuple[str, Value, Value]]
) -> None:
    found = list(changes({"text": upstream}, {"text": ours}))
    assert [(each.path, each.upstream, each.ours) for each in found] == expected


def test_objects_are_matched_by_group_kind_namespace_and_name() -> None:
    certificates = [
        {"apiVersion": f"{group}/v1", "kind": "Certificate", "metadata": {"name": "same"}}
        for group in ("cert-manager.io", "networking.internal.knative.dev")
    ]
    found = compare([config_map("gone"), *certificates], [config_map("new"), *certificates])
    assert list(found.removed) == ["ConfigMap kubeflow/gone"]
    assert list(found.added) == ["ConfigMap kubeflow/new"]
    assert found.changed == {}


def test_another_version_of_an_api_is_a_change_of_the_object() -> None:
    old = {"apiVersion": "policy/v1beta1", "kind": "PodDisruptionBudget", "metadata": {"name": "a"}}
    found = compare([old], [{**old, "apiVersion": "policy/v1"}])
    assert found.changed == {
        "PodDisruptionBudget.policy a": (Change("apiVersion", "policy/v1beta1", "policy/v1"),)
    }


def test_generated_names_are_matched_without_their_hash_also_where_they_are_used() -> None:
    def render(hash_: str, code: str) -> list[dict[str, Any]]:
        volume = {"name": "code", "configMap": {"name": f"code-{hash_}"}}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "volumes": [volume]}
        return [config_map(f"code-{hash_}", **{"sync.py": code}), pod]

    found = compare(render(HASHES[0], "old"), render(HASHES[1], "new"))
    assert found.changed == {
        "ConfigMap kubeflow/code-<hash>": (Change("data[sync.py]", "old", "new"),)
    }


def test_a_name_that_only_looks_a_little_like_a_hash_stays() -> None:
    assert list(compare([], [config_map("a-0123456789")]).added) == [
        "ConfigMap kubeflow/a-0123456789"
    ]


def test_an_object_that_occurs_twice_is_refused() -> None:
    with pytest.raises(RenderError, match="ConfigMap kubeflow/a occurs twice"):
        compare([config_map("a")], [config_map("a"), config_map("a")])


def leaves(value: Value) -> Iterator[tuple[Value, str | int]]:
    """Every mapping or list below ``value`` with each of its keys or indexes."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(cast("list[Value]", value))
        for key, child in items:
            yield value, key
            yield from leaves(child)


WHOLE: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "a", "namespace": "b", "annotations": {"x.io/y": "1"}},
    "spec": {
        "containers": [
            {"name": "main", "args": ["--a", "--b"], "env": [A, B], "ports": [{"port": 1}]},
            {"name": "side", "command": ["sh", "-c", "a\nb\n"], "limits": {"cpu": None}},
        ],
        "config": "a:\n  b: [1, 2]\n",
        "rules": [{"verbs": ["get", "get"]}, {"verbs": []}],
    },
}


def test_equal_renders_have_no_difference() -> None:
    found = compare([WHOLE], [copy.deepcopy(WHOLE)])
    assert (found.removed, found.added, found.changed) == ({}, {}, {})


@pytest.mark.parametrize("place", range(len(list(leaves(WHOLE)))))
def test_no_value_can_change_or_go_unseen(place: int) -> None:
    changed, without = copy.deepcopy(WHOLE), copy.deepcopy(WHOLE)
    holder, key = list(leaves(changed))[place]
    holder[key] = {"quite": "another"}
    holder, key = list(leaves(without))[place]
    del holder[key]
    assert list(changes(WHOLE, changed))
    assert list(changes(WHOLE, without))


def test_every_path_of_an_object_is_named_once() -> None:
    ours = copy.deepcopy(WHOLE)
    ours["spec"]["containers"][0]["args"] = ["--new", "--b", "--c", "--d"]
    ours["spec"]["containers"][1]["command"] = ["bash"]
    ours["spec"]["rules"] = [{"verbs": ["list"]}, {"verbs": []}, {"verbs": []}]
    paths = [each.path for each in changes(WHOLE, ours)]
    assert len(paths) == len(set(paths)) == 5
