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
class Judged:
    """What a webhook sees of one object on CREATE."""

    group: str
    version: str
    resource: str
    namespaced: bool
    labels: Mapping[str, str]
    namespace_labels: Mapping[str, str]
    """Of its namespace; its own for a Namespace; not looked at for other cluster-scoped objects."""

    @property
    def is_namespace(self) -> bool:
        return self.group == "" and self.resource == "namespaces"


def matches_selector(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """An absent or empty selector matches everything."""
    if not selector:
        return True
    wanted: Mapping[str, str] = selector.get("matchLabels") or {}
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    return all(_holds(expression, labels) for expression in selector.get("matchExpressions") or [])


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
            # An operator nobody knows yet: better one edge too many than an object refused.
            return True


def judges_creation(webhook: Mapping[str, Any], judged: Judged) -> bool:
    """Would this webhook refuse the creation while nobody answers for it?

    ``failurePolicy`` defaults to Fail in v1. ``matchConditions`` are not evaluated: they can only
    make a webhook see less, and one edge too many does no harm.
    """
    if webhook.get("failurePolicy", "Fail") != "Fail":
        return False
    exact = webhook.get("matchPolicy") == "Exact"
    if not any(_rule_holds(rule, judged, exact) for rule in webhook.get("rules") or []):
        return False
    sees_namespace = judged.namespaced or judged.is_namespace
    if sees_namespace and not matches_selector(
        webhook.get("namespaceSelector"), judged.namespace_labels
    ):
        return False
    return matches_selector(webhook.get("objectSelector"), judged.labels)


def _rule_holds(rule: Mapping[str, Any], judged: Judged, exact: bool) -> bool:
    wanted = {
        "operations": {"CREATE", "*"},
        "apiGroups": {judged.group, "*"},
        "resources": {judged.resource, "*", "*/*"},
        "scope": {"Namespaced" if judged.namespaced else "Cluster", "*"},
    }
    if exact:
        # matchPolicy Equivalent, the default, converts every version to one that a rule names.
        wanted["apiVersions"] = {judged.version, "*"}
    given = {**rule, "scope": [rule.get("scope") or "*"]}
    return all(accepted & set(given.get(key) or []) for key, accepted in wanted.items())


def plural_of(key: ObjectKey, plurals: Mapping[tuple[str, str], str]) -> str:
    """The resource a kind is served as: from its CRD, else by the API conventions' rule."""
    known = plurals.get((key.group, key.kind))
    if known:
        return known
    kind = key.kind.lower()
    if kind == "endpoints":
        return kind
    if kind.endswith(("s", "x", "ch", "sh")):
        return f"{kind}es"
    if kind.endswith("y") and kind[-2:-1] not in "aeiou":
        return f"{kind[:-1]}ies"
    return f"{kind}s"
