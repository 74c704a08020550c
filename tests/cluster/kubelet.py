"""What a pod needs before its containers start: ConfigMaps, Secrets and classes it names.

The API server admits a pod without them and the kubelet waits; an order in which no pod ever waits
is what this project promises. A Secret counts as there once the object is that makes a controller
write it; one of the Secrets Store CSI driver, once a workload that mounts its class is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from rendering import Object, ObjectKey
from rendering.objects import pod_template

_CLASS = "SecretProviderClass"
_REFERENCES = {
    "configMap": "ConfigMap",
    "configMapKeyRef": "ConfigMap",
    "configMapRef": "ConfigMap",
    "secret": "Secret",
    "secretKeyRef": "Secret",
    "secretRef": "Secret",
}
"""Field of a pod spec (core/v1) that holds the name of an object -> that object's kind."""

_IN_EVERY_NAMESPACE = ("istio-ca-root-cert", "kube-root-ca.crt")
"""ConfigMaps that istiod and kube-controller-manager write by themselves."""


class Kubelet:
    """Knows which ConfigMaps and Secrets there are, by what was applied so far."""

    def __init__(self) -> None:
        self._there: set[tuple[str, str, str]] = set()
        self._synced: dict[tuple[str, str], list[str]] = {}
        """Namespace and name of a SecretProviderClass -> the Secrets it is copied to."""

    def applied(self, obj: Object) -> None:
        key = ObjectKey.of(obj)
        match key.group, key.kind:
            case "", "ConfigMap" | "Secret":
                self._there.add((key.kind, key.namespace, key.name))
            case "cert-manager.io", "Certificate":
                self._there.add(("Secret", key.namespace, obj["spec"]["secretName"]))
            case "external-secrets.io", "ExternalSecret":
                name = obj["spec"].get("target", {}).get("name", key.name)
                self._there.add(("Secret", key.namespace, name))
            case "secrets-store.csi.x-k8s.io", "SecretProviderClass":
                self._there.add((_CLASS, key.namespace, key.name))
                copies = obj["spec"].get("secretObjects", [])
                self._synced[key.namespace, key.name] = [each["secretName"] for each in copies]
            case _:
                self._mounted(key.namespace, (pod_template(obj) or {}).get("spec"))

    def _mounted(self, namespace: str, spec: Any) -> None:
        for kind, name in set(_named(spec)):
            if kind == _CLASS:
                secrets = self._synced.get((namespace, name), [])
                self._there |= {("Secret", namespace, secret) for secret in secrets}

    def missing(self, pod: Object) -> list[str]:
        """``Secret name`` of everything this pod would wait for."""
        namespace = pod["metadata"]["namespace"]
        return sorted(
            f"{kind} {name}"
            for kind, name in set(_named(pod["spec"]))
            if name not in _IN_EVERY_NAMESPACE and (kind, namespace, name) not in self._there
        )


def _named(value: Any) -> Iterator[tuple[str, str]]:
    """(kind, name) of what must be there, from anywhere in a pod spec."""
    if isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from _named(item)
    if not isinstance(value, dict):
        return
    for field, held in cast("dict[str, Any]", value).items():
        if field == "secretProviderClass":
            yield _CLASS, str(held)
        if field in _REFERENCES and isinstance(held, dict):
            reference = cast("Mapping[str, Any]", held)
            name = reference.get("secretName") or reference.get("name")
            if name and not reference.get("optional"):
                yield _REFERENCES[field], str(name)
        yield from _named(held)
