"""The sources that a stack of a release renders, and those of them that are out of reach."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rendering.objects import RenderError
from rendering.release import Source, load, stand_alone
from rendering.sources import SourcesUnavailable, obtain


def sources_of_stack(folder: Path, manifests: Path) -> dict[str, Source]:
    """Every source that a stack of the release in ``folder`` renders, by name.

    These are the sources of the release, of the folders it includes, and of the add-ons that no
    release includes.

    Raises:
        RenderError: one name stands for two different sources.
    """
    own = folder.resolve().relative_to(manifests.resolve()).as_posix()
    releases = {own: load(folder)}
    add_ons = [name for name in stand_alone(manifests) if name.startswith("addons/")]
    for name in (*releases[own].includes, *add_ons):
        releases.setdefault(name, load(manifests / name))
    by_name: dict[str, tuple[str, Source]] = {}
    for name, release in releases.items():
        for source in release.sources:
            other, first = by_name.setdefault(source.name, (name, source))
            if first != source:
                raise RenderError(
                    f"the source {source.name} is not the same in {other} and {name}: give one "
                    "of them another name, or both the same archive and commit"
                )
    return {name: source for name, (_, source) in sorted(by_name.items())}


def missing_sources(
    sources: Iterable[Source], project: Path, bundles: Path | None = None
) -> list[Source]:
    """The sources that are out of reach; the others are in the cache afterwards.

    Raises:
        SourceRejected: a source is there but is a different one.
    """
    missing: list[Source] = []
    for source in sources:
        try:
            obtain(source, project, bundles)
        except SourcesUnavailable:
            missing.append(source)
    return missing


def missing_of_stack(manifests: Path, release: str, bundles: Path | None = None) -> list[Source]:
    """The sources that are out of reach, of all that a stack of ``release`` renders.

    Args:
        manifests: the folder of all releases.
        release: the stack's release.
        bundles: the stack's own setting.

    Raises:
        SourceRejected: a source is there but is a different one.
    """
    sources = sources_of_stack(manifests / release, manifests)
    return missing_sources(sources.values(), manifests.parent, bundles)
