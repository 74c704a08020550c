"""Custom resources in a rehearsal: a field that the cluster's CRD does not declare is refused.

As an API server does at a server-side apply, dry runs included (k8s.io/apiserver
pkg/endpoints/handlers/fieldmanager). Enums, patterns and rules of a schema are not looked at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any, cast

from rehearsal.account import Account
from rendering.objects import Object, ObjectKey, RenderError

CRDS = "pulumi-python:dynamic:CustomResourceDefinitions"
_OF_EVERY_OBJECT = frozenset({"apiVersion", "kind", "metadata"})
Schemas = Mapping[tuple[str, str], Any]
"""``(<group>/<version>, <kind>)`` -> the schema of a version that is served."""


def schemas_of(crds: Iterable[Object]) -> Schemas:
    """The schemas of CRDs; those of v1beta1, which keep every field, have none."""
    return {
        (f"{crd['spec']['group']}/{version['name']}", crd["spec"]["names"]["kind"]): version[
            "schema"
        ]["openAPIV3Schema"]
        for crd in crds
        if crd["apiVersion"] == "apiextensions.k8s.io/v1"
        for version in crd["spec"].get("versions", ())
        if version["served"]
    }


def undeclared(obj: Object, schemas: Schemas) -> list[str]:
    """The fields of an object that its schema lacks, the outermost ones; none without a schema."""
    schema = schemas.get((obj["apiVersion"], obj["kind"]))
    if schema is None:
        return []
    own = {key: value for key, value in obj.items() if key not in _OF_EVERY_OBJECT}
    return sorted(set(_undeclared(own, schema, "")))


def _undeclared(value: Any, schema: Mapping[str, Any], at: str) -> Iterator[str]:
    if isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from _undeclared(item, schema.get("items") or {}, at)
    if not isinstance(value, dict):
        return
    declared, others = schema.get("properties") or {}, schema.get("additionalProperties")
    free = others is True or schema.get("x-kubernetes-preserve-unknown-fields")
    embedded = _OF_EVERY_OBJECT if schema.get("x-kubernetes-embedded-resource") else ()
    for key, inner in cast("dict[str, Any]", value).items():
        if key in declared:
            yield from _undeclared(inner, declared[key], f"{at}.{key}")
        elif isinstance(others, dict):
            yield from _undeclared(inner, cast("dict[str, Any]", others), f"{at}.{key}")
        elif not free and key not in embedded:
            yield f"{at}.{key}"


def apply(accounts: Account, name: str, inputs: Mapping[str, Any]) -> None:
    """Stores which CRDs a cluster has; ``name`` is that of their resource."""
    accounts.apply_crds(_server(inputs["kubeconfig"]), name, inputs["bundle"])


def forget(accounts: Account, name: str, inputs: Mapping[str, Any]) -> None:
    """Stores that they have gone with the cluster, which is deleted after them."""
    accounts.apply_crds(_server(inputs["kubeconfig"]), name, "")


def refusal(accounts: Account, kubeconfig: str, obj: Object) -> str | None:
    """The sentence of the API server; None: it takes the object."""
    for bundle in accounts.crds_of(_server(kubeconfig)):
        if missing := undeclared(obj, _schemas(bundle)):
            key = ObjectKey.of(obj)
            fields = ", ".join(f"{path}: field not declared in schema" for path in missing)
            return (
                f"failed to create typed patch object ({key.namespace}/{key.name}; "
                f"{key.group_version}, Kind={key.kind}): {fields}"
            )
    return None


def _server(kubeconfig: str) -> str:
    return hashlib.sha256(kubeconfig.encode()).hexdigest()


@lru_cache(maxsize=8)
def _schemas(bundle: str) -> Schemas:
    # Imported here: most previews change no custom resource.
    from rendering.crd_bundle import read_crd_bundle

    with suppress(RenderError):  # an emptied cache
        return schemas_of(read_crd_bundle(bundle))
    return {}
