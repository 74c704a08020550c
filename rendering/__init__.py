"""Upstream sources -> kustomize -> objects -> rewritten objects -> order.

Pure functions over files and dictionaries: no Pulumi, no AWS, no cluster. ``render`` is the entry.
"""

from __future__ import annotations

from rendering.build import Rendered, absent_sources_allowed, render, require_sources
from rendering.images import ImageUse
from rendering.kustomize import KustomizeMissing
from rendering.leaks import LeakError, find_leaks
from rendering.normalise import runtime_fields
from rendering.objects import Object, ObjectKey, RenderError
from rendering.sources import SourcesUnavailable

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
