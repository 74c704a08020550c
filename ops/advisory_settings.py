"""The settings on which it depends whether a stack has an advisory of its release.

They follow from the optional parts and the patches in release.yaml, and so a list has none.
"""

from __future__ import annotations

from pathlib import Path

from program import advisories_with
from rendering.release import load


def that_open(folder: Path) -> dict[str, str]:
    """Identifier of an open advisory -> the one setting with which a stack has it.

    Args:
        folder: of the release.
    """
    by_default = _open(folder)
    return {
        id_: part.setting
        for name, part in load(folder).optional.items()
        for id_ in _open(folder, name) - by_default
    }


def that_close(folder: Path) -> dict[str, str]:
    """Identifier of an open advisory -> the patch with the least change that closes it.

    Args:
        folder: of the release.
    """
    release = load(folder)
    every = _open(folder, *release.optional)
    found: dict[str, str] = {}
    for component, patch in release.patches.items():
        for version in patch.versions:
            left = _open(folder, *release.optional, **{component: version})
            for id_ in every - left:
                found.setdefault(id_, f"patches: {{{component}: {version}}}")
    return found


def _open(folder: Path, *parts: str, **versions: str) -> set[str]:
    return {each.id for each in advisories_with(folder, parts, versions).still_open()}
