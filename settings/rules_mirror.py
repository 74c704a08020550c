"""Rules over the image mirror: settings of copies only where images are copied."""

from __future__ import annotations

from collections.abc import Iterator

from settings.errors import full_key, told
from settings.facts import Facts, Rules

RULES = Rules()

# What tells how to copy, by the name in the stack file.
_OF_COPIES = {
    "when_absent": "whenAbsent",
    "inventory_first": "inventoryFirst",
    "in_flight_minutes": "inFlightMinutes",
    "platform": "platform",
    "follow_hours": "followHours",
    "build_profile": "buildProfile",
    "rotation": "rotation",
}


@RULES.reads("imageMirror", "region")
def _only_copies_are_told_how(f: Facts) -> Iterator[str]:
    mirror = f.settings.image_mirror
    if f.mirror.cached is None:
        return
    for name in (each for each in _OF_COPIES if each in mirror.model_fields_set):
        yield told(
            full_key(f"imageMirror.{_OF_COPIES[name]}"),
            getattr(mirror, name),
            f"ECR in {f.region.name} pulls images by itself and nothing is copied: remove the line",
        )
