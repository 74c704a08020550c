"""The platform's own images, of which no rule of a stack is: a file beside the code.

All of them would be more than the variables of a Lambda function have room for.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable
from functools import cache

from images.reference import parse

FILE = "platform_images.txt"
"""In the folder ``webhook`` of an archive; there is none in the repository."""


def written(images: Iterable[str]) -> str:
    """The file's content: each image as ``Reference`` writes it."""
    return "".join(f"{each}\n" for each in sorted({str(parse(image)) for image in images}))


@cache
def platform_images() -> frozenset[str]:
    """The images of the file; none where there is no file."""
    try:
        content = pkgutil.get_data("webhook", FILE)
    except OSError:
        content = None
    return frozenset((content or b"").decode().split())
