"""Where images stand in a render: one table, read by the inventory and by the rewriting alike.

An occurrence is a span of one string of one object together with the image it names. Rewriting
replaces the span and nothing else, so comments, key order and quotes of configuration text stay.
How texts inside ConfigMaps are read is in ``images.text``; what is an image reference, and where
its copy lives, is answered by ``images.reference``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from images.reference import InvalidReference, Reference, parse
from images.text import Span, is_image_key, plausible, spans_of_text
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
from rendering.release import Needed


@dataclass(frozen=True)
class ImageUse:
    """One image the platform can pull, and every place that names it."""

    source: str
    """Normalised reference as upstream names it (``docker.io/library/mysql:8.4``)."""
    target: str
    """What the objects name after rewriting; equal to ``source`` where nothing is rewritten."""
    where: tuple[str, ...]
    """``Kind namespace/name#path``, sorted, list items by name where they have one
    (``containers[manager]``); for an image only code names, which program."""
    needed: Needed = "feature"

    @classmethod
    def known(
        cls,
        image: str,
        where: str,
        needed: Needed,
        registry: str | None = None,
        keep: Sequence[str] = (),
        *,
        cached: Collection[str] | None = None,
    ) -> ImageUse:
        """An image that no object names."""
        reference = parse(image)
        return cls(str(reference), _target(reference, registry, keep, cached), (where,), needed)


@dataclass(frozen=True)
class Place:
    """A row of the table: which strings of which kinds hold an image, and in which spelling."""

    kinds: str
    """Pattern over ``kind``."""
    path: str
    """Pattern over the path as ``objects.spelled`` writes it."""
    spelling: str
    """``whole`` string; ``environment`` variable; command line ``flag``; ``text`` of a file."""
    example: str


PLACES = (
    Place(
        r".*",
        r"(?:.*\.)?(?:containers|initContainers|ephemeralContainers|sidecars)\[\d+\]\.image",
        "whole",
        "pod specs at any depth: workloads, ClusterServingRuntime, ClusterTrainingRuntime, "
        "PodDefault, Notebook",
    ),
    Place(r".*", r"(?:.*\.)?container\.image", "whole", "ClusterStorageContainer, DaemonSet-like"),
    Place(r".*", r"(?:.*\.)?volumes\[\d+\]\.image\.reference", "whole", "image volumes"),
    Place(r"(?!ConfigMap$|Secret$).*", r"spec\.(?:.*\.)?image", "whole", "knative Image, SparkApp"),
    Place(r".*", r".*\.annotations\.sidecar\.istio\.io/proxyImage", "whole", "istio's override"),
    Place(r".*", r".*\.env\[\d+\]\.value", "environment", "V2_DRIVER_IMAGE, FRONTEND_IMAGE + _TAG"),
    Place(
        r".*",
        r".*\.(?:args|command)\[\d+\]",
        "flag",
        "--executor-image IMAGE, --acme-http01-solver-image=IMAGE",
    ),
    Place(
        r"ConfigMap",
        r"data\..*",
        "text",
        "katib-config, trial-templates, spawner_ui_config.yaml, inferenceservice-config, istio's "
        "values, cacheImage, TENSORBOARD_IMAGE, queue-sidecar-image",
    ),
)

_TABLE = tuple((re.compile(p.kinds), re.compile(p.path), p.spelling) for p in PLACES)

ENVIRONMENT_NAME = re.compile(r"(?:[A-Z0-9_]*_)?IMAGE|RELATED_IMAGE_[A-Z0-9_]+")
FLAG = re.compile(r"--?[A-Za-z0-9.-]*image(?:=(?P<value>.*))?", re.DOTALL)

EXAMPLE_CHECKSUM = "knative.dev/example-checksum"
"""Knative refuses a ConfigMap whose ``_example`` was changed (knative/pkg configmap/hash-gen)."""


@dataclass(frozen=True)
class Occurrence:
    """``path[start:end]`` names ``image``, whose part after the span is ``suffix``."""

    path: Path
    span: Span


def occurrences(obj: Object) -> Iterator[Occurrence]:
    """Every image named by an object; CRDs name none (their schemas only describe)."""
    if is_crd(obj):
        return
    kind = str(obj.get("kind", ""))
    rows = [(path, spelling) for kinds, path, spelling in _TABLE if kinds.fullmatch(kind)]
    for path, text in strings(obj):
        written = spelled(path)
        for pattern, spelling in rows:
            if pattern.fullmatch(written):
                for span in _spans(obj, path, text, spelling):
                    yield Occurrence(path, span)
                break


def inventory(
    objects: Iterable[Object],
    registry: str | None = None,
    keep: Sequence[str] = (),
    cached: Collection[str] | None = None,
) -> tuple[ImageUse, ...]:
    """Every image named by the objects, sorted by source.

    Args:
        registry: where images are copied to; None when they stay where they are.
        keep: registries that need no copy, such as the region's own EKS registry.
        cached: the only registries whose images ``registry`` serves; None: it serves all.
    """
    found: dict[str, set[str]] = {}
    targets: dict[str, str] = {}
    for obj in objects:
        key = ObjectKey.of(obj)
        name = f"{key.namespace}/{key.name}" if key.namespace else key.name
        for occurrence in occurrences(obj):
            if not occurrence.span.listed:
                continue
            reference = parse(occurrence.span.image)
            origin = reference.origin(registry) if registry else None
            source = str(origin or reference)
            targets[source] = _target(reference, registry, keep, cached)
            place = f"{key.kind} {name}#{_place(obj, occurrence.path)}"
            found.setdefault(source, set()).add(place)
    return tuple(
        ImageUse(source, targets[source], tuple(sorted(found[source]))) for source in sorted(found)
    )


def rewrite(
    obj: Object, registry: str, keep: Sequence[str] = (), cached: Collection[str] | None = None
) -> None:
    """Lets every image of an object that ``registry`` serves come from there, in place.

    Doing it twice changes nothing more; tags and digests stay as they are written.
    """
    by_path: dict[Path, set[Span]] = {}
    for occurrence in occurrences(obj):
        by_path.setdefault(occurrence.path, set()).add(occurrence.span)
    for path, spans in by_path.items():
        text = cast("str", value_at(obj, path))
        # From the end to the start, so that earlier positions stay true.
        for start, end in sorted({(span.start, span.end) for span in spans}, reverse=True):
            span = next(span for span in spans if (span.start, span.end) == (start, end))
            if not stays(parse(span.image), registry, keep, cached):
                text = text[:start] + _replacement(span, registry) + text[end:]
        set_at(obj, path, text)


def _place(obj: Object, path: Path) -> str:
    """The path with the names of list items that have one: an index moves when a list grows."""
    steps: list[str] = []
    here: Any = obj
    for step in path:
        here = here[step]
        if isinstance(step, str):
            steps.append(f".{step}")
        else:
            entry = cast("dict[str, Any]", here) if isinstance(here, dict) else {}
            steps.append(f"[{entry.get('name') or step}]")
    return "".join(steps).removeprefix(".")


def stays(
    reference: Reference, registry: str, keep: Sequence[str], cached: Collection[str] | None
) -> bool:
    """Is an image pulled from where it is named: ``registry`` has it already, or never will?"""
    if any(reference.belongs_to(known) for known in (registry, *keep)):
        return True
    return cached is not None and not reference.pulled_through(cached)


def _target(
    reference: Reference,
    registry: str | None,
    keep: Sequence[str],
    cached: Collection[str] | None,
) -> str:
    if registry is None or stays(reference, registry, keep, cached):
        return str(reference)
    return reference.mirrored(registry)


def _replacement(span: Span, registry: str) -> str:
    target = parse(span.image).mirrored(registry)
    if not span.suffix:
        return target
    if not target.endswith(span.suffix):
        # Only a repository name hashed for its length ends differently, and then a registry and a
        # name that are joined by the program that reads them cannot name the copy.
        raise InvalidReference(f"{span.image} is written in two parts and its copy cannot be")
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
        # Programs that join two variables themselves (KFP's FRONTEND_IMAGE and FRONTEND_TAG).
        sibling = name.removesuffix("IMAGE") + "TAG"
        for variable in variables:
            if variable.get("name") == sibling and variable.get("value"):
                suffix = f":{variable['value']}"
                return [Span(0, len(text), text + suffix, suffix)]
    return _whole(text)


def _flag(arguments: list[Any], path: Path, text: str) -> list[Span]:
    found = FLAG.fullmatch(text)
    if found and found["value"] is not None:
        value = found["value"]
        start = len(text) - len(value)
        return [Span(start, len(text), value)] if plausible(value) else []
    index = cast("int", path[-1])
    if index and not text.startswith("-"):
        before = FLAG.fullmatch(str(arguments[index - 1]))
        if before and before["value"] is None:
            return _whole(text)
    return []
