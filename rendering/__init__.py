"""Upstream sources -> kustomize -> objects -> rewritten objects -> order.

Pure functions over files and dictionaries: no Pulumi, no AWS, no cluster. ``render`` is the way in.
"""

from __future__ import annotations

from rendering.build import (
    Rendered,
    absent_sources_allowed,
    crd_bundle_path,
    journal,
    render,
    require_sources,
    write_crd_bundle,
)
from rendering.images import ImageUse
from rendering.kustomize import KustomizeFailed, KustomizeMissing
from rendering.leaks import Leak, LeakError, find_leaks
from rendering.normalise import runtime_fields
from rendering.objects import Object, ObjectKey, RenderError
from rendering.order import DuplicateObject, OrderCycle
from rendering.release import Release, ReleaseInvalid
from rendering.sources import SourceRejected, SourcesUnavailable

__all__ = [
    "DuplicateObject",
    "ImageUse",
    "KustomizeFailed",
    "KustomizeMissing",
    "Leak",
    "LeakError",
    "Object",
    "ObjectKey",
    "OrderCycle",
    "Release",
    "ReleaseInvalid",
    "RenderError",
    "Rendered",
    "SourceRejected",
    "SourcesUnavailable",
    "absent_sources_allowed",
    "crd_bundle_path",
    "find_leaks",
    "journal",
    "render",
    "require_sources",
    "runtime_fields",
    "write_crd_bundle",
]
