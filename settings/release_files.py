"""The fields of every ``release.yaml`` below a folder, and the defaults that follow from them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import yaml
from packaging.version import Version

from settings.errors import SettingsError
from settings.section import MANIFESTS
from settings.support_ends import KUBERNETES

Fields = Mapping[str, Any]


@lru_cache(maxsize=32)
def fields(file: Path) -> Fields:
    """What a release.yaml contains.

    Raises:
        SettingsError: it is no YAML, or has no keys at its top.
    """
    try:
        found = yaml.load(file.read_bytes(), Loader=yaml.CSafeLoader) or {}
    except yaml.YAMLError as error:
        mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
        line = f", line {mark.line + 1}" if mark else ""
        raise SettingsError([f"{file}{line}: this is no YAML: correct it."]) from None
    if not isinstance(found, Mapping):
        raise SettingsError([f"{file}: it has no keys: begin it with `name:`, as the others do."])
    return cast(Fields, found)


def default_release() -> str:
    """The release of a stack that names none: the one whose folder has ``default: true``.

    Raises:
        SettingsError: there is none, or more than one.
    """
    chosen = [name for name, found in _project().items() if found.get("default")]
    if len(chosen) != 1:
        sentence = (
            f"`default: true` stands in {' and '.join(chosen) or 'no'} release.yaml below "
            f"{MANIFESTS}: it belongs into that of one release."
        )
        raise SettingsError([sentence])
    return chosen[0]


def default_kubernetes() -> str:
    """The newest version of Kubernetes that EKS offers and the default release runs on.

    Raises:
        SettingsError: the default release has no range, or one in which EKS offers nothing.
    """
    release = default_release()
    range_: Any = _project()[release].get("kubernetes")
    try:
        low, high = Version(range_["min"]), Version(range_["max"])
        return max((each for each in KUBERNETES if low <= Version(each) <= high), key=Version)
    except (TypeError, KeyError, ValueError):
        sentence = (
            f"{MANIFESTS / release / 'release.yaml'}: kubernetes is {range_!r}: give it `min` and "
            f"`max`, with a version of EKS between them ({', '.join(KUBERNETES)})."
        )
        raise SettingsError([sentence]) from None


def _project() -> dict[str, Fields]:
    return {file.parent.name: fields(file) for file in sorted(MANIFESTS.glob("*/release.yaml"))}
