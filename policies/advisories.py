"""Published holes of the images that a stack runs: ``manifests/<release>/advisories.yaml``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from advisories.table import NAME, Advisories, of_release
from policies.model import Stack, Violation, policy
from policies.pulled_images import images_of_stack

MANIFESTS = Path(__file__).resolve().parent.parent / "manifests"
_RELEASE = "pulumi-python:dynamic:ReleaseAdvisories"


def lists_of(stack: Stack) -> list[Advisories]:
    """The list of the stack's release; of all releases where no resource names it."""
    named = [str(each.inputs.get("release")) for each in stack.only(_RELEASE)]
    folders = [MANIFESTS / each for each in named] or sorted(
        file.parent for file in MANIFESTS.glob(f"*/{NAME}")
    )
    return [of_release(folder) for folder in folders]


@policy("open-advisory", severity="critical", level="advisory")
def open_advisory(stack: Stack) -> Iterator[Violation]:
    """No image has a published hole that is open here and that a newer version closes."""
    rows = [each for table in lists_of(stack) for each in table.still_open()]
    for resource, path, image in images_of_stack(stack):
        for row in rows:
            if row.affects(image):
                yield resource.finding(
                    path,
                    f"{row.label}, {row.what}: take {row.way_out}, or say in "
                    f"policies/exemptions.yaml why it is harmless here ({row.source}).",
                    value=str(image),
                    severity=row.severity,
                )
