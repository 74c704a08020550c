"""The exit codes of every command; docs/command-line.md explains them."""

from __future__ import annotations

import os

FAILED = 1
"""The command found something, or failed."""

BAD_INPUT = 2
"""An option, the stack file, a tool, credentials or a kubeconfig: the sentence says which."""

INCOMPLETE = 3
"""Nothing was found as far as it was checked, or somebody must decide first."""

INTERRUPTED = 130
"""Ctrl-C; the number is that of shells."""

READER_GONE = 141
"""The program that read the output has ended; the number is that of shells."""


def incomplete_fails() -> bool:
    """An incomplete result fails on machines that test or deploy, as ``CI=true`` marks them."""
    return os.environ.get("CI", "").lower() in ("true", "1")
