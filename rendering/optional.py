"""Parts of a release that a stack has only where a setting asks for them (``Release.optional``)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from rendering.objects import Object, ObjectKey, RenderError, pod_spec
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
        built: as kustomize prints them; what stays loses the variables of such parts in place.
        parts: of the release, by name.
        chosen: names of parts; None: all of them.

    Raises:
        RenderError: a part names an object or a variable that the build lacks, chosen or not.
    """
    by_name = {name_of(obj): obj for obj in built}
    gone = left_out(parts, chosen)
    for name, part in parts.items():
        if absent := sorted({*part.objects, *part.variables} - by_name.keys()):
            raise _absent(name, absent[0])
        for each, variables in part.variables.items():
            containers = _containers(by_name[each])
            has = {entry["name"] for one in containers for entry in one.get("env", [])}
            if lost := sorted(set(variables) - has):
                raise _absent(name, f"variable {lost[0]} in {each}")
            for container in containers if name in gone else ():
                container["env"] = [e for e in container["env"] if e["name"] not in variables]
    objects = set[str]().union(*(part.objects for part in gone.values()))
    return [obj for name, obj in by_name.items() if name not in objects]


def _absent(part: str, what: str) -> RenderError:
    return RenderError(f"release.yaml, optional.{part}: the build has no {what}: correct the name")


def _containers(workload: Object) -> list[dict[str, Any]]:
    """The containers of a workload that have variables."""
    containers: list[dict[str, Any]] = (pod_spec(workload) or {}).get("containers", [])
    return [each for each in containers if "env" in each]


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
