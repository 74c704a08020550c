"""What a Role or ClusterRole of Kubernetes allows on one side and not on the other.

A right is one verb on one resource of one API group, of one object where the rule names objects.
Its name is that of a rule in ``dangers.yaml``, the gravest that fits
(kubernetes.io/docs/concepts/security/rbac-good-practices, "privilege escalation risks").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any, NamedTuple, cast

from review.changes import ABSENT, Change
from review.resources import Resource

_ROLES = (":ClusterRole", ":Role")
_READS = {"get", "list", "watch", "*"}
_WRITES = {"create", "update", "patch", "*"}
_VERBS = {"escalate", "bind", "impersonate"}
_GROUPS = {"rbac.authorization.k8s.io", "admissionregistration.k8s.io"}
_INTO_PODS = {
    "pods/exec",
    "pods/attach",
    "pods/ephemeralcontainers",
    "serviceaccounts/token",
    "nodes/proxy",
    "certificatesigningrequests/approval",
}
_AGGREGATED = "rbac.authorization.k8s.io/aggregate-to-"


class Right(NamedTuple):
    """One verb on one resource; ``name`` is ``*`` where the rule names no object."""

    group: str
    resource: str
    verb: str
    name: str


def role_rights(resource: Resource) -> Iterator[tuple[str, Change]]:
    """Name of the rule and what is given, of everything that a role allows more."""
    if not resource.type.endswith(_ROLES) or resource.operation in ("same", "delete"):
        return
    held = set(_rights(resource.before))
    new = [
        right for right in dict.fromkeys(_rights(resource.after)) if held.isdisjoint(_wider(right))
    ]
    created = resource.operation == "create"
    groups: dict[str, list[str]] = {}
    for right in new:
        name = _grade(right) or ("" if created else "cluster_wider")
        if name:
            groups.setdefault(name, []).append(_said(right))
    for name, rights in groups.items():
        yield name, Change("rules", list[str](), sorted(rights))
    if created:
        return
    for change in resource.changes:
        spread = change.path.startswith("metadata.labels") and _AGGREGATED in change.path
        if change.path.startswith("aggregationRule") or (spread and change.new is not ABSENT):
            yield "cluster_wider", change


def _rights(inputs: Mapping[str, Any]) -> Iterator[Right]:
    rules = cast("list[Mapping[str, Any]]", inputs.get("rules") or [])
    for rule in rules:
        names = rule.get("resourceNames") or ["*"]
        verbs = rule.get("verbs") or []
        for row in product(rule.get("apiGroups") or [], rule.get("resources") or [], verbs, names):
            yield Right(*map(str, row))
        for url, verb in product(rule.get("nonResourceURLs") or [], verbs):
            yield Right("", f"URL {url}", str(verb), "*")


def _wider(right: Right) -> Iterator[Right]:
    """The right itself, and each with a wildcard that covers it."""
    return (Right(*row) for row in product(*((part, "*") for part in right)))


def _grade(right: Right) -> str:
    if right.verb in _VERBS or (right.group in _GROUPS and right.verb in _WRITES):
        return "cluster_escalation"
    if "*" in (right.group, right.resource, right.verb):
        return "cluster_wildcard"
    if right.resource in _INTO_PODS and right.verb in {*_WRITES, "get"}:
        return "cluster_escalation"
    return "cluster_secrets" if right.resource == "secrets" and right.verb in _READS else ""


def _said(right: Right) -> str:
    kind = f"{right.resource}.{right.group}" if right.group else right.resource
    return f"{right.verb} {kind}" + (f" {right.name}" if right.name != "*" else "")
