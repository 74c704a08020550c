"""Which folders and sources a stack of a release renders, and which sources are out of reach."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rendering.objects import RenderError
from rendering.release import Release, Source, load, stand_alone
from rendering.sources import SourcesUnavailable, obtain


def needed_folders(folder: Path, manifests: Path) -> dict[str, Release]:
    """A release, what it includes, and the add-ons that no release includes: all that a stack of
    that release renders.

    Returns:
        Way below ``manifests`` -> release.
    """
    own = folder.resolve().relative_to(manifests.resolve()).as_posix()
    found = {own: load(folder)}
    add_ons = [name for name in stand_alone(manifests) if name.startswith("addons/")]
    for name in (*found[own].includes, *add_ons):
        found.setdefault(name, load(manifests / name))
    return found


def needed_sources(releases: Iterable[tuple[str, Release]]) -> dict[str, Source]:
    """The sources of several releases by name.

    Raises:
        RenderError: one name stands for two different sources.
    """
    found: dict[str, tuple[str, Source]] = {}
    for folder, release in releases:
        for source in release.sources:
            other, known = found.setdefault(source.name, (folder, source))
            if known != source:
                raise RenderError(
                    f"the source {source.name} is not the same in {other} and {folder}: give one "
                    "of them another name, or both the same archive and commit"
                )
    return {name: source for name, (_, source) in sorted(found.items())}


def sources_of_stack(folder: Path, manifests: Path) -> dict[str, Source]:
    """Every source that a stack of the release in ``folder`` renders, by name.

    Raises:
        RenderError: one name stands for two different sources.
    """
    return needed_sources(needed_folders(folder, manifests).items())


def missing_sources(
    wanted: Iterable[Source], project: Path, bundles: Path | None = None
) -> list[Source]:
    """Those of ``wanted`` that no way leads to; the others are in the cache afterwards.

    Raises:
        SourceRejected: a source is there but is a different one.
    """
    missing: list[Source] = []
    for source in wanted:
        try:
            obtain(source, project, bundles)
        except SourcesUnavailable:
            missing.append(source)
    return missing


def missing_of_stack(manifests: Path, release: str, bundles: Path | None = None) -> list[Source]:
    """The sources that no way leads to, of all that a stack of ``release`` renders.

    Args:
        manifests: the folder of all releases.
        release: the stack's release.
        bundles: the stack's own setting.

    Raises:
        SourceRejected: a source is there but is a different one.
    """
    wanted = sources_of_stack(manifests / release, manifests)
    return missing_sources(wanted.values(), manifests.parent, bundles)
