"""The strict model that every part of a stack file is checked by."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

PROJECT = Path(__file__).resolve().parent.parent
"""The project's folder; paths in a stack file are relative to it."""
MANIFESTS = PROJECT / "manifests"
"""The folder of releases and add-ons, one folder each."""


class Section(BaseModel):
    """Names are camelCase in the stack file, unknown ones are refused, values do not change."""

    # YAML and `pulumi config set` read 1.35 as a number; where text is required, it becomes text.
    model_config = ConfigDict(
        alias_generator=to_camel, extra="forbid", frozen=True, coerce_numbers_to_str=True
    )
