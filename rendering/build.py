"""From a release folder to ordered objects: the only entry point of rendering."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rendering import cache, database_users, optional, patches, sources
from rendering.assembly import assemble
from rendering.chart import chart_path
from rendering.crd_bundle import CrdBundle
from rendering.images import ImageUse, Registries
from rendering.machine_faults import machine_faults_reported
from rendering.needs import missing_of_stack
from rendering.objects import ObjectKey
from rendering.release import load
from rendering.rendered import Rendered, rendered

log = logging.getLogger(__name__)


# One entry per block of absent_sources_allowed that runs. A context variable would not do, because
# Pulumi runs a program in threads of its own.
_rehearsals: list[None] = []


@contextmanager
def absent_sources_allowed() -> Generator[None]:
    """Within the block, a release without sources renders as empty.

    Only for rehearsal: a deployment must fail when a download fails, not leave Kubeflow out.
    """
    _rehearsals.append(None)
    try:
        yield
    finally:
        _rehearsals.pop()


@machine_faults_reported()
def require_sources(folder: Path, bundles: Path | None = None) -> None:
    """Gets every source that a stack of the release in ``folder`` renders.

    Raises:
        SourcesUnavailable: sources are out of reach; the message names all of them.
        SourceRejected: a source is there but is a different one.
        MachineFault: the cache cannot be written.
    """
    if not _rehearsals and (missing := missing_of_stack(folder.parent, folder.name, bundles)):
        raise sources.SourcesUnavailable(missing)


@machine_faults_reported()
def render(
    folder: Path,
    *,
    partition: str,
    dns_suffix: str,
    registry: str | None,
    in_region_registries: Sequence[str] = (),
    cached_registries: Collection[str] | None = None,
    bundles: Path | None = None,
    high_availability: bool = False,
    optional_parts: Collection[str] | None = None,
    versions: Mapping[str, str] | None = None,
) -> Rendered:
    """Renders the release in ``folder`` (``manifests/<...>/<release>``).

    Args:
        folder: with ``release.yaml`` and ``kustomization.yaml``, below a folder ``manifests``.
        partition: of the stack's region; decides what counts as a leak.
        dns_suffix: of that partition's service hosts.
        registry: where every image is to come from (``<<image.prefix>>``); None: images stay.
        in_region_registries: registries whose images need no copy.
        cached_registries: the only ones whose images ``registry`` serves; None: it serves all.
        bundles: a folder of source archives, before all other ways.
        high_availability: two pods of what the platform stops without (``availability``).
        optional_parts: names of the parts (``Release.optional``) that are rendered; None: all.
        versions: component -> a version of ``Release.patches``; None: the objects' own, and the
            inventory has the images of all.

    Raises:
        RenderError: one of SourcesUnavailable, SourceRejected, ReleaseInvalid, KustomizeMissing,
            KustomizeFailed, DuplicateObject, OrderCycle, LeakError, MachineFault.
    """
    try:
        assembly = assemble(folder, bundles)
    except sources.SourcesUnavailable:
        if not _rehearsals:
            raise
        release = load(folder)
        chart = chart_path(release.name) if release.chart else ""
        return Rendered((), (), MappingProxyType({}), (), digest="", chart=chart)
    inputs: dict[str, Any] = {
        "partition": partition,
        "dns_suffix": dns_suffix,
        "registry": registry,
        "in_region": sorted(in_region_registries),
        "cached": None if cached_registries is None else sorted(cached_registries),
        "high_availability": high_availability,
        "left_out": sorted(optional.left_out(assembly.release.optional, optional_parts)),
        "versions": None if versions is None else dict(versions),
        **assembly.inputs(),
    }
    digest = cache.sha256_of(cache.canonical_json({**inputs, "code": cache.code_digest()}))
    started = time.monotonic()

    def report(what: str) -> None:
        log.info("%s: %s after %.1f s", assembly.release.name, what, time.monotonic() - started)

    laid_out = assembly.lay_out_chart()
    stored = cache.read("render", digest)
    if stored and (result := _from_stored(digest, stored)):
        report("unchanged, from the cache")
        return replace(result, chart=laid_out)
    built = assembly.build(assembly.own)
    built = optional.without(built, assembly.release.optional, optional_parts)
    database_users.write(built, database_users.users_of(assembly.release, optional_parts))
    report(f"kustomize {assembly.tool.version} has built")
    if versions is not None:
        patches.choose(built, assembly.release.patches, versions)
    parts = tuple(optional.with_images(part, optional_parts) for part in assembly.parts.values())
    if versions is None:
        parts = tuple(patches.with_images(part, built) for part in parts)
    result = rendered(
        built,
        digest=digest,
        partition=partition,
        dns_suffix=dns_suffix,
        registries=Registries(registry, inputs["in_region"], inputs["cached"]),
        releases=parts,
        replicated={name for part in parts for name in part.replicated}
        if high_availability
        else None,
    )
    crds = CrdBundle.of(result.crds)
    cache.write("render", digest, _to_stored(result, crds))
    counts = f"{len(result.objects)} objects, {len(crds)} CRDs"
    report(f"{counts}, {len(result.images)} images")
    return replace(result, crds=crds, chart=laid_out)


def _to_stored(result: Rendered, crds: CrdBundle) -> dict[str, Any]:
    number = {ObjectKey.of(obj): place for place, obj in enumerate(result.objects)}
    return {
        "objects": result.objects,
        "crds": [crds.digest, dict(crds.digests)],
        "prerequisites": [
            [number[key], [number[need] for need in needs]]
            for key, needs in result.prerequisites.items()
        ],
        "images": [astuple(use) for use in result.images],
    }


def _from_stored(digest: str, stored: Mapping[str, Any]) -> Rendered | None:
    """A render of the cache; None: the file of its CRDs is missing or damaged."""
    crds = CrdBundle.stored(*stored["crds"])
    if crds is None:
        return None
    keys = [ObjectKey.of(obj) for obj in stored["objects"]]
    prerequisites = {
        keys[place]: tuple(keys[need] for need in needs) for place, needs in stored["prerequisites"]
    }
    uses = (ImageUse(s, t, tuple(where), needed) for s, t, where, needed in stored["images"])
    return Rendered(
        tuple(stored["objects"]),
        crds,
        MappingProxyType(prerequisites),
        tuple(uses),
        digest,
    )
