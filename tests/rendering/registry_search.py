"""Finds what looks like an image reference in any string: knows nothing of rendering.images.

It knows hosts and shapes, the inventory knows places and keys; each finds what the other may miss.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rendering import Object
from rendering.objects import ObjectKey, spelled, strings

MARKER = "<<image.prefix>>/"

_HOSTS = (
    r"(?:[a-z0-9-]+\.)*(?:docker\.io|gcr\.io|quay\.io|ghcr\.io|registry\.k8s\.io|k8s\.gcr\.io|"
    r"registry\.istio\.io|public\.ecr\.aws|nvcr\.io|mcr\.microsoft\.com|pkg\.dev|azurecr\.io|registry\.gitlab\.com|"
    r"dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?)"
)
_HOST = r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+(?::\d+)?"
_PATH = r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*"
_END = r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}(?:@sha256:[0-9a-f]{64})?|@sha256:[0-9a-f]{64})"

_SHAPES = tuple(
    re.compile(rf"(?P<copy>{re.escape(MARKER)})?(?P<reference>{shape})")
    for shape in (
        rf"(?<![\w.@-])(?<!\w/){_HOSTS}/{_PATH}{_END}?",  # a known host, with or without tag
        rf"(?<![\w./@:-]){_HOST}/{_PATH}{_END}",  # any host, with tag or digest
        rf"(?<![\w./@:$>-]){_PATH}{_END}(?![\w:/])",  # as on Docker Hub: name:tag, name/name:tag
    )
)


@dataclass(frozen=True)
class Hit:
    """One match, in ``where``; ``copy`` says that the account's registry stands before it."""

    reference: str
    where: str
    copy: bool


def search(objects: Sequence[Object]) -> Iterator[Hit]:
    """Every match in every string of the objects, CRDs included."""
    for obj in objects:
        key = ObjectKey.of(obj)
        for path, text in strings(obj):
            for shape in _SHAPES:
                for found in shape.finditer(text):
                    where = f"{key.kind} {key.namespace}/{key.name}#{spelled(path)}"
                    yield Hit(found["reference"], where, bool(found["copy"]))
