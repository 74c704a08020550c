"""Objects that a pod spec names in its own namespace, in every spelling of core/v1 PodSpec."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rendering.objects import containers_of

SECRETS_STORE_DRIVER = "secrets-store.csi.k8s.io"
"""The CSIDriver of the Secrets Store (secrets-store-csi-driver, deploy/csidriver.yaml)."""


@dataclass(frozen=True)
class Named:
    """An object that a pod spec names; a pod starts without an ``optional`` one."""

    kind: str
    name: str
    optional: bool = False


def account_of(spec: Mapping[str, Any]) -> str:
    """The ServiceAccount that the pod runs as; the API server fills in ``default``."""
    return str(spec.get("serviceAccountName") or spec.get("serviceAccount") or "default")


def named_by(spec: Mapping[str, Any]) -> Iterator[Named]:
    """Every ConfigMap, Secret and PersistentVolumeClaim that a pod spec names."""
    for pull in spec.get("imagePullSecrets") or []:
        # The kubelet starts a pod without its pull secrets.
        yield Named("Secret", str(pull.get("name")), optional=True)
    for container in containers_of(spec):
        for variable in container.get("env") or []:
            source = variable.get("valueFrom") or {}
            yield from _reference("ConfigMap", source.get("configMapKeyRef"))
            yield from _reference("Secret", source.get("secretKeyRef"))
        for source in container.get("envFrom") or []:
            yield from _reference("ConfigMap", source.get("configMapRef"))
            yield from _reference("Secret", source.get("secretRef"))
    for volume in spec.get("volumes") or []:
        yield from _reference("PersistentVolumeClaim", volume.get("persistentVolumeClaim"))
        for source in (volume, *((volume.get("projected") or {}).get("sources") or [])):
            yield from _reference("ConfigMap", source.get("configMap"))
            yield from _reference("Secret", source.get("secret"))
        yield from _reference("Secret", (volume.get("csi") or {}).get("nodePublishSecretRef"))


def drivers_of(spec: Mapping[str, Any]) -> set[str]:
    """CSI drivers of the inline volumes of the pod."""
    return {str(csi.get("driver")) for csi in _csi_volumes(spec)}


def classes_of(spec: Mapping[str, Any]) -> set[str]:
    """SecretProviderClasses whose secrets the pod mounts."""
    return {
        str((csi.get("volumeAttributes") or {}).get("secretProviderClass"))
        for csi in _csi_volumes(spec)
        if csi.get("driver") == SECRETS_STORE_DRIVER
    }


def _csi_volumes(spec: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for volume in spec.get("volumes") or []:
        if volume.get("csi"):
            yield volume["csi"]


def _reference(kind: str, reference: Mapping[str, Any] | None) -> Iterator[Named]:
    if reference:
        # The field is secretName or claimName in volumes, name elsewhere.
        name = reference.get("secretName") or reference.get("claimName") or reference.get("name")
        yield Named(kind, str(name), bool(reference.get("optional")))
