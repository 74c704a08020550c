"""Objects with no more in them than an order is derived from, and short ways to ask for it."""

from __future__ import annotations

from typing import Any

from rendering.objects import Object
from rendering.order import derive

APPS = "apps/v1"
WEBHOOKS = "admissionregistration.k8s.io/v1"
CERTIFICATES = "cert-manager.io/v1"


def obj(kind: str, name: str, api: str = "v1", namespace: str | None = "n", **rest: Any) -> Object:
    metadata: dict[str, Any] = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    metadata |= rest.pop("metadata", {})
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **rest}


def space(name: str, **labels: str) -> Object:
    return obj("Namespace", name, namespace=None, metadata={"labels": labels})


def workload(name: str, pod: dict[str, Any] | None = None, namespace: str = "n") -> Object:
    template = {"metadata": {"labels": {"app": name}}, "spec": pod or {}}
    return obj("Deployment", name, APPS, namespace, spec={"template": template})


def service(name: str, namespace: str = "n") -> Object:
    return obj("Service", name, namespace=namespace, spec={"selector": {"app": name}})


def webhook(
    name: str, served_by: str, *resources: str, group: str = "", namespace: str = "n", **rest: Any
) -> Object:
    rule = {
        "apiGroups": [group],
        "apiVersions": ["*"],
        "resources": list(resources),
        "operations": ["CREATE"],
    }
    client = {"service": {"name": served_by, "namespace": namespace}}
    hook = {"name": name, "clientConfig": client, "rules": [rule], **rest}
    return obj("ValidatingWebhookConfiguration", name, WEBHOOKS, None, webhooks=[hook])


def needs(objects: list[Object], name: str, kind: str | None = None) -> set[str]:
    """``Kind name`` of every direct prerequisite of the one object of that name (and kind)."""
    (found,) = [
        value
        for key, value in derive(objects).prerequisites.items()
        if key.name == name and kind in (None, key.kind)
    ] or [()]
    return {f"{key.kind} {key.name}" for key in found}


def names(objects: list[Object]) -> list[str]:
    return [item["metadata"]["name"] for item in derive(objects).objects]
