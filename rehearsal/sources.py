"""Whether the upstream sources of a stack's releases are at hand, asked before anything runs."""

from __future__ import annotations

from pathlib import Path

from rendering import SourcesUnavailable, sources
from rendering.release import load


def absent_sources(manifests: Path, release: str, bundles: Path | None = None) -> dict[str, str]:
    """Release name to the sentence that says how to get its sources; empty when all are here.

    Args:
        manifests: the folder of all releases.
        release: the stack's release; the add-ons always count.
        bundles: the stack's own setting.
    """
    absent: dict[str, str] = {}
    add_ons = sorted(path.parent for path in (manifests / "addons").glob("*/release.yaml"))
    for folder in (manifests / release, *add_ons):
        if not (folder / "release.yaml").exists():
            continue
        described = load(folder)
        try:
            for source in described.sources:
                sources.obtain(source, manifests.parent, bundles)
        except SourcesUnavailable as unavailable:
            absent[described.name] = str(unavailable)
    return absent
