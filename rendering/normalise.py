"""Gives rendered objects the one shape that an API server would store and never fight about.

Every rule here takes away something upstream wrote that is either refused, ignored or rewritten by
the API server or a controller; a rule never adds meaning. What the Kubernetes provider of Pulumi
should wait for is a page of its own: ``rendering.await_annotations``.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Any, cast

from rendering import await_annotations, controller_fields
from rendering.objects import CRD, WEBHOOK_KINDS, Object, ObjectKey, is_builtin_group, is_crd

CLUSTER_SCOPED_KINDS = frozenset(
    {
        "APIService",
        "CSIDriver",
        "CSINode",
        "CertificateSigningRequest",
        "ClusterRole",
        "ClusterRoleBinding",
        "ClusterTrustBundle",
        CRD,
        "DeviceClass",
        "FlowSchema",
        "IPAddress",
        "IngressClass",
        "MutatingAdmissionPolicy",
        "MutatingAdmissionPolicyBinding",
        "MutatingWebhookConfiguration",
        "Namespace",
        "Node",
        "PersistentVolume",
        "PriorityClass",
        "PriorityLevelConfiguration",
        "ResourceSlice",
        "RuntimeClass",
        "ServiceCIDR",
        "StorageClass",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "ValidatingWebhookConfiguration",
        "VolumeAttachment",
        "VolumeAttributesClass",
    }
)
"""Kinds of the API server's own groups that live outside namespaces (kubectl api-resources)."""

_PLACEHOLDER_CA = ("", "Cg==", "Cg0K")
"""Base64 of nothing and of a line break: what projects write where a CA will be injected."""


_MAPS = frozenset(
    {
        "annotations",
        "binaryData",
        "data",
        "labels",
        "limits",
        "matchLabels",
        "nodeSelector",
        "requests",
    }
)
"""Fields of built-in types that hold keys of the user's choice; any other mapping is a structure
(k8s.io/api core/v1/types.go, k8s.io/apimachinery pkg/apis/meta/v1/types.go)."""


def crd_scopes(crds: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], bool]:
    """(group, kind) -> is it namespaced?"""
    return {
        (crd["spec"]["group"], crd["spec"]["names"]["kind"]): crd["spec"]["scope"] == "Namespaced"
        for crd in crds
    }


def is_namespaced(key: ObjectKey, scopes: Mapping[tuple[str, str], bool]) -> bool | None:
    """None: a custom resource whose CRD is not in the render, so nobody here can tell."""
    if is_builtin_group(key.group):
        return key.kind not in CLUSTER_SCOPED_KINDS
    return scopes.get((key.group, key.kind))


def normalise(objects: Iterable[Object]) -> tuple[list[Object], list[Object]]:
    """Normalises in place.

    Returns:
        Objects without CRDs, and the CRDs; both in the order they came.
    """
    every = list(objects)
    crds = [obj for obj in every if is_crd(obj)]
    others = [obj for obj in every if not is_crd(obj)]
    for crd in crds:
        _strip_common(crd)
    scopes = crd_scopes(crds)
    scaled = _scaled_by_autoscalers(others)
    for obj in others:
        _strip_common(obj)
        _place(obj, scopes)
        _normalise_kind(obj)
        await_annotations.annotate_object(obj)
        if ObjectKey.of(obj) in scaled:
            # The autoscaler owns the count; two writers would undo each other for ever.
            obj["spec"].pop("replicas", None)
    return others, crds


def runtime_fields(obj: Mapping[str, Any]) -> tuple[str, ...]:
    """Paths that a controller fills in after creation, for Pulumi's ``ignore_changes``.

    Secrets rendered without data (webhook certificates), the rules of aggregated ClusterRoles
    (kube-controller-manager), and the authority that CA injectors and webhook servers write into
    webhook configurations. A field that a stack made earlier did apply is not among them: Pulumi
    would go on to apply its old value (see ``rendering.controller_fields``).
    """
    kind, group = obj.get("kind"), ObjectKey.of(obj).group
    if kind == "Secret" and group == "" and not obj.get("data") and not obj.get("stringData"):
        return ("data", "stringData")
    if kind == "ClusterRole" and "aggregationRule" in obj:
        return ("rules",)
    if kind in WEBHOOK_KINDS:
        hooks = cast("list[dict[str, Any]]", obj.get("webhooks") or [])
        return tuple(
            f"webhooks[{index}].clientConfig.caBundle"
            for index, hook in enumerate(hooks)
            if "caBundle" not in (hook.get("clientConfig") or {})
        )
    return ()


def _strip_common(obj: Object) -> None:
    obj.pop("status", None)
    _drop_nulls(obj)


def _drop_nulls(value: Any) -> None:
    """Null is how Go prints a time that was never set, and how YAML prints an empty mapping.

    The API server reads both as absent. Inside the schema of a CRD null can be a default, so only
    timestamps go there; that is what the walk does everywhere.
    """
    if isinstance(value, dict):
        mapping = cast("dict[str, Any]", value)
        if mapping.get("creationTimestamp", "") is None:
            del mapping["creationTimestamp"]
        for child in mapping.values():
            _drop_nulls(child)
    elif isinstance(value, list):
        for child in cast("list[Any]", value):
            _drop_nulls(child)


def _drop_empty(value: Any) -> None:
    """An empty list or map of a built-in type is not stored, so it would differ for ever.

    The types of k8s.io/api keep both as absent (``omitempty``) or as null (``ClusterRole.rules``),
    and nothing there reads an empty one otherwise. An empty structure is a value
    (``emptyDir: {}``, ``podSelector: {}``); the parameters of a DRA driver are the driver's own.
    """
    if isinstance(value, dict):
        mapping = cast("dict[str, Any]", value)
        for key, child in list(mapping.items()):
            if child == [] or (child == {} and key in _MAPS):
                del mapping[key]
            elif key != "opaque":
                _drop_empty(child)
    elif isinstance(value, list):
        for child in cast("list[Any]", value):
            _drop_empty(child)


def _place(obj: Object, scopes: Mapping[tuple[str, str], bool]) -> None:
    metadata: dict[str, Any] = obj.setdefault("metadata", {})
    for key in ("labels", "annotations", "namespace"):
        if key in metadata and not metadata[key]:
            del metadata[key]
    namespaced = is_namespaced(ObjectKey.of(obj), scopes)
    if namespaced is False:
        metadata.pop("namespace", None)
    elif namespaced:
        metadata.setdefault("namespace", "default")


def _normalise_kind(obj: Object) -> None:
    kind = obj["kind"]
    group = ObjectKey.of(obj).group
    if not is_builtin_group(group):
        return
    _drop_empty(obj)
    if kind == "Secret":
        _readable_secret(obj)
    elif kind == "ClusterRole" and "aggregationRule" in obj:
        obj.pop("rules", None)
    elif kind in WEBHOOK_KINDS:
        _webhook_configuration(obj)


def _readable_secret(secret: Object) -> None:
    """Text moves from ``data`` to ``stringData``, where markers and leaks can be seen."""
    data = cast("dict[str, str]", secret.pop("data", None) or {})
    text: dict[str, str] = {}
    binary: dict[str, str] = {}
    for key, encoded in data.items():
        try:
            # kustomize breaks long values into lines.
            text[key] = base64.b64decode("".join(encoded.split()), validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError, ValueError):
            binary[key] = encoded
    # The API server lets stringData win over data.
    text.update(secret.pop("stringData", None) or {})
    if binary:
        secret["data"] = binary
    if text:
        secret["stringData"] = text


def _webhook_configuration(configuration: Object) -> None:
    for hook in configuration.get("webhooks") or []:
        client = hook.get("clientConfig") or {}
        if client.get("caBundle", None) in _PLACEHOLDER_CA:
            del client["caBundle"]
    controller_fields.drop(configuration)


def _scaled_by_autoscalers(objects: Iterable[Object]) -> set[ObjectKey]:
    found: set[ObjectKey] = set()
    for obj in objects:
        if obj["kind"] == "HorizontalPodAutoscaler":
            target = obj["spec"]["scaleTargetRef"]
            namespace = str((obj.get("metadata") or {}).get("namespace") or "default")
            found.add(
                ObjectKey(target.get("apiVersion", ""), target["kind"], namespace, target["name"])
            )
    return found
