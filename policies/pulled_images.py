"""Images are of the stack's own registry, and named by what is in them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from images.reference import InvalidReference, Reference, parse
from policies.model import Resource, Stack, Violation, policy

_REPOSITORIES = "pulumi-python:dynamic:ImageRepositories"


@policy("image-digest", severity="low", level="advisory")
def image_digest(stack: Stack) -> Iterator[Violation]:
    """Every image is named by its digest."""
    for resource, path, image in images_of_stack(stack):
        if image.digest is None:
            yield resource.finding(
                path,
                "the tag can get another image; let images.lock name the digest "
                "(./kf images lock).",
                value=str(image),
            )


@policy("image-registry", severity="high")
def image_registry(stack: Stack) -> Iterator[Violation]:
    """In a stack with a registry of its own, every image comes from a registry of its region."""
    own = [each.inputs.get("registry") for each in stack.only(_REPOSITORIES)]
    region = next(iter(stack.regions), "")
    if not own:
        return
    for resource, path, image in images_of_stack(stack):
        # The EKS add-ons' registries are of other accounts in the same region.
        if image.ecr_region != region:
            yield resource.finding(
                path,
                f"it is pulled from outside {own[0]}; use its copy there "
                "(./kf images list has every copy).",
                value=str(image),
            )


def images_of(resource: Resource) -> Iterator[tuple[str, Reference]]:
    """The path and each image that an object or a chart's values name."""
    if resource.type.startswith("kubernetes:"):
        for path, text in _named(resource.inputs, ()):
            try:
                yield ".".join(path), parse(text)
            except InvalidReference:
                continue


def images_of_stack(stack: Stack) -> Iterator[tuple[Resource, str, Reference]]:
    """Every image, with the first resource and property that name it."""
    seen: set[Reference] = set()
    for resource in sorted(stack.resources, key=lambda each: each.urn):
        for path, image in images_of(resource):
            if image not in seen:
                seen.add(image)
                yield resource, path, image


def _named(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, dict):
        # Sorted: the first place that names an image is the same in every run.
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
