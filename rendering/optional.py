"""Parts of a release that a stack has only where a setting asks for them (``Release.optional``)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from rendering.objects import Object, ObjectKey, RenderError
from rendering.release import OptionalPart, Release


def name_of(obj: Object) -> str:
    """An object as ``objects`` of a part names it: ``Kind namespace/name``."""
    key = ObjectKey.of(obj)
    return f"{key.kind} {key.full_name}"


def without(
    built: Iterable[Object], parts: Mapping[str, OptionalPart], chosen: Collection[str] | None
) -> list[Object]:
    """The objects of a build without those of the parts that are not chosen.

    Args:
        built: as kustomize prints them.
        parts: of the release, by name.
        chosen: names of parts; None: all of them.

    Raises:
        RenderError: a part names an object that the build lacks, chosen or not.
    """
    objects = list(built)
    present = {name_of(obj) for obj in objects}
    for name, part in parts.items():
        if absent := sorted(set(part.objects) - present):
            raise RenderError(
                f"release.yaml, optional.{name}: the build has no {absent[0]}: correct the name"
            )
    gone = set[str]().union(*(part.objects for part in left_out(parts, chosen).values()))
    return [obj for obj in objects if name_of(obj) not in gone]


def left_out(
    parts: Mapping[str, OptionalPart], chosen: Collection[str] | None
) -> dict[str, OptionalPart]:
    """The parts that are not chosen, by name.

    Args:
        parts: of the release, by name.
        chosen: names of parts; None: all of them.
    """
    if chosen is None:
        return {}
    return {name: part for name, part in parts.items() if name not in chosen}


def with_images(release: Release, chosen: Collection[str] | None) -> Release:
    """The release with the images that only its chosen parts have in the code of a program."""
    gone = left_out(release.optional, chosen)
    more = (i for name, part in release.optional.items() if name not in gone for i in part.images)
    return release.model_copy(update={"images": (*release.images, *more)})


def places_beside(places: Iterable[str], parts: Iterable[OptionalPart]) -> list[str]:
    """The places that name an image (``where`` of a lock) and are in none of these parts."""
    objects, code = set[str](), set[str]()
    for part in parts:
        objects |= {*part.objects}
        code |= {image.where for image in part.images}
    return [
        place for place in places if place not in code and place.partition("#")[0] not in objects
    ]
