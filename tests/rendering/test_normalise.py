"""Objects take the one shape that an API server would store."""

from __future__ import annotations

import base64
import copy
from typing import Any

import pytest

from rendering.normalise import normalise
from rendering.objects import Object


def obj(kind: str, api: str = "v1", **rest: Any) -> Object:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": "x"}, **rest}


def crd(scope: str) -> Object:
    names = {"kind": "Thing", "plural": "things"}
    return obj(
        "CustomResourceDefinition",
        "apiextensions.k8s.io/v1",
        spec={"group": "t.example", "names": names, "scope": scope},
        status={"conditions": []},
    )


def one(*objects: Object) -> Object:
    return normalise(objects)[0][0]


@pytest.mark.parametrize(
    ("kind", "api", "given", "becomes"),
    [
        ("ConfigMap", "v1", None, "default"),
        ("ConfigMap", "v1", "own", "own"),
        ("Deployment", "apps/v1", "", "default"),
        ("ClusterRole", "rbac.authorization.k8s.io/v1", "own", None),
        ("PriorityClass", "scheduling.k8s.io/v1", "own", None),
        ("Namespace", "v1", None, None),
        ("Unknown", "no.crd.example/v1", "own", "own"),
        ("Unknown", "no.crd.example/v1", None, None),
        # The same kind name in another group is another kind.
        ("Node", "own.example/v1", "own", "own"),
    ],
)
def test_namespaces_of_kinds(kind: str, api: str, given: str | None, becomes: str | None) -> None:
    thing = obj(kind, api)
    if given is not None:
        thing["metadata"]["namespace"] = given
    assert one(thing)["metadata"].get("namespace") == becomes


@pytest.mark.parametrize(
    ("scope", "given", "becomes"),
    [("Cluster", "own", None), ("Namespaced", None, "default"), ("Namespaced", "own", "own")],
)
def test_namespaces_of_custom_resources_follow_their_crd(
    scope: str, given: str | None, becomes: str | None
) -> None:
    thing = obj("Thing", "t.example/v1")
    if given:
        thing["metadata"]["namespace"] = given
    assert one(thing, crd(scope))["metadata"].get("namespace") == becomes


def test_status_and_unset_times_go_everywhere() -> None:
    template = {"metadata": {"creationTimestamp": None, "labels": {"a": "b"}}}
    objects, crds = normalise(
        [obj("Deployment", "apps/v1", spec={"template": template}, status={}), crd("Cluster")]
    )
    assert "status" not in objects[0]
    assert objects[0]["spec"]["template"] == {"metadata": {"labels": {"a": "b"}}}
    assert "status" not in crds[0]


def test_nulls_with_a_meaning_stay() -> None:
    assert one(obj("Thing", "t.example/v1", spec={"value": None}))["spec"] == {"value": None}


LONG = "x" * 100


@pytest.mark.parametrize(
    ("given", "becomes"),
    [
        ({"data": {"a": base64.b64encode(b"text").decode()}}, {"stringData": {"a": "text"}}),
        ({"data": {"a": "/w=="}}, {"data": {"a": "/w=="}}),
        ({"data": {"a": "not base64!"}}, {"data": {"a": "not base64!"}}),
        ({"data": {"a": "YQ=="}, "stringData": {"a": "wins"}}, {"stringData": {"a": "wins"}}),
        ({"data": {"a": ""}}, {"stringData": {"a": ""}}),
        (
            {"data": {"a": base64.encodebytes(LONG.encode()).decode()}},
            {"stringData": {"a": LONG}},
        ),
        ({"data": {}}, {}),
        ({"data": None, "stringData": None}, {}),
    ],
)
def test_secrets_are_readable_where_they_are_text(
    given: dict[str, Any], becomes: dict[str, Any]
) -> None:
    secret = one(obj("Secret", **given))
    assert {key: secret[key] for key in ("data", "stringData") if key in secret} == becomes


def test_a_foreign_secret_kind_is_left_alone() -> None:
    assert one(obj("Secret", "other.example/v1", data={"a": "YQ=="}))["data"] == {"a": "YQ=="}


@pytest.mark.parametrize(("aggregated", "rules"), [(True, None), (False, [{"apiGroups": [""]}])])
def test_only_aggregated_roles_lose_their_rules(
    aggregated: bool, rules: list[dict[str, Any]] | None
) -> None:
    role = obj("ClusterRole", "rbac.authorization.k8s.io/v1", rules=[{"apiGroups": [""]}])
    if aggregated:
        role["aggregationRule"] = {"clusterRoleSelectors": []}
    assert one(role).get("rules") == rules


RBAC, NETWORKING = "rbac.authorization.k8s.io/v1", "networking.k8s.io/v1"


@pytest.mark.parametrize(
    ("kind", "api", "given", "becomes"),
    [
        ("ClusterRole", RBAC, {"rules": []}, {}),
        (
            "Role",
            RBAC,
            {"rules": [{"verbs": ["get"], "resourceNames": []}]},
            {"rules": [{"verbs": ["get"]}]},
        ),
        ("StatefulSet", "apps/v1", {"spec": {"volumeClaimTemplates": []}}, {"spec": {}}),
        ("Pod", "v1", {"spec": {"nodeSelector": {}}}, {"spec": {}}),
        ("ConfigMap", "v1", {"data": {}, "binaryData": {}}, {}),
        # Structures, and elements of lists, are values whatever is in them.
        ("Pod", "v1", {"spec": {"volumes": [{"emptyDir": {}}]}}, None),
        ("NetworkPolicy", NETWORKING, {"spec": {"podSelector": {}, "ingress": [{}]}}, None),
        # Here the driver decides what an empty list means.
        (
            "DeviceClass",
            "resource.k8s.io/v1",
            {"spec": {"config": [{"opaque": {"parameters": {"a": [], "labels": {}}}}]}},
            None,
        ),
        ("Thing", "t.example/v1", {"spec": {"rules": [], "labels": {}}}, None),
    ],
)
def test_empty_lists_and_maps_of_built_in_types_go(
    kind: str, api: str, given: dict[str, Any], becomes: dict[str, Any] | None
) -> None:
    found = one(obj(kind, api, **copy.deepcopy(given)))
    kept = {key: value for key, value in found.items() if key in given}
    assert kept == (given if becomes is None else becomes)


WEBHOOKS = "admissionregistration.k8s.io/v1"


@pytest.mark.parametrize("kind", ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"])
@pytest.mark.parametrize("placeholder", ["", "Cg=="])
def test_placeholders_of_injected_fields_go(kind: str, placeholder: str) -> None:
    client = {"service": {"name": "s", "namespace": "n"}, "caBundle": placeholder}
    hook = {"name": "h", "clientConfig": client, "rules": []}
    found = one(obj(kind, WEBHOOKS, webhooks=[hook]))["webhooks"]
    assert found == [{"name": "h", "clientConfig": {"service": {"name": "s", "namespace": "n"}}}]


def test_a_real_ca_stays_and_is_not_waited_for() -> None:
    client = {"service": {"name": "s", "namespace": "n"}, "caBundle": "TUlJ"}
    configuration = obj(
        "MutatingWebhookConfiguration", WEBHOOKS, webhooks=[{"clientConfig": client}]
    )
    configuration["metadata"]["annotations"] = {"cert-manager.io/inject-ca-from": "n/c"}
    found = one(configuration)
    assert found["webhooks"][0]["clientConfig"]["caBundle"] == "TUlJ"
    assert "pulumi.com/waitFor" not in found["metadata"]["annotations"]


def test_an_autoscaled_workload_has_no_count_of_its_own() -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"}
    scaler = obj("HorizontalPodAutoscaler", "autoscaling/v2", spec={"scaleTargetRef": target})
    deployment = obj("Deployment", "apps/v1", spec={"replicas": 2})
    other = obj("StatefulSet", "apps/v1", spec={"replicas": 2})
    objects, _ = normalise([deployment, other, scaler])
    assert [found["spec"].get("replicas") for found in objects] == [None, 2, None]


def test_normalising_twice_changes_nothing_more() -> None:
    objects = [
        obj("Secret", data={"a": "YQ=="}),
        obj("Service", spec={"selector": {}}),
        obj("Deployment", "apps/v1", spec={}),
    ]
    once, _ = normalise(objects)
    before = [dict(item) for item in once]
    assert normalise(once)[0] == before
