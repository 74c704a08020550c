"""What has another name because its content is another: pairs of a deleted and a created thing.

Kustomize and this project end the names of ConfigMaps and Secrets with a hash of what is in them
(kubernetes-sigs/kustomize api/hasher), and an image's tag is part of its name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from review.resources import Resource

_HASH = re.compile(r"-[a-z0-9]{10}$")


def same_objects(objects: Iterable[Resource]) -> tuple[tuple[Resource, Resource], ...]:
    """Deleted and created objects that differ by the hash in their name and by content."""
    sides: dict[str, dict[tuple[str, str], list[Resource]]] = {"delete": {}, "create": {}}
    for each in objects:
        if each.operation in sides and _HASH.search(each.label):
            key = each.kind, _HASH.sub("", each.label)
            sides[each.operation].setdefault(key, []).append(each)
    return tuple(
        (old[0], new[0])
        for key, old in sorted(sides["delete"].items())
        if len(old) == 1 and len(new := sides["create"].get(key, [])) == 1
    )


def repository(image: str) -> str:
    """An image's name without its tag and digest."""
    name = image.partition("@")[0]
    head, slash, last = name.rpartition("/")
    return f"{head}{slash}{last.partition(':')[0]}"


def same_images(
    removed: Sequence[str], added: Sequence[str]
) -> tuple[tuple[tuple[str, str, str], ...], tuple[str, ...], tuple[str, ...]]:
    """Repository, old and new version, where one goes and one comes; then the rest of both."""
    gone: dict[str, list[str]] = {}
    new: dict[str, list[str]] = {}
    for held, names in ((gone, removed), (new, added)):
        for name in names:
            held.setdefault(repository(name), []).append(name)
    pairs = [
        (name, gone[name][0], new[name][0])
        for name in sorted(gone.keys() & new.keys())
        if len(gone[name]) == len(new[name]) == 1
    ]
    done = {image for _, *images in pairs for image in images}
    changed = tuple((name, _version(old, name), _version(new, name)) for name, old, new in pairs)
    return (
        changed,
        tuple(each for each in removed if each not in done),
        tuple(each for each in added if each not in done),
    )


def _version(image: str, name: str) -> str:
    return image.removeprefix(name).removeprefix(":") or "latest"
