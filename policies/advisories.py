"""Published holes of the images that a stack runs: advisories.yaml."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from images.reference import Reference
from policies.documents import listed
from policies.model import Stack, Violation, policy
from policies.pulled_images import images_of_stack


@cache
def table() -> list[dict[str, Any]]:
    """The rows of advisories.yaml."""
    return yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text("utf-8"))["advisories"]


@policy("open-advisory", severity="critical", level="advisory")
def open_advisory(stack: Stack) -> Iterator[Violation]:
    """No image has a published hole that a newer version closes."""
    for resource, path, image in images_of_stack(stack):
        for row in table():
            if affects(row, image):
                score = "" if row["score"] is None else f" ({row['score']})"
                yield resource.finding(
                    path,
                    f"{row['id']}{score}, {row['what']}: take {row['fixed']}, or say in "
                    f"policies/exemptions.yaml why it is harmless here ({row['source']}).",
                    value=str(image),
                    severity=row["severity"],
                )


def affects(row: dict[str, Any], image: Reference) -> bool:
    """Whether an advisory is about an image: its name in any registry, and its version."""
    if not any(f"/{image.repository}".endswith(f"/{name}") for name in row["images"]):
        return False
    try:
        version = Version((image.tag or "").removeprefix("v").partition("-")[0])
    except InvalidVersion:
        return False
    return any(version in SpecifierSet(each) for each in listed(row["affected"]))
