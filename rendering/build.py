"""From a release folder to ordered objects: the only entry point of rendering."""

from __future__ import annotations

import gc
import logging
import shutil
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import yaml

from rendering import cache, images, kustomize, leaks, normalise, order, sources
from rendering.images import ImageUse
from rendering.objects import Object, ObjectKey, RenderError
from rendering.release import Release, folder_digest, load

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


@dataclass
class Absent:
    """What could not be rendered for want of sources."""

    reasons: dict[str, str] = field(default_factory=dict[str, str])
    """Release name -> the sentence that says how to get its sources."""


journal: list[Rendered] = []
"""Every distinct render of this process, in the order they were asked for."""

# Not a context variable: Pulumi runs a program in threads of its own.
_allowed: list[Absent] = []


@contextmanager
def absent_sources_allowed() -> Generator[Absent]:
    """Within, a release without sources renders as empty, and the yielded object remembers it.

    Only for rehearsal: a real deployment must never leave Kubeflow out because a download failed.
    """
    absent = Absent()
    _allowed.append(absent)
    try:
        yield absent
    finally:
        _allowed.remove(absent)


def render(
    folder: Path,
    *,
    partition: str,
    dns_suffix: str,
    registry: str | None,
    in_region_registries: Sequence[str] = (),
    bundles: Path | None = None,
) -> Rendered:
    """Renders the release in ``folder`` (``manifests/<...>/<release>``).

    Args:
        folder: with ``release.yaml`` and ``kustomization.yaml``, below a folder ``manifests``.
        partition: of the stack's region; decides what counts as a leak.
        dns_suffix: of that partition's service hosts.
        registry: where every image is to come from (``<<registry.host>>``); None: images stay.
        in_region_registries: registries whose images need no copy.
        bundles: a folder of source archives, before all other ways.

    Raises:
        RenderError: one of SourcesUnavailable, SourceRejected, ReleaseInvalid, KustomizeMissing,
            KustomizeFailed, DuplicateObject, OrderCycle, LeakError.
    """
    folder = folder.resolve()
    project, inside = _project_of(folder)
    parts = {inside: load(folder)}
    release = parts[inside]
    for included in release.includes:
        parts[Path("manifests") / included] = load(project / "manifests" / included)
    asked: dict[str, Any] = {
        "partition": partition,
        "dns_suffix": dns_suffix,
        "registry": registry,
        "in_region": sorted(in_region_registries),
        "folders": {str(part): folder_digest(project / part) for part in parts},
    }
    try:
        wanted = {s.name: s for part in parts.values() for s in part.sources}
        obtained = {n: sources.obtain(s, project, bundles) for n, s in wanted.items()}
    except sources.SourcesUnavailable as error:
        if not _allowed:
            raise
        _allowed[-1].reasons[release.name] = str(error)
        return Rendered((), (), MappingProxyType({}), frozenset(), (), digest="")
    tool = kustomize.find(release.kustomize)
    asked["sources"] = {name: source.identity for name, source in obtained.items()}
    asked["kustomize"] = tool.version
    key = cache.render_key(asked)
    rendered = _remembered(release.name, key)
    if rendered is None:
        started = time.monotonic()
        text = _built(project, parts, obtained, tool)
        _report(release.name, f"kustomize {tool.version} has built", started)
        rendered = _rendered(text, key, asked)
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


def crd_bundle(rendered: Rendered) -> tuple[str, Path]:
    """The CRDs of a render as a file named by its content.

    Returns:
        The sha256 of the file, and the file: a JSON list of CRDs, sorted by name.
    """
    digest = write_crd_bundle(rendered.crds)
    return digest, crd_bundle_path(digest)


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


def crd_digests(rendered: Rendered) -> dict[str, str]:
    """Name of each CRD -> sha256 of its canonical JSON."""
    return {
        crd["metadata"]["name"]: cache.sha256_of(cache.canonical_json(crd))
        for crd in sorted(rendered.crds, key=lambda crd: crd["metadata"]["name"])
    }


def _project_of(folder: Path) -> tuple[Path, Path]:
    """The project root and the folder's way below it, which relative bases count on."""
    for parent in folder.parents:
        if parent.name == "manifests":
            return parent.parent, folder.relative_to(parent.parent)
    raise RenderError(f"{folder} must be below a folder named manifests, as its bases expect")


def _built(
    project: Path,
    parts: Mapping[Path, Release],
    obtained: Mapping[str, sources.Unpacked],
    tool: kustomize.Kustomize,
) -> str:
    """Builds the first of ``parts``, in a copy that has the others and all sources beside it."""
    with tempfile.TemporaryDirectory(prefix="kubeflow-render-") as temporary:
        # kustomize compares real paths, and the temporary folder can be behind a link (macOS).
        work = Path(temporary).resolve()
        (work / "sources").mkdir()
        for name, source in obtained.items():
            (work / "sources" / name).symlink_to(source.folder, target_is_directory=True)
        for inside, part in parts.items():
            shutil.copytree(project / inside, work / inside)
            for item in part.files:
                _copy(obtained, item.source, item.path, work / inside, item.to)
        return kustomize.build(tool, work / next(iter(parts)))


def _copy(
    obtained: Mapping[str, sources.Unpacked], source: str, path: str, copy: Path, to: str
) -> None:
    if source not in obtained:
        raise RenderError(f"release.yaml copies {path} from {source}, which is none of its sources")
    origin, target = obtained[source].folder / path, copy / to
    if not origin.resolve().is_relative_to(obtained[source].folder.resolve()):
        raise RenderError(f"release.yaml copies {path}, which is outside {source}")
    if not target.resolve().is_relative_to(copy):
        raise RenderError(f"release.yaml copies {path} to {to}, which is outside the release")
    if not origin.exists():
        raise RenderError(f"release.yaml copies {path} from {source}, which does not have it")
    target.parent.mkdir(parents=True, exist_ok=True)
    if origin.is_dir():
        shutil.copytree(origin, target, dirs_exist_ok=True)
    else:
        shutil.copyfile(origin, target)


def _parsed(text: str) -> list[Object]:
    # Nothing here is garbage until all is read: looking for some doubles the time (1.8 s to 2.7 s).
    gc.disable()
    try:
        documents = yaml.load_all(text, Loader=yaml.CSafeLoader)
        return [cast("Object", document) for document in documents if document]
    finally:
        gc.enable()


def _rendered(text: str, key: str, asked: Mapping[str, Any]) -> Rendered:
    objects, crds = normalise.normalise(_parsed(text))
    registry, keep = asked["registry"], asked["in_region"]
    if registry is not None:
        for obj in objects:
            images.rewrite(obj, registry, keep)
    ordered = order.derive(objects, crds)
    by_key = {ObjectKey.of(obj): obj for obj in ordered.objects}
    for needs in ordered.prerequisites.values():
        for need in needs:
            if need.kind in normalise.WEBHOOK_KINDS and normalise.lacks_ca(by_key[need]):
                normalise.wait_for_ca(by_key[need])
    found = leaks.find_leaks(
        ordered.objects,
        partition=asked["partition"],
        dns_suffix=asked["dns_suffix"],
        registry=registry,
        in_region_registries=keep,
    )
    if found:
        raise leaks.LeakError(found)
    return Rendered(
        objects=ordered.objects,
        crds=tuple(sorted(crds, key=lambda crd: crd["metadata"]["name"])),
        prerequisites=MappingProxyType(dict(ordered.prerequisites)),
        needs_crds=ordered.needs_crds,
        images=images.inventory(ordered.objects, registry, keep),
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
        "images": [[use.source, use.target, use.where] for use in rendered.images],
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
        images=tuple(ImageUse(s, t, tuple(where)) for s, t, where in body["images"]),
        digest=key,
    )
