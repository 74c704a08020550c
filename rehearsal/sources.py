"""Whether a rehearsal may go on without some upstream sources."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from rendering import SourcesUnavailable
from rendering.needs import missing_sources, sources_of_stack
from rendering.release import Source


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


def incomplete(missing: Sequence[Source]) -> str:
    """One line with each missing source and the way out."""
    return f"INCOMPLETE, {SourcesUnavailable(missing)}"


def incomplete_fails() -> bool:
    """An incomplete result fails on machines that test or deploy, as ``CI=true`` marks them."""
    return os.environ.get("CI", "").lower() in ("true", "1")
