"""The strict model of which every part of a stack file is made."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

MANIFESTS = Path(__file__).resolve().parent.parent / "manifests"
"""Where releases and add-ons live, one folder each."""


class Section(BaseModel):
    """Names are camelCase in the stack file, unknown ones are refused, values do not change."""

    # Numbers become text where text is asked for: YAML and `pulumi config set` read 1.35 as one.
    model_config = ConfigDict(
        alias_generator=to_camel, extra="forbid", frozen=True, coerce_numbers_to_str=True
    )
