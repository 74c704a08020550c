"""Images that a changed workload pulls from a place from which the stack pulled none.

A place is a registry; where many owners share it, with the owner: ``quay.io/argoproj``. The stack's
own repositories are a place from the plan on that makes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from review.changes import ABSENT, Change, leaves
from review.resources import Resource
from review.sides import Side

_DEFAULT = "docker.io"
_SHARED = {
    _DEFAULT,
    "quay.io",
    "ghcr.io",
    "gcr.io",
    "public.ecr.aws",
    "registry.gitlab.com",
    "nvcr.io",
    "mcr.microsoft.com",
}
_REPOSITORIES = "pulumi-python:dynamic:ImageRepositories"


def place(image: str) -> str:
    """The registry of an image reference, and its owner there; without a host it is Docker Hub."""
    head, slash, rest = image.partition("/")
    is_host = bool(slash) and ("." in head or ":" in head or head == "localhost")
    host, path = (head, rest) if is_host else (_DEFAULT, image)
    owner, slash, _ = path.partition("/")
    return f"{host}/{owner}" if slash and host in _SHARED else host


def strangers(base: Side, resources: Iterable[Resource]) -> Iterator[tuple[Resource, Change]]:
    """The workloads with such an image, and the image; nothing where the base has no images."""
    known = {place(image) for image in base.images.values()}
    for row in base.rows:
        if row["type"].startswith("kubernetes:"):
            known |= {place(image) for image in _images(row.get("inputs") or {}).values()}
    if not known:
        return
    changed = list(resources)
    known |= {str(each.after.get("registry")) for each in changed if each.type == _REPOSITORIES}
    for resource in changed:
        if resource.operation in ("same", "delete") or not resource.kubernetes:
            continue
        before = _images(resource.before)
        for path, image in _images(resource.after).items():
            if place(image) not in known and before.get(path) != image:
                yield resource, Change(path, before.get(path, ABSENT), image)


def _images(inputs: Mapping[str, object]) -> dict[str, str]:
    """Path to image of the containers; an object's other texts are no images."""
    spec = inputs.get("spec")
    if not isinstance(spec, Mapping):
        return {}
    return {
        path: value
        for path, value in leaves(spec, "spec")
        if path.endswith(".image") and isinstance(value, str) and value
    }
