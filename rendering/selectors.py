"""Label selectors and webhook rules, as the API server evaluates them.

Semantics: k8s.io/apimachinery pkg/labels (selectors) and k8s.io/apiserver
pkg/admission/plugin/webhook/{generic,predicates} (rules, namespaces, objects).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rendering.objects import ObjectKey

NAME_LABEL = "kubernetes.io/metadata.name"


@dataclass(frozen=True)
class Creation:
    """An object's creation, as a webhook's rules and selectors are evaluated on it.

    Attributes:
        group: of the object's API.
        version: of the object's API.
        resource: plural of its kind.
        namespaced: whether it lives in a namespace.
        labels: its own.
        namespace_labels: of its namespace; a Namespace's own; unused for other cluster-scoped ones.
    """

    group: str
    version: str
    resource: str
    namespaced: bool
    labels: Mapping[str, str]
    namespace_labels: Mapping[str, str]


def matches_selector(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether a label selector selects these labels; an absent or empty one selects all."""
    if not selector:
        return True
    equal: Mapping[str, str] = selector.get("matchLabels") or {}
    return equal.items() <= labels.items() and all(
        _holds(expression, labels) for expression in selector.get("matchExpressions") or []
    )


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or []
    match expression["operator"]:
        case "In":
            return key in labels and labels[key] in values
        case "NotIn":
            return key not in labels or labels[key] not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case _:
            # An operator of a later Kubernetes: an edge too many is harmless, a missing one is not.
            return True


def intercepts(webhook: Mapping[str, Any], creation: Creation) -> bool:
    """Whether the API server refuses the creation while this webhook does not answer.

    ``failurePolicy`` defaults to Fail in v1. ``matchConditions`` are not evaluated: they only
    narrow what a webhook matches, and an edge too many is harmless.
    """
    if webhook.get("failurePolicy", "Fail") != "Fail":
        return False
    exact = webhook.get("matchPolicy") == "Exact"
    if not any(_rule_matches(rule, creation, exact) for rule in webhook.get("rules") or []):
        return False
    is_namespace = (creation.group, creation.resource) == ("", "namespaces")
    if (creation.namespaced or is_namespace) and not matches_selector(
        webhook.get("namespaceSelector"), creation.namespace_labels
    ):
        return False
    return matches_selector(webhook.get("objectSelector"), creation.labels)


def _rule_matches(rule: Mapping[str, Any], creation: Creation, exact: bool) -> bool:
    accepted = {
        "operations": {"CREATE", "*"},
        "apiGroups": {creation.group, "*"},
        "resources": {creation.resource, "*", "*/*"},
        "scope": {"Namespaced" if creation.namespaced else "Cluster", "*"},
    }
    if exact:
        # matchPolicy Equivalent, the default, converts every version to one that a rule names.
        accepted["apiVersions"] = {creation.version, "*"}
    fields = {**rule, "scope": [rule.get("scope") or "*"]}
    return all(values & set(fields.get(key) or []) for key, values in accepted.items())


def plural_of(key: ObjectKey, plurals: Mapping[tuple[str, str], str]) -> str:
    """The resource that a kind is served as: from its CRD, else by the API conventions' rule."""
    plural = plurals.get((key.group, key.kind))
    if plural:
        return plural
    kind = key.kind.lower()
    if kind == "endpoints":
        return kind
    if kind.endswith(("s", "x", "ch", "sh")):
        return f"{kind}es"
    if kind.endswith("y") and kind[-2:-1] not in "aeiou":
        return f"{kind[:-1]}ies"
    return f"{kind}s"
