"""How a rehearsal attaches policy packs.

The engine starts a pack in Python by the program ``pulumi-analyzer-policy-python`` on PATH where it
has no ``pulumi-language-python``. The project's own pack reports each finding as JSON in the last
line of its message (``policies/pack.py``), exempt ones too, and all as advisory: a rehearsal then
ends with its plan files also where a real preview would fail, and its caller judges the findings.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
OWN_PACK = PROJECT / "policies"
"""The project's own pack, for ``Rehearsal``'s ``policy_packs``."""


def environment() -> dict[str, str]:
    """Variables of the engine's process that policy packs need."""
    analyzers = str(PROJECT / "toolchain" / "analyzers")
    return {
        "PATH": os.pathsep.join([analyzers, os.environ.get("PATH", os.defpath)]),
        "KUBEFLOW_PYTHON": sys.executable,
        "KUBEFLOW_FINDINGS": "1",
    }
