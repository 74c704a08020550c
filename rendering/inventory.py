"""What a release can pull, and why: images that objects name, and those only programs know."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from images.reference import parse
from rendering.images import ImageUse, inventory
from rendering.objects import Object
from rendering.release import NEEDS, Needed, Release

_RULES: tuple[tuple[re.Pattern[str], Needed], ...] = (
    # The pods of built-in workloads start with the install.
    (
        re.compile(
            r"(?:Deployment|StatefulSet|DaemonSet|ReplicaSet|Job|CronJob|Pod) [^#]*#"
            r"(?:.*\.)?(?:containers|initContainers)\[[^\]]+\]\.image"
        ),
        "install",
    ),
    # Istio's injector puts this proxy into the pods of every namespace that asks for it.
    (re.compile(r"ConfigMap [^#]*/istio-sidecar-injector#data\.values"), "install"),
    # Katib offers these templates to people who write their first experiment.
    (re.compile(r"ConfigMap [^#]*/trial-templates#.*"), "example"),
)

_FLOATING_TAG = re.compile(
    r"(?:latest|nightly)(?:-[a-z]+)*|main|master|head|dev|devel|edge|canary|snapshot", re.IGNORECASE
)
# Kubernetes' staging registries delete images after 90 days (kubernetes/registry.k8s.io docs,
# kubernetes/k8s.io registry.k8s.io/README.md).
_STAGING = re.compile(r"gcr\.io/k8s-staging-[^/]+/.*|[a-z0-9-]+-docker\.pkg\.dev/k8s-staging-.*")


def complete(
    objects: Iterable[Object],
    releases: Sequence[Release],
    registry: str | None = None,
    keep: Sequence[str] = (),
    cached: Collection[str] | None = None,
) -> tuple[ImageUse, ...]:
    """Every image that these objects, made of these releases, can pull; sorted by source.

    Args:
        objects: as rendered, before or after rewriting.
        releases: the release and those it includes: their ``images`` and ``needed`` count.
        registry: see ``images.inventory``.
        keep: likewise.
        cached: likewise.
    """
    overrides: dict[str, Needed] = {
        key: why for release in releases for key, why in release.needed.items()
    }
    uses = {
        use.source: replace(use, needed=_needed(use, overrides))
        for use in inventory(objects, registry, keep, cached)
    }
    for image in (image for release in releases for image in release.images):
        known = ImageUse.known(
            image.image, image.where, image.needed, registry, keep, cached=cached
        )
        uses = merged(uses, known)
    return tuple(uses[source] for source in sorted(uses))


def merged(uses: Mapping[str, ImageUse], more: ImageUse) -> dict[str, ImageUse]:
    """The uses by source, with one more: places add up, and the stronger need counts."""
    known = uses.get(more.source)
    if known is not None:
        where = tuple(sorted({*known.where, *more.where}))
        more = replace(more, where=where, needed=strongest((known.needed, more.needed)))
    return {**uses, more.source: more}


def strongest(needs: Iterable[Needed]) -> Needed:
    """install before feature before example."""
    return min(needs, key=NEEDS.index)


def floating(source: str) -> str | None:
    """Why an image is not the same one tomorrow, as the end of a sentence; None when it is."""
    reference = parse(source)
    if reference.digest:
        return None
    if _STAGING.fullmatch(reference.name):
        return "is in a staging registry, which deletes what it holds"
    if reference.tag and _FLOATING_TAG.fullmatch(reference.tag):
        return f"has the tag {reference.tag}, which moves"
    return None


def floating_uses(uses: Iterable[ImageUse]) -> list[str]:
    """A sentence for every image that somebody must pin, with the places that name it."""
    return [
        f"{use.source} {reason}: pin it where it stands ({'; '.join(use.where)})"
        for use in uses
        if (reason := floating(use.source))
    ]


def _needed(use: ImageUse, overrides: Mapping[str, Needed]) -> Needed:
    if use.source in overrides:
        return overrides[use.source]
    return strongest(_needed_at(place, overrides) for place in use.where)


def _needed_at(place: str, overrides: Mapping[str, Needed]) -> Needed:
    if place in overrides:
        return overrides[place]
    for pattern, need in _RULES:
        if pattern.fullmatch(place):
            return need
    return "feature"
