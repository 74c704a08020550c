"""The files of examples/ as a user submits them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parents[1] / "examples"
OBJECTS = tuple(sorted(FOLDER.glob("*.yaml")))
PIPELINE_ROOT = "s3://bucket/private-artifacts/alice/v2/artifacts"


def object_of(file: Path) -> dict[str, Any]:
    """The one object of a file, with the placeholder that inference-service.yaml explains."""
    return yaml.safe_load(file.read_text().replace("PIPELINE_ROOT/", f"{PIPELINE_ROOT}/"))


def containers(value: Any) -> Iterator[dict[str, Any]]:
    """Whatever has an image, anywhere inside a JSON value."""
    if isinstance(value, dict):
        if "image" in value:
            yield value
        for child in value.values():
            yield from containers(child)
    elif isinstance(value, list):
        for child in value:
            yield from containers(child)


def container(file: str, image: str) -> dict[str, Any]:
    """The container of an example that has this image."""
    every = containers(yaml.safe_load((FOLDER / file).read_text()))
    (only,) = (each for each in every if each["image"].rpartition("/")[2].startswith(image))
    return only
