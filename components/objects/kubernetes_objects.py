"""Registers any Kubernetes object as one Pulumi resource, and replaces the markers in it.

The generic ``pulumi.CustomResource`` with the SDK's own type token passes an object unchanged, also
while values are unknown and before a cluster exists; ``apiextensions.CustomResource`` passes only
``metadata`` and ``spec`` and silently lost fields in 303 of 653 Kubeflow objects
(docs/decisions/0003-objects-are-generic-resources.md).
"""

from __future__ import annotations

import base64
import importlib.metadata
import re
from collections.abc import Mapping
from typing import Any, cast

import pulumi

from rendering import runtime_fields
from rendering.await_annotations import PATCH_FORCE
from rendering.objects import pod_template

_MARKER = re.compile(r"<<([a-z][a-z0-9.-]*)>>")
_PLUGIN_VERSION = importlib.metadata.version("pulumi-kubernetes")


class UnboundValue(ValueError):
    """A manifest has a marker without a value."""


def type_token(obj: Mapping[str, Any]) -> str:
    """The resource type, from which the Kubernetes provider derives the GroupVersionKind."""
    version = str(obj["apiVersion"])
    return f"kubernetes:{version if '/' in version else f'core/{version}'}:{obj['kind']}"


def object_name(obj: Mapping[str, Any]) -> str:
    """``namespace/name``, or the name alone: unique within a type, and readable in a preview."""
    metadata = cast("dict[str, str]", obj["metadata"])
    namespace = metadata.get("namespace")
    return f"{namespace}/{metadata['name']}" if namespace else metadata["name"]


def bind(value: Any, values: Mapping[str, pulumi.Input[str]]) -> Any:
    """Replace every marker ``<<name>>`` in the strings of ``value``, its keys too.

    Only a string with an Output among its values becomes an Output, so that a preview with an
    unknown database host shows the other fields of the object.

    Raises:
        UnboundValue: a marker has no value.
    """
    if isinstance(value, str):
        return _bind_text(value, values)
    if isinstance(value, Mapping):
        items = cast("Mapping[str, Any]", value).items()
        return {_bind_key(key, values): bind(item, values) for key, item in items}
    if isinstance(value, (list, tuple)):
        return [bind(item, values) for item in cast("list[Any]", value)]
    return value


def _bind_key(key: str, values: Mapping[str, pulumi.Input[str]]) -> str:
    bound = _bind_text(key, values)
    if not isinstance(bound, str):
        raise UnboundValue(f"{key} is a key in a manifest, and its value is known too late for one")
    return bound


def _bind_text(text: str, values: Mapping[str, pulumi.Input[str]]) -> pulumi.Input[str]:
    pieces = _MARKER.split(text)
    if len(pieces) == 1:
        return text
    unknown = [name for name in pieces[1::2] if name not in values]
    if unknown:
        raise UnboundValue(
            f"<<{unknown[0]}>> is in a manifest and the stack has no such value: "
            f"use one of {', '.join(sorted(values))}."
        )
    parts = [values[piece] if index % 2 else piece for index, piece in enumerate(pieces)]
    if all(isinstance(part, str) for part in parts):
        return "".join(cast("list[str]", parts))
    return pulumi.Output.concat(*parts)


def with_encoded_secret(obj: dict[str, Any]) -> dict[str, Any]:
    """A Secret's ``stringData`` as ``data``, each value a Pulumi secret; other objects unchanged.

    The API server merges ``stringData`` into ``data``; every refresh would show a difference.
    """
    if obj.get("kind") != "Secret" or obj.get("apiVersion") != "v1":
        return obj
    plain = cast("dict[str, pulumi.Input[str]]", obj.get("stringData") or {})
    encoded = {key: pulumi.Output.from_input(text).apply(_base64) for key, text in plain.items()}
    data = {**(obj.get("data") or {}), **encoded}
    rest = {key: value for key, value in obj.items() if key not in ("stringData", "data")}
    secrets = {key: pulumi.Output.secret(value) for key, value in data.items()}
    return {**rest, "data": secrets} if secrets else rest


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _forced(obj: dict[str, Any]) -> dict[str, Any]:
    metadata = obj["metadata"]
    annotations = {PATCH_FORCE: "true", **(metadata.get("annotations") or {})}
    return {**obj, "metadata": {**metadata, "annotations": annotations}}


def register(
    obj: dict[str, Any],
    *,
    name: str | None = None,
    hooks: pulumi.ResourceHookBinding | None = None,
    opts: pulumi.ResourceOptions,
) -> pulumi.CustomResource:
    """Register one object; ``name`` defaults to ``namespace/name``.

    A workload gets ``hooks`` (``components.objects.unready_pods``).

    Fields that a controller writes (a webhook's caBundle, an aggregated role's rules, a
    certificate) are ignored, so that a preview of an unchanged stack shows no change. A value that
    somebody edited with kubectl is written again: without force the API server refuses the whole
    object, also in a preview (pulumi-kubernetes provider/pkg/await/await.go, patchForce).
    """
    own = pulumi.ResourceOptions(
        version=_PLUGIN_VERSION,
        ignore_changes=list(runtime_fields(obj)) or None,
        hooks=hooks if pod_template(obj) is not None else None,
    )
    return pulumi.CustomResource(
        type_token(obj),
        name or object_name(obj),
        props=_forced(with_encoded_secret(obj)),
        opts=pulumi.ResourceOptions.merge(opts, own),
    )
