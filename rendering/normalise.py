"""Gives rendered objects the one shape that an API server stores.

Every rule removes what the API server or a controller refuses, ignores or rewrites; a rule never
adds meaning. The annotations for Pulumi's provider are in ``rendering.await_annotations``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from rendering import await_annotations, controller_fields
from rendering.objects import (
    KUBERNETES,
    WEBHOOK_KINDS,
    Object,
    ObjectKey,
    decoded,
    is_builtin_group,
    is_crd,
)

_PLACEHOLDER_CA = ("", "Cg==", "Cg0K")
"""Base64 of nothing and of a line break: upstreams write them where a CA will be injected."""

_MAPS = frozenset({"annotations", "binaryData", "data", "labels"}) | {
    "limits",
    "matchLabels",
    "nodeSelector",
    "requests",
}
"""Fields of built-in types that hold keys of the user's choice; any other mapping is a structure
(k8s.io/api core/v1/types.go, k8s.io/apimachinery pkg/apis/meta/v1/types.go)."""


def crd_scopes(crds: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], bool]:
    """(group, kind) -> whether it is namespaced."""
    return {
        (crd["spec"]["group"], crd["spec"]["names"]["kind"]): crd["spec"]["scope"] == "Namespaced"
        for crd in crds
    }


def is_namespaced(key: ObjectKey, scopes: Mapping[tuple[str, str], bool]) -> bool | None:
    """Whether a kind is namespaced; None for a custom resource whose CRD is not in the render."""
    if is_builtin_group(key.group):
        return key.kind not in KUBERNETES["cluster_scoped"]
    return scopes.get((key.group, key.kind))


def normalise(objects: Iterable[Object]) -> tuple[list[Object], list[Object]]:
    """Normalises in place.

    Returns:
        Objects without CRDs, and the CRDs; both in the order they came.
    """
    every = list(objects)
    for obj in every:
        obj.pop("status", None)
        _drop(obj, _is_unset_time)
    crds = [obj for obj in every if is_crd(obj)]
    others = [obj for obj in every if not is_crd(obj)]
    scopes = crd_scopes(crds)
    scaled = autoscalers(others)
    for obj in others:
        _place(obj, scopes)
        if is_builtin_group(ObjectKey.of(obj).group):
            _normalise_builtin(obj)
        await_annotations.annotate_object(obj)
        if ObjectKey.of(obj) in scaled:
            # The autoscaler owns the count; a second writer would overwrite it at every update.
            obj["spec"].pop("replicas", None)
    return others, crds


def runtime_fields(obj: Mapping[str, Any]) -> tuple[str, ...]:
    """Paths that a controller fills in after creation, for Pulumi's ``ignore_changes``.

    Secrets rendered without data (webhook certificates), the rules of aggregated ClusterRoles
    (kube-controller-manager), and the authority that CA injectors and webhook servers write into
    webhook configurations. A field that a stack has applied before is not among them: Pulumi would
    go on to apply its old value (see ``rendering.controller_fields``).
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


def _drop(value: Any, drops: Callable[[str, Any], bool]) -> None:
    """Removes the entries of every mapping that ``drops`` selects by key and value.

    The parameters of a DRA driver (``opaque``) have a format of the driver's own and stay.
    """
    if isinstance(value, dict):
        mapping = cast("dict[str, Any]", value)
        for key, child in list(mapping.items()):
            if drops(key, child):
                del mapping[key]
            elif key != "opaque":
                _drop(child, drops)
    elif isinstance(value, list):
        for child in cast("list[Any]", value):
            _drop(child, drops)


def _is_unset_time(key: str, value: Any) -> bool:
    """Go writes a time that was never set as null, which the API server reads as absent.

    Only this timestamp is removed, because inside the schema of a CRD null can be a default.
    """
    return key == "creationTimestamp" and value is None


def _is_not_stored(key: str, value: Any) -> bool:
    """An empty list or map of a built-in type is not stored, so it would differ at every update.

    The types of k8s.io/api keep both as absent (``omitempty``) or as null (``ClusterRole.rules``),
    and nothing there reads an empty one otherwise. An empty structure is a value
    (``emptyDir: {}``, ``podSelector: {}``).
    """
    return value == [] or (value == {} and key in _MAPS)


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


def _normalise_builtin(obj: Object) -> None:
    _drop(obj, _is_not_stored)
    if obj["kind"] == "Secret":
        _readable_secret(obj)
    elif obj["kind"] == "ClusterRole" and "aggregationRule" in obj:
        obj.pop("rules", None)
    elif obj["kind"] in WEBHOOK_KINDS:
        for hook in obj.get("webhooks") or []:
            client = hook.get("clientConfig") or {}
            if client.get("caBundle", None) in _PLACEHOLDER_CA:
                del client["caBundle"]
        controller_fields.drop(obj)


def _readable_secret(secret: Object) -> None:
    """Text moves from ``data`` to ``stringData``, where markers and leaks are found."""
    data = cast("dict[str, str]", secret.pop("data", None) or {})
    texts = {key: decoded(encoded) for key, encoded in data.items()}
    # The API server lets stringData win over data.
    text = {
        **{key: value for key, value in texts.items() if value is not None},
        **(secret.pop("stringData", None) or {}),
    }
    if binary := {key: encoded for key, encoded in data.items() if texts[key] is None}:
        secret["data"] = binary
    if text:
        secret["stringData"] = text


def autoscalers(objects: Iterable[Object]) -> dict[ObjectKey, Object]:
    """Workload -> the HorizontalPodAutoscaler that scales it."""
    scaled: dict[ObjectKey, Object] = {}
    for obj in objects:
        if obj["kind"] == "HorizontalPodAutoscaler":
            target = obj["spec"]["scaleTargetRef"]
            namespace = str((obj.get("metadata") or {}).get("namespace") or "default")
            version = target.get("apiVersion", "")
            scaled[ObjectKey(version, target["kind"], namespace, target["name"])] = obj
    return scaled
