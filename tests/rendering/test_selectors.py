"""Selectors and webhook rules mean here what they mean to the API server."""

from __future__ import annotations

from typing import Any

import pytest

from rendering.objects import ObjectKey
from rendering.selectors import Creation, intercepts, matches_selector, plural_of


@pytest.mark.parametrize(
    ("selector", "labels", "matches"),
    [
        (None, {}, True),
        ({}, {"a": "1"}, True),
        ({"matchLabels": {"a": "1"}}, {"a": "1", "b": "2"}, True),
        ({"matchLabels": {"a": "1"}}, {"a": "2"}, False),
        ({"matchLabels": {"a": "1"}}, {}, False),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1"]}]}, {"a": "1"}, True),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1"]}]}, {}, False),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, {}, True),
        (
            {"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]},
            {"a": "1"},
            False,
        ),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, {"a": ""}, True),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, {}, False),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, {}, True),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, {"a": "1"}, False),
        (
            {
                "matchLabels": {"a": "1"},
                "matchExpressions": [{"key": "b", "operator": "Exists"}],
            },
            {"a": "1"},
            False,
        ),
    ],
)
def test_selectors(selector: dict[str, Any] | None, labels: dict[str, str], matches: bool) -> None:
    assert matches_selector(selector, labels) is matches


POD = Creation("", "v1", "pods", True, {"app": "a"}, {"team": "x"})
ROLE = Creation("rbac.authorization.k8s.io", "v1", "clusterroles", False, {}, {})
NAMESPACE = Creation("", "v1", "namespaces", False, {}, {"team": "x"})
RULE: dict[str, Any] = {
    "apiGroups": [""],
    "apiVersions": ["v1"],
    "resources": ["pods"],
    "operations": ["CREATE"],
}


def hook(rule: dict[str, Any] | None = None, **rest: Any) -> dict[str, Any]:
    return {"rules": [{**RULE, **(rule or {})}], **rest}


@pytest.mark.parametrize(
    ("webhook", "judged", "judges"),
    [
        (hook(), POD, True),
        (hook(failurePolicy="Fail"), POD, True),
        (hook(failurePolicy="Ignore"), POD, False),
        ({"rules": []}, POD, False),
        ({}, POD, False),
        (hook({"operations": ["UPDATE", "DELETE"]}), POD, False),
        (hook({"operations": ["*"]}), POD, True),
        (hook({"apiGroups": ["apps"]}), POD, False),
        (hook({"apiGroups": ["*"], "resources": ["*"]}), POD, True),
        (hook({"resources": ["*/*"]}), POD, True),
        (hook({"resources": ["pods/*"]}), POD, False),
        (hook({"resources": ["pods/status"]}), POD, False),
        (hook({"apiVersions": ["v2"]}), POD, True),
        (hook({"apiVersions": ["v2"]}, matchPolicy="Exact"), POD, False),
        (hook({"apiVersions": ["*"]}, matchPolicy="Exact"), POD, True),
        (hook({"scope": "Cluster"}), POD, False),
        (hook({"scope": "Namespaced"}), POD, True),
        (hook(namespaceSelector={"matchLabels": {"team": "x"}}), POD, True),
        (hook(namespaceSelector={"matchLabels": {"team": "y"}}), POD, False),
        (hook(objectSelector={"matchLabels": {"app": "a"}}), POD, True),
        (hook(objectSelector={"matchLabels": {"app": "b"}}), POD, False),
        (hook(matchConditions=[{"name": "n", "expression": "false"}]), POD, True),
        # Namespace selectors do not keep other cluster-scoped objects out, but do keep Namespaces.
        (
            hook(
                {"apiGroups": ["*"], "resources": ["*"]},
                namespaceSelector={"matchLabels": {"team": "y"}},
            ),
            ROLE,
            True,
        ),
        (
            hook({"resources": ["*"]}, namespaceSelector={"matchLabels": {"team": "y"}}),
            NAMESPACE,
            False,
        ),
    ],
)
def test_what_a_webhook_judges_on_create(
    webhook: dict[str, Any], judged: Creation, judges: bool
) -> None:
    assert intercepts(webhook, judged) is judges


@pytest.mark.parametrize(
    ("kind", "plural"),
    [
        ("Pod", "pods"),
        ("NetworkPolicy", "networkpolicies"),
        ("Ingress", "ingresses"),
        ("StorageClass", "storageclasses"),
        ("Endpoints", "endpoints"),
        ("Gateway", "gateways"),
        ("Mouse", "mice"),
    ],
)
def test_a_kinds_resource(kind: str, plural: str) -> None:
    key = ObjectKey("g.example/v1", kind, "", "x")
    assert plural_of(key, {("g.example", "Mouse"): "mice"}) == plural
