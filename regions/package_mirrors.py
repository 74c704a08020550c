"""Public mirrors of packages and models that are near a partition (``package_mirrors.yaml``)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml


@lru_cache(maxsize=1)
def _mirrors() -> Mapping[str, Any]:
    return yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text("utf-8"))


def package_mirrors(partition: str) -> Mapping[str, str]:
    """Kind of packages (``pypi``) -> URL; empty where publishers are within reach."""
    return _mirrors().get(partition, {})
