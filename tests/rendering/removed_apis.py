"""Which objects ask for an API that a Kubernetes version no longer serves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rendering.objects import Object, ObjectKey

REMOVED_IN: Mapping[str, str] = {
    "apiextensions.k8s.io/v1beta1": "1.22",
    "admissionregistration.k8s.io/v1beta1": "1.22",
    "apiregistration.k8s.io/v1beta1": "1.22",
    "authentication.k8s.io/v1beta1": "1.22",
    "authorization.k8s.io/v1beta1": "1.22",
    "certificates.k8s.io/v1beta1": "1.22",
    "coordination.k8s.io/v1beta1": "1.22",
    "extensions/v1beta1": "1.22",
    "networking.k8s.io/v1beta1": "1.22",
    "rbac.authorization.k8s.io/v1beta1": "1.22",
    "scheduling.k8s.io/v1beta1": "1.22",
    "storage.k8s.io/v1beta1": "1.22",
    "autoscaling/v2beta1": "1.25",
    "batch/v1beta1": "1.25",
    "discovery.k8s.io/v1beta1": "1.25",
    "events.k8s.io/v1beta1": "1.25",
    "node.k8s.io/v1beta1": "1.25",
    "policy/v1beta1": "1.25",
    "autoscaling/v2beta2": "1.26",
    "flowcontrol.apiserver.k8s.io/v1beta1": "1.26",
    "flowcontrol.apiserver.k8s.io/v1beta2": "1.29",
    "flowcontrol.apiserver.k8s.io/v1beta3": "1.32",
}
"""API -> the first version of Kubernetes without it.

https://kubernetes.io/docs/reference/using-api/deprecation-guide/; ``storage.k8s.io/v1beta1`` kept
CSIStorageCapacity until 1.27, which no release of ours has.
"""


def unserved(objects: Iterable[Object]) -> dict[str, dict[str, tuple[str, ...]]]:
    """Objects of APIs that are gone, CRDs among them.

    Returns:
        Kubernetes version that took an API away -> the API -> ``Kind namespace/name``, sorted.
    """
    by_version: dict[str, dict[str, set[str]]] = {}
    for obj in objects:
        key = ObjectKey.of(obj)
        removed = REMOVED_IN.get(key.group_version)
        if removed is not None:
            name = f"{key.namespace}/{key.name}" if key.namespace else key.name
            apis = by_version.setdefault(removed, {})
            apis.setdefault(key.group_version, set()).add(f"{key.kind} {name}")
    return {
        version: {api: tuple(sorted(names)) for api, names in sorted(apis.items())}
        for version, apis in sorted(by_version.items())
    }
