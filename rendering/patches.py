"""Later versions of a component's images, chosen by a setting (``Release.patches``)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from images.reference import parse
from rendering.images import inventory, occurrences
from rendering.objects import Object, Path, RenderError, set_at, strings, value_at
from rendering.release import CodeImage, Patches, Release


def choose(
    objects: Sequence[Object], patches: Mapping[str, Patches], versions: Mapping[str, str]
) -> None:
    """Gives objects the images of the chosen versions, in place.

    Args:
        objects: of a build, before they are rewritten to a registry.
        patches: of the release.
        versions: component -> version.

    Raises:
        RenderError: the release lacks the version, or an object would keep an image of its own.
    """
    for component, version in versions.items():
        patch = patches.get(component)
        if patch is None or version not in patch.versions:
            raise RenderError(f"release.yaml, patches: there is no {component} {version}")
        naming = [obj for obj in objects if any(patch.version in text for _, text in strings(obj))]
        for obj in naming:
            _choose(obj, patch, version)
        for use in inventory(naming):
            if patch.covers(parse(use.source)):
                raise RenderError(
                    f"release.yaml, patches.{component}: {use.where[0]} would stay with "
                    f"{use.source}: its name and tag stand apart in a way that is not known"
                )


def _choose(obj: Object, patch: Patches, version: str) -> None:
    texts: dict[Path, dict[tuple[int, int], str]] = {}
    apart: set[Path] = set()
    for path, span in occurrences(obj):
        if patch.covers(parse(span.image)):
            changed = texts.setdefault(path, {})
            if span.suffix:
                apart.add(path)
            else:
                changed[span.start, span.end] = str(patch.other(parse(span.image), version))
    for path, changed in texts.items():
        text = cast("str", value_at(obj, path))
        for start, end in sorted(changed, reverse=True):
            text = text[:start] + changed[start, end] + text[end:]
        if path in apart:
            # Values of a Helm chart, hub and tag.
            tag = rf'("tag": "){re.escape(patch.version)}(?=["-])'
            text = re.sub(tag, rf"\g<1>{version}", text)
        set_at(obj, path, text)


def with_images(release: Release, objects: Iterable[Object]) -> Release:
    """The release with the images of every version that a stack may choose."""
    if not release.patches:
        return release
    found = [parse(use.source) for use in inventory(objects)]
    more = [
        CodeImage(
            image=str(patch.other(image, version)),
            needed="feature",
            where=where(component, version),
        )
        for component, patch in release.patches.items()
        for version in patch.versions
        for image in found
        if patch.covers(image)
    ]
    return release.model_copy(update={"images": (*release.images, *more)})


def where(component: str, version: str) -> str:
    """The place that a lock has for an image that is there by choice only."""
    return f"{component} {version}, where the setting `patches` chooses it"
