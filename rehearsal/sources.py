"""The sentence of a rehearsal that goes on without some upstream sources."""

from __future__ import annotations

from collections.abc import Sequence

from rendering import SourcesUnavailable
from rendering.release import Source


def incomplete(missing: Sequence[Source]) -> str:
    """One line with each missing source and the way out."""
    return f"INCOMPLETE, {SourcesUnavailable(missing)}"
