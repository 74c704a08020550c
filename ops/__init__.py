"""The command line, ``./kf``: what a person does beside ``pulumi up``."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path


@cache
def version() -> str:
    """The version of the project, which ``[project]`` in pyproject.toml holds alone."""
    text = (Path(__file__).resolve().parent.parent / "pyproject.toml").read_text(encoding="utf-8")
    return str(tomllib.loads(text)["project"]["version"])
