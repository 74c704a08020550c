"""Where images stand in a render: image_fields.yaml, for the inventory and for the rewriting.

An occurrence is a span of one string of one object together with the image it names. Rewriting
replaces only the span, so comments, key order and quotes of configuration text stay. Texts inside
ConfigMaps are read by ``images.text``, references parsed and copies named by ``images.reference``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from images.reference import InvalidReference, Reference, parse
from images.text import Span, is_image_key, plausible, spans_of_text
from rendering.cache import table
from rendering.field_types import Needed
from rendering.objects import (
    Object,
    ObjectKey,
    Path,
    annotations_of,
    is_crd,
    set_at,
    spelled,
    strings,
    value_at,
)


@dataclass(frozen=True)
class Registries:
    """Which images come from the account's own registry.

    Attributes:
        own: the registry with the copies, with its prefix (``<<image.prefix>>``); None: no image
            is copied.
        in_region: registries whose images need no copy, such as the region's own EKS registry.
        cached: the only registries whose images ``own`` serves; None: it serves all.
    """

    own: str | None = None
    in_region: Sequence[str] = ()
    cached: Collection[str] | None = None

    def stays(self, reference: Reference) -> bool:
        """Whether an image is pulled from the registry that its reference names."""
        if self.own is None or any(map(reference.belongs_to, (self.own, *self.in_region))):
            return True
        return self.cached is not None and not reference.pulled_through(self.cached)

    def target(self, reference: Reference) -> str:
        """The reference that an image is pulled by."""
        if self.own is None or self.stays(reference):
            return str(reference)
        return reference.mirrored(self.own)


NO_COPIES = Registries()


@dataclass(frozen=True)
class ImageUse:
    """An image that the platform can pull, and every place that names it.

    Attributes:
        source: normalised reference as upstream names it (``docker.io/library/mysql:8.4``).
        target: the reference after rewriting; equal to ``source`` where nothing is rewritten.
        where: ``Kind namespace/name#path``, sorted, list items by name where they have one
            (``containers[manager]``); for an image that only code names, the program.
        needed: what the image is pulled for.
    """

    source: str
    target: str
    where: tuple[str, ...]
    needed: Needed = "feature"

    @classmethod
    def known(
        cls, image: str, where: str, needed: Needed, registries: Registries = NO_COPIES
    ) -> ImageUse:
        """An image that no object names."""
        reference = parse(image)
        return cls(str(reference), registries.target(reference), (where,), needed)


IMAGE_FIELDS = tuple(
    (re.compile(row["kinds"]), re.compile(row["path"]), str(row["spelling"]))
    for row in table("image_fields.yaml")
)

ENVIRONMENT_NAME = re.compile(r"(?:[A-Z0-9_]*_)?IMAGE|RELATED_IMAGE_[A-Z0-9_]+")
FLAG = re.compile(r"--?[A-Za-z0-9.-]*image(?:=(?P<value>.*))?", re.DOTALL)

EXAMPLE_CHECKSUM = "knative.dev/example-checksum"
"""Knative rejects a ConfigMap whose ``_example`` was changed (knative/pkg configmap/hash-gen)."""


def occurrences(obj: Object) -> Iterator[tuple[Path, Span]]:
    """Every span of a string at a path that names an image; the schemas of CRDs name none."""
    if is_crd(obj):
        return
    kind = str(obj.get("kind", ""))
    rows = [(path, spelling) for kinds, path, spelling in IMAGE_FIELDS if kinds.fullmatch(kind)]
    for path, text in strings(obj):
        written = spelled(path)
        for pattern, spelling in rows:
            if pattern.fullmatch(written):
                for span in _spans(obj, path, text, spelling):
                    yield path, span
                break


def inventory(
    objects: Iterable[Object], registries: Registries = NO_COPIES
) -> tuple[ImageUse, ...]:
    """Every image that the objects name, sorted by source."""
    places: dict[str, set[str]] = {}
    targets: dict[str, str] = {}
    for obj in objects:
        key = ObjectKey.of(obj)
        for path, span in occurrences(obj):
            if not span.listed:
                continue
            reference = parse(span.image)
            origin = reference.origin(registries.own) if registries.own else None
            source = str(origin or reference)
            targets[source] = registries.target(reference)
            place = f"{key.kind} {key.full_name}#{_place(obj, path)}"
            places.setdefault(source, set()).add(place)
    return tuple(
        ImageUse(source, targets[source], tuple(sorted(where)))
        for source, where in sorted(places.items())
    )


def rewrite(obj: Object, registries: Registries) -> None:
    """Replaces every image of an object that has a copy by the copy, in place.

    A second call changes nothing; tags and digests stay as they are written.
    """
    by_path: dict[Path, dict[tuple[int, int], Span]] = {}
    for path, span in occurrences(obj):
        by_path.setdefault(path, {})[span.start, span.end] = span
    for path, spans in by_path.items():
        text = cast("str", value_at(obj, path))
        # From the end to the start, so that earlier positions stay true.
        for start, end in sorted(spans, reverse=True):
            if not registries.stays(parse(spans[start, end].image)):
                text = text[:start] + _replacement(spans[start, end], registries) + text[end:]
        set_at(obj, path, text)


def _place(obj: Object, path: Path) -> str:
    """The path with list items by name where they have one: an index moves when a list grows."""
    steps: list[str] = []
    value: Any = obj
    for step in path:
        value = value[step]
        if isinstance(step, str):
            steps.append(f".{step}")
        else:
            item = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
            steps.append(f"[{item.get('name') or step}]")
    return "".join(steps).removeprefix(".")


def _replacement(span: Span, registries: Registries) -> str:
    target = registries.target(parse(span.image))
    if not target.endswith(span.suffix):
        # A repository name that was hashed for its length ends differently, and a program that
        # joins repository and tag itself cannot read such a name.
        fault = "it is written in two parts and its copy cannot be"
        raise InvalidReference(f"{span.image}: {fault}", fault)
    return target.removesuffix(span.suffix)


def _spans(obj: Object, path: Path, text: str, spelling: str) -> list[Span]:
    if spelling == "whole":
        return _whole(text)
    if spelling == "environment":
        return _environment(cast("list[Any]", value_at(obj, path[:-2])), path, text)
    if spelling == "flag":
        return _flag(cast("list[Any]", value_at(obj, path[:-1])), path, text)
    if path[-1] == "_example" and EXAMPLE_CHECKSUM in annotations_of(obj):
        return []
    if is_image_key(str(path[-1])):
        return _whole(text)
    return spans_of_text(text)


def _whole(text: str) -> list[Span]:
    return [Span(0, len(text), text)] if plausible(text) else []


def _environment(variables: list[Any], path: Path, text: str) -> list[Span]:
    name = str(value_at(variables, (path[-2],)).get("name", ""))
    if not ENVIRONMENT_NAME.fullmatch(name) or not plausible(text):
        return []
    if name.endswith("IMAGE"):
        # The program joins two variables (FRONTEND_IMAGE and FRONTEND_TAG of Pipelines).
        sibling = name.removesuffix("IMAGE") + "TAG"
        for variable in variables:
            if variable.get("name") == sibling and variable.get("value"):
                suffix = f":{variable['value']}"
                return [Span(0, len(text), text + suffix, suffix)]
    return _whole(text)


def _flag(arguments: list[Any], path: Path, text: str) -> list[Span]:
    flag = FLAG.fullmatch(text)
    if flag and flag["value"] is not None:
        value = flag["value"]
        return [Span(len(text) - len(value), len(text), value)] if plausible(value) else []
    index = cast("int", path[-1])
    if index and not text.startswith("-"):
        flag = FLAG.fullmatch(str(arguments[index - 1]))
        if flag and flag["value"] is None:
            return _whole(text)
    return []
