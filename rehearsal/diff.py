"""The effect of a change of inputs on a simulated resource: none, an update, or a replacement.

Real providers have this for every property; ``resource_types.yaml`` has those of this platform's
types that force a replacement, and anything else updates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from rehearsal.resource_types import TABLES

_KUBERNETES_IDENTITY = ["metadata.name", "metadata.namespace"]


def changed_paths(old: Any, new: Any, path: str = "") -> list[str]:
    """The property paths (``a.b[0].c``) at which two plain values differ, in order."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        before, after = cast(Mapping[str, Any], old), cast(Mapping[str, Any], new)
        paths: list[str] = []
        for key in sorted({*before, *after}):
            inner = f"{path}.{key}" if path else key
            if key not in before or key not in after:
                paths.append(inner)
            elif before[key] != after[key]:
                paths += changed_paths(before[key], after[key], inner)
        return paths
    if isinstance(old, list) and isinstance(new, list):
        one, two = cast(list[Any], old), cast(list[Any], new)
        if len(one) == len(two):
            return [
                inner
                for index, (left, right) in enumerate(zip(one, two, strict=True))
                if left != right
                for inner in changed_paths(left, right, f"{path}[{index}]")
            ]
    return [] if old == new else [path]


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
