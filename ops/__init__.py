"""The command line ``./kf``: checks of stacks and platforms, images and bundles of sources."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path


@cache
def version() -> str:
    """The version of the project, which only ``[project]`` in pyproject.toml contains."""
    text = (Path(__file__).resolve().parent.parent / "pyproject.toml").read_text(encoding="utf-8")
    return str(tomllib.loads(text)["project"]["version"])
