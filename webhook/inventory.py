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
def load() -> Mapping[str, str | None]:
    """Copy -> known digest, of every copy that is the platform's."""
    try:
        content = pkgutil.get_data("webhook", FILE.partition("/")[2])
    except FileNotFoundError:
        content = None
    known = cast("dict[str, str | None]", json.loads(content or b"{}"))
    return {copy_name(parse(image)): digest for image, digest in known.items()}


def marks(images: Iterable[str]) -> str:
    """The copies of these sources in few characters, for the variable of a build.

    CodeBuild takes 5,500 characters of variables, and the names of 113 copies have 7,000.
    """
    names = {copy_name(parse(image)) for image in images}
    return " ".join(sorted(hashlib.sha256(name.encode()).hexdigest()[:_MARK] for name in names))
