"""The images that a release can pull: in its objects, and in the code of its programs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from images.reference import parse
from rendering.field_types import NEEDS, Needed
from rendering.images import NO_COPIES, ImageUse, Registries, inventory
from rendering.objects import Object
from rendering.release import Release

_RULES: tuple[tuple[re.Pattern[str], Needed], ...] = (
    # The pods of built-in workloads start with the install.
    (
        re.compile(
            r"(?:Deployment|StatefulSet|DaemonSet|ReplicaSet|Job|CronJob|Pod) [^#]*#"
            r"(?:.*\.)?(?:containers|initContainers)\[[^\]]+\]\.image"
        ),
        "install",
    ),
    # Istio's injector puts this proxy into the pods of every namespace with injection.
    (re.compile(r"ConfigMap [^#]*/istio-sidecar-injector#data\.values"), "install"),
    # Templates that Katib's web app offers for a new experiment.
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
    registries: Registries = NO_COPIES,
) -> tuple[ImageUse, ...]:
    """Every image that a render can pull, sorted by source.

    Args:
        objects: of the render, before or after rewriting.
        releases: the release and those it includes: their ``images`` and ``needed`` count.
        registries: which images are copied.
    """
    overrides: dict[str, Needed] = {
        key: why for release in releases for key, why in release.needed.items()
    }
    uses = {
        use.source: replace(use, needed=_needed(use, overrides))
        for use in inventory(objects, registries)
    }
    for image in (image for release in releases for image in release.images):
        uses = merged(uses, ImageUse.known(image.image, image.where, image.needed, registries))
    return tuple(uses[source] for source in sorted(uses))


def merged(uses: Mapping[str, ImageUse], more: ImageUse) -> dict[str, ImageUse]:
    """The uses by source, with one more: places add up, and the stronger need counts."""
    other = uses.get(more.source)
    if other is not None:
        where = tuple(sorted({*other.where, *more.where}))
        more = replace(more, where=where, needed=_strongest((other.needed, more.needed)))
    return {**uses, more.source: more}


def _strongest(needs: Iterable[Needed]) -> Needed:
    return min(needs, key=NEEDS.index)


def floating(source: str) -> str | None:
    """Why a reference can stand for another image later, as the end of a sentence; or None."""
    reference = parse(source)
    if reference.digest:
        return None
    if _STAGING.fullmatch(reference.name):
        return "is in a staging registry, which deletes its images"
    if reference.tag and _FLOATING_TAG.fullmatch(reference.tag):
        return f"has the tag {reference.tag}, which moves"
    return None


def floating_uses(uses: Iterable[ImageUse]) -> list[str]:
    """A sentence for every image that must be pinned, with the places that name it."""
    return [
        f"{use.source} {reason}: pin it where it stands ({'; '.join(use.where)})"
        for use in uses
        if (reason := floating(use.source))
    ]


def _needed(use: ImageUse, overrides: Mapping[str, Needed]) -> Needed:
    if use.source in overrides:
        return overrides[use.source]
    return _strongest(_needed_at(place, overrides) for place in use.where)


def _needed_at(place: str, overrides: Mapping[str, Needed]) -> Needed:
    if place in overrides:
        return overrides[place]
    for pattern, need in _RULES:
        if pattern.fullmatch(place):
            return need
    return "feature"
