"""The platform's own images: which copies no request of a user replaces, and their digests.

The inventory is a file in the archive of the handler's code, ``webhook/inventory.json``: source ->
the digest that the source is known to have, or null. Where there is none, nothing is the
platform's.
"""

from __future__ import annotations

import hashlib
import json
import pkgutil
from collections.abc import Iterable, Mapping
from functools import cache
from typing import cast

from images.reference import parse
from webhook.mirror import copy_name

FILE = "webhook/inventory.json"
"""Its name within the archive."""
_MARK = 10


def text(images: Iterable[str], digests: Mapping[str, str]) -> str:
    """The content of ``FILE``.

    Args:
        images: sources.
        digests: source -> digest of the whole source, where it is known.
    """
    known = {str(parse(image)): digests.get(image) for image in images}
    return json.dumps(known, sort_keys=True, separators=(",", ":"))


@cache
def _content() -> Mapping[str, str | None]:
    try:
        content = pkgutil.get_data("webhook", FILE.partition("/")[2])
    except OSError:
        content = None
    return cast("dict[str, str | None]", json.loads(content or b"{}"))


@cache
def load() -> Mapping[str, str | None]:
    """Copy -> known digest, of every copy that is the platform's."""
    return {copy_name(parse(image)): digest for image, digest in _content().items()}


def sources() -> frozenset[str]:
    """The platform's own images, as ``Reference`` writes them; no rule of a stack is of them."""
    return frozenset(_content())


def marks(images: Iterable[str]) -> str:
    """The copies of these sources in few characters, for the variable of a build.

    CodeBuild takes 5,500 characters of variables, and the names of 113 copies have 7,000.
    """
    return " ".join(sorted({mark(copy_name(parse(image))) for image in images}))


def mark(name: str) -> str:
    """The mark of one copy, which ``copy.sh`` makes too."""
    return hashlib.sha256(name.encode()).hexdigest()[:_MARK]
