"""Types of resources as simulated providers know them: ``resource_types.yaml``, read."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

import yaml


class ResourceType(TypedDict, total=False):
    """One type; the file describes the keys."""

    name: str
    outputs: dict[str, str | list[str]]
    replaces: list[str]


class _Tables(TypedDict):
    types: dict[str, ResourceType]
    kinds: dict[str, list[str]]
    quantities: dict[str, list[str]]


TABLES: _Tables = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text("utf-8"))
