"""Upstream sources -> kustomize -> objects -> rewritten objects -> order.

Pure functions over files and dictionaries: no Pulumi, no AWS, no cluster. ``render`` is the entry.
Whoever imports one module of it, as the image mirror does, loads no code for releases and sources.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rendering.build import absent_sources_allowed, render, require_sources
    from rendering.images import ImageUse
    from rendering.kustomize import KustomizeMissing
    from rendering.leaks import LeakError, find_leaks
    from rendering.normalise import runtime_fields
    from rendering.objects import Object, ObjectKey, RenderError
    from rendering.rendered import Rendered
    from rendering.sources import SourcesUnavailable

_MODULES = {
    "ImageUse": "images",
    "KustomizeMissing": "kustomize",
    "LeakError": "leaks",
    "Object": "objects",
    "ObjectKey": "objects",
    "RenderError": "objects",
    "Rendered": "rendered",
    "SourcesUnavailable": "sources",
    "absent_sources_allowed": "build",
    "find_leaks": "leaks",
    "render": "build",
    "require_sources": "build",
    "runtime_fields": "normalise",
}

__all__ = [
    "ImageUse",
    "KustomizeMissing",
    "LeakError",
    "Object",
    "ObjectKey",
    "RenderError",
    "Rendered",
    "SourcesUnavailable",
    "absent_sources_allowed",
    "find_leaks",
    "render",
    "require_sources",
    "runtime_fields",
]


def __getattr__(name: str) -> Any:
    """The names above, at their first use."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
