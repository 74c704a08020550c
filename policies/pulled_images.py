"""Images are of the stack's own registry, and named by what is in them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from images.reference import InvalidReference, Reference, parse
from policies.model import UNKNOWN, Resource, Stack, Violation, policy
from regions.region import Region

_REPOSITORIES = "pulumi-python:dynamic:ImageRepositories"


@policy("image-digest", severity="low", level="advisory")
def image_digest(stack: Stack) -> Iterator[Violation]:
    """Every image is named by its digest."""
    for resource, path, image in images_of_stack(stack):
        if image.digest is None:
            yield resource.finding(
                path,
                f"the tag {image.tag} can get another image; let images.lock name the digest "
                "(./kf images lock).",
                value=str(image),
            )


@policy("image-registry", severity="high")
def image_registry(stack: Stack) -> Iterator[Violation]:
    """In a stack with a registry of its own, images come from it or from that of EKS' add-ons."""
    own = [str(each.inputs.get("registry")) for each in stack.only(_REPOSITORIES)]
    if not own or not stack.regions:
        return
    region = Region.of(stack.regions[0])
    hosts = {each.partition("/")[0] for each in own}
    hosts.add(region.ecr_registry(region.eks_addon_account))
    # Before the account is known, every registry of the region may be the own one.
    known = UNKNOWN not in own
    for resource, path, image in images_of_stack(stack):
        if (known and image.registry not in hosts) or image.ecr_region != region.name:
            yield resource.finding(
                path,
                f"it is pulled from outside {own[0]}; use its copy there "
                "(./kf images list has every copy).",
                value=str(image),
            )


def images_of_stack(stack: Stack) -> Iterator[tuple[Resource, str, Reference]]:
    """Every image, with the first resource and property that name it; variables come last."""
    seen: set[Reference] = set()
    resources = [
        each
        for each in sorted(stack.resources, key=lambda each: each.urn)
        if each.type.startswith("kubernetes:")
    ]
    for find in (_named, _variables):
        for resource in resources:
            for path, image in _parsed(find(resource.inputs, ())):
                if image not in seen:
                    seen.add(image)
                    yield resource, path, image


def _parsed(
    texts: Iterable[tuple[tuple[str, ...], str]],
) -> Iterator[tuple[str, Reference]]:
    """Those that are references; the kubelet pulls nothing by another text."""
    for path, text in texts:
        try:
            yield ".".join(path), parse(text)
        except InvalidReference:
            continue


def _variables(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """The values of pods' variables like V2_LAUNCHER_IMAGE, by which controllers start pods."""
    if isinstance(value, dict):
        name, text = str(value.get("name")).lower(), value.get("value")
        if name.endswith("image") and isinstance(text, str) and re.search("/.*[:@]", text):
            yield (*path, "value"), text
        for key, item in sorted(value.items()):
            yield from _variables(item, (*path, str(key)))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _variables(item, (*path, str(index)))


def _named(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, dict):
        # The engine hands properties on in any order, and the first place of an image is reported.
        for key, item in sorted(value.items()):
            here = (*path, str(key))
            if key != "image":
                yield from _named(item, here)
            elif isinstance(item, str):
                yield here, item
            elif isinstance(item, dict) and isinstance(item.get("repository"), str):
                # A chart's values: repository, tag and digest apart.
                tag, digest = item.get("tag"), item.get("digest")
                name = item["repository"] + (f":{tag}" if tag else "")
                yield here, name + (f"@{digest}" if digest else "")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _named(item, (*path, str(index)))
