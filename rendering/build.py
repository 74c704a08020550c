"""From a release folder to ordered objects: the only entry point of rendering."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rendering import await_annotations, cache, images, inventory, leaks, normalise, order, sources
from rendering.assembly import assemble
from rendering.images import ImageUse
from rendering.needs import missing_of_stack
from rendering.objects import Object, ObjectKey
from rendering.release import Release

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rendered:
    """A release as objects. ``digest`` names the inputs: equal digests, equal objects."""

    objects: tuple[Object, ...]
    """In the order of creation, without CRDs."""
    crds: tuple[Object, ...]
    prerequisites: Mapping[ObjectKey, tuple[ObjectKey, ...]]
    """Direct prerequisites of each object that has any."""
    needs_crds: frozenset[ObjectKey]
    """Custom resources: the API server must know their CRDs first."""
    images: tuple[ImageUse, ...]
    digest: str


journal: list[Rendered] = []
"""Every distinct render of this process, in the order they were asked for."""

# Not a context variable: Pulumi runs a program in threads of its own.
_allowed: list[object] = []


@contextmanager
def absent_sources_allowed() -> Generator[None]:
    """Within, a release without sources renders as empty.

    Only for rehearsal: a real deployment must never leave Kubeflow out because a download failed.
    """
    _allowed.append(mark := object())
    try:
        yield
    finally:
        _allowed.remove(mark)


def require_sources(folder: Path, bundles: Path | None = None) -> None:
    """Gets every source that a stack of the release in ``folder`` renders.

    Raises:
        SourcesUnavailable: no way leads to some; it names all of them.
        SourceRejected: a source is there but is a different one.
    """
    if _allowed:
        return
    if missing := missing_of_stack(folder.parent, folder.name, bundles):
        raise sources.SourcesUnavailable(missing)


def render(
    folder: Path,
    *,
    partition: str,
    dns_suffix: str,
    registry: str | None,
    in_region_registries: Sequence[str] = (),
    cached_registries: Collection[str] | None = None,
    bundles: Path | None = None,
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

    Raises:
        RenderError: one of SourcesUnavailable, SourceRejected, ReleaseInvalid, KustomizeMissing,
            KustomizeFailed, DuplicateObject, OrderCycle, LeakError.
    """
    try:
        assembly = assemble(folder, bundles)
    except sources.SourcesUnavailable:
        if not _allowed:
            raise
        return Rendered((), (), MappingProxyType({}), frozenset(), (), digest="")
    release, tool = assembly.release, assembly.tool
    asked: dict[str, Any] = {
        "partition": partition,
        "dns_suffix": dns_suffix,
        "registry": registry,
        "in_region": sorted(in_region_registries),
        "cached": None if cached_registries is None else sorted(cached_registries),
        **assembly.inputs(),
    }
    key = cache.render_key(asked)
    rendered = _remembered(release.name, key)
    if rendered is None:
        started = time.monotonic()
        built = assembly.build(assembly.own)
        _report(release.name, f"kustomize {tool.version} has built", started)
        rendered = _rendered(built, key, asked, tuple(assembly.parts.values()))
        cache.write_render(key, _to_stored(rendered), list(rendered.crds))
        counts = (len(rendered.objects), len(rendered.crds), len(rendered.images))
        _report(release.name, "{} objects, {} CRDs, {} images".format(*counts), started)
    if all(known.digest != key for known in journal):
        journal.append(rendered)
    return rendered


def _remembered(name: str, key: str) -> Rendered | None:
    """The same render of this process or of an earlier one."""
    for known in journal:
        if known.digest == key:
            return known
    started = time.monotonic()
    stored = cache.read_render(key)
    if stored is None:
        return None
    rendered = _from_stored(key, *stored)
    _report(name, "unchanged, from the cache", started)
    return rendered


def _report(name: str, what: str, started: float) -> None:
    log.info("%s: %s after %.1f s", name, what, time.monotonic() - started)


def write_crd_bundle(crds: Sequence[Mapping[str, Any]]) -> str:
    """Writes CRDs to the cache, content-addressed; returns the sha256 that names them."""
    content = cache.canonical_json(sorted(crds, key=lambda crd: crd["metadata"]["name"]))
    digest = cache.sha256_of(content)
    path = crd_bundle_path(digest)
    if not path.exists():
        cache.write_atomically(path, content)
    return digest


def crd_bundle_path(digest: str) -> Path:
    """Where ``write_crd_bundle`` leaves the CRDs of this digest on this machine."""
    return cache.cache_folder("crds") / f"{digest}.json"


def _rendered(
    built: list[Object], key: str, asked: Mapping[str, Any], releases: Sequence[Release]
) -> Rendered:
    objects, crds = normalise.normalise(built)
    registry, keep, cached = asked["registry"], asked["in_region"], asked["cached"]
    # Before they are rewritten: the name of a copy does not always tell its source.
    pulled = inventory.complete(objects, releases, registry, keep, cached)
    if registry is not None:
        for obj in objects:
            images.rewrite(obj, registry, keep, cached)
    ordered = order.derive(objects, crds)
    await_annotations.annotate_needed(ordered.objects, ordered.prerequisites)
    found = leaks.find_leaks(
        ordered.objects,
        partition=asked["partition"],
        dns_suffix=asked["dns_suffix"],
        registry=registry,
        in_region_registries=keep,
        cached_registries=cached,
    )
    if found:
        raise leaks.LeakError(found)
    return Rendered(
        objects=ordered.objects,
        crds=tuple(sorted(crds, key=lambda crd: crd["metadata"]["name"])),
        prerequisites=MappingProxyType(dict(ordered.prerequisites)),
        needs_crds=ordered.needs_crds,
        images=pulled,
        digest=key,
    )


def _to_stored(rendered: Rendered) -> dict[str, Any]:
    number = {ObjectKey.of(obj): place for place, obj in enumerate(rendered.objects)}
    return {
        "objects": rendered.objects,
        "prerequisites": {
            str(number[key]): [number[need] for need in needs]
            for key, needs in rendered.prerequisites.items()
        },
        "needs_crds": sorted(number[key] for key in rendered.needs_crds),
        "images": [[use.source, use.target, use.where, use.needed] for use in rendered.images],
    }


def _from_stored(key: str, body: Mapping[str, Any], crds: Sequence[Object]) -> Rendered:
    keys = [ObjectKey.of(obj) for obj in body["objects"]]
    return Rendered(
        objects=tuple(body["objects"]),
        crds=tuple(crds),
        prerequisites=MappingProxyType(
            {
                keys[int(place)]: tuple(keys[need] for need in needs)
                for place, needs in body["prerequisites"].items()
            }
        ),
        needs_crds=frozenset(keys[place] for place in body["needs_crds"]),
        images=tuple(ImageUse(s, t, tuple(where), n) for s, t, where, n in body["images"]),
        digest=key,
    )
