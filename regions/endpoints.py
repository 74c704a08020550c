"""The services whose URL Pulumi's AWS provider takes in place of AWS's own (``endpoints.yaml``)."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import yaml


@lru_cache(maxsize=1)
def endpoint_names() -> tuple[str, ...]:
    """The names of the services, as in a provider's ``endpoints``."""
    names: str = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text("utf-8"))
    return tuple(names.split())
