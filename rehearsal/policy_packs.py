"""How a rehearsal attaches policy packs.

The engine starts a pack in Python by the program ``pulumi-analyzer-policy-python`` on PATH where it
has no ``pulumi-language-python``. With ``environment()``, the project's own pack reports every
finding, exempt ones too, and reports it as advisory, so that a rehearsal ends with its plan files
also where a real preview is refused. What the level is, the last line of each message has.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
OWN_PACK = PROJECT / "policies"
"""The project's own pack."""


def environment() -> dict[str, str]:
    """Variables of the engine's process that policy packs need."""
    analyzers = str(PROJECT / "toolchain" / "analyzers")
    return {
        "PATH": os.pathsep.join([analyzers, os.environ.get("PATH", os.defpath)]),
        "KUBEFLOW_PYTHON": sys.executable,
        "KUBEFLOW_FINDINGS": "1",
    }


def row_of(message: str) -> Mapping[str, str] | None:
    """The row of findings.json that the message of a policy event has; None in another pack's."""
    last = message.rstrip().rpartition("\n")[2]
    try:
        row = json.loads(last)
    except ValueError:
        return None
    return row if isinstance(row, dict) and {"policy", "level", "reason"} <= row.keys() else None
