"""The images that a stack has of its release: those of chosen parts, in chosen versions."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from images.reference import parse
from rendering import optional, patches
from rendering.lock import LockedImage
from rendering.release import Release


def installed(
    release: Release,
    images: Sequence[LockedImage],
    parts: Collection[str],
    versions: Mapping[str, str],
) -> list[LockedImage]:
    """The images of a lock that a stack has.

    Args:
        release: with all of its optional parts and patches.
        images: of its lock.
        parts: names of the optional parts that the stack has.
        versions: component -> version, chosen by the stack.

    Returns:
        Each with the places that name it in the stack. One of a chosen version has the places of
        the image that it replaces, and no digest where the lock is older than the version.
    """
    gone = optional.left_out(release.optional, parts).values()
    by_choice = {
        patches.where(component, version)
        for component, patch in release.patches.items()
        for version in patch.versions
    }
    locked = {image.source: image for image in images}
    found: list[LockedImage] = []
    for image in images:
        places = [
            place for place in optional.places_beside(image.where, gone) if place not in by_choice
        ]
        if not places:
            continue
        source = parse(image.source)
        for component, version in versions.items():
            if (patch := release.patches[component]).covers(source):
                source = patch.other(source, version)
        digest = locked[str(source)].digest if str(source) in locked else None
        changed = {"source": str(source), "digest": digest, "where": tuple(places)}
        found.append(image.model_copy(update=changed))
    return found
