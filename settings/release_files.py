"""The fields of every ``release.yaml`` below a folder, and the defaults that follow from them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from packaging.version import Version

from settings.section import MANIFESTS
from settings.support_ends import KUBERNETES

Fields = Mapping[str, Any]


@lru_cache(maxsize=32)
def fields(file: Path) -> Fields:
    """What a release.yaml contains."""
    return yaml.load(file.read_bytes(), Loader=yaml.CSafeLoader) or {}


def default_release() -> str:
    """The release of a stack that names none: the one whose folder has ``default: true``.

    Raises:
        ValueError: there is none, or more than one.
    """
    chosen = [name for name, found in _project().items() if found.get("default")]
    if len(chosen) != 1:
        raise ValueError(
            f"`default: true` stands in {' and '.join(chosen) or 'no'} release.yaml below "
            f"{MANIFESTS}: it belongs into that of one release."
        )
    return chosen[0]


def default_kubernetes() -> str:
    """The newest version of Kubernetes that EKS offers and the default release runs on."""
    range_ = _project()[default_release()]["kubernetes"]
    low, high = Version(range_["min"]), Version(range_["max"])
    return max((each for each in KUBERNETES if low <= Version(each) <= high), key=Version)


def _project() -> dict[str, Fields]:
    return {file.parent.name: fields(file) for file in sorted(MANIFESTS.glob("*/release.yaml"))}
