"""The effect of a change of inputs on a simulated resource: none, an update, or a replacement.

Real providers have this for every property; ``resource_types.yaml`` has those of this platform's
types that force a replacement, and anything else updates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rehearsal.protocol import is_asset
from rehearsal.resource_types import TABLES

_ABSENT = object()
_KUBERNETES_IDENTITY = ["metadata.name", "metadata.namespace"]


def changed_paths(old: Any, new: Any, path: str = "") -> list[str]:
    """The property paths (``a.b[0].c``) at which two plain values differ, in order."""
    if old == new:
        return []
    if is_asset(old) and is_asset(new) and {"hash"} <= old.keys() & new.keys():
        # Wherever the files lie (pulumi-terraform-bridge pkg/tfbridge/assets.go, by the hash).
        return [f"{path}.hash"] if old["hash"] != new["hash"] else []
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = [(f"{path}[{n}]", *pair) for n, pair in enumerate(zip(old, new, strict=True))]
    elif isinstance(old, Mapping) and isinstance(new, Mapping):
        start = f"{path}." if path else ""
        keys = sorted({*old, *new})
        pairs = [(f"{start}{k}", old.get(k, _ABSENT), new.get(k, _ABSENT)) for k in keys]
    else:
        return [path]
    return [changed for at, one, other in pairs for changed in changed_paths(one, other, at)]


def replacing(type_: str, paths: list[str], *, mutable: frozenset[str] = frozenset()) -> list[str]:
    """Those of the changed paths that force a new resource of this type.

    Args:
        type_: the resource's type token.
        paths: see ``changed_paths``.
        mutable: Kubernetes kinds whose data the provider is configured to change in place
            (``enableConfigMapMutable``, ``enableSecretMutable``).
    """
    if type_.startswith("kubernetes:"):
        kind = type_.rsplit(":", 1)[-1]
        fixed = [] if kind in mutable else TABLES["kinds"].get(kind, [])
        roots = [*_KUBERNETES_IDENTITY, *fixed]
    else:
        roots = TABLES["types"].get(type_, {}).get("replaces", [])
    below = tuple(f"{root}{separator}" for root in roots for separator in ".[")
    return [path for path in paths if path in roots or path.startswith(below)]
