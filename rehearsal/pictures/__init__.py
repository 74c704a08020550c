"""The pictures of the documentation, drawn from a plan: ``docs/pictures/``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rehearsal.pictures.canvas import Language
from rehearsal.pictures.facts import Facts, Row
from rehearsal.pictures.gpu_pool import gpu_pool, measured
from rehearsal.pictures.image_path import image_path
from rehearsal.pictures.platform import platform


def pictures(rows: Sequence[Row], elasticity: str) -> Iterator[tuple[str, str]]:
    """Name of a file and its SVG, of each picture in both languages.

    Args:
        rows: of ``plan.json``.
        elasticity: the page whose measurements are shown (docs/elasticity.md).
    """
    facts, seen = Facts(rows), measured(elasticity)
    for language in Language:
        yield f"architecture{language.suffix}.svg", platform(facts, language)
        yield f"image-path{language.suffix}.svg", image_path(facts, language)
        yield f"gpu-pool{language.suffix}.svg", gpu_pool(facts, seen, language)
