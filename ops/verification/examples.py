"""The files of ``examples/``, as the checks run them: each with its own name and its own place."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from typing import Any

import yaml

from ops.findings import Finding, good
from ops.targets import PROJECT
from ops.verification.platform import Platform
from ops.verification.profile import user_of

_FOLDER = PROJECT / "examples"
Examine = Callable[[Platform], Iterator[Finding]]
"""Of ``Check.examine``."""


def example(file: str, **replaced: str) -> dict[str, Any]:
    """The one object of a file, without the name that a user sees in it.

    Args:
        file: below ``examples/``.
        replaced: text -> other text; each has to be there.
    """
    text = (_FOLDER / file).read_text("utf-8")
    for old, new in replaced.items():
        if old not in text:
            raise ValueError(f"examples/{file} no longer has {old!r}")
        text = text.replace(old, new)
    return yaml.safe_load(text)


def unsupported(platform: Platform) -> str:
    """Why no example can run on the stack; empty: they can.

    Pipelines 1 has no API v2beta1.
    """
    release, pipelines = platform.settings.release, platform.release.pipelines
    if pipelines is None or pipelines.version.startswith("1."):
        return f"not run, because examples/ is for Pipelines 2, and the stack has release {release}"
    return ""


def where_examples_run(about: str) -> Callable[[Examine], Examine]:
    """Has a check of the user's profile find nothing wrong on a stack where no example can run.

    Args:
        about: what is checked, in the user's namespace.
    """

    def limited(examine: Examine) -> Examine:
        @wraps(examine)
        def check(platform: Platform) -> Iterator[Finding]:
            if reason := unsupported(platform):
                yield good(f"{user_of(platform).namespace}/{about}", reason)
            else:
                yield from examine(platform)

        return check

    return limited


def named(obj: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A copy with another name."""
    made = copy.deepcopy(dict(obj))
    made["metadata"] = {**made["metadata"], "name": name}
    return made
