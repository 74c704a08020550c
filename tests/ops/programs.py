"""Programs on the PATH that print what a test decides."""

from __future__ import annotations

import json
from pathlib import Path

from ops.tool_checks import plugins

PLUGINS = json.dumps([{"name": name, "version": version} for name, version in plugins()])
WORKING = {
    "pulumi": f"case $1 in plugin) echo '{PLUGINS}';; *) echo v3.259.0;; esac",
    "pulumi-language-python": "",
    "aws": "echo aws-cli/2.31.2 Python/3.13.7 Linux/6.1 exe/x86_64",
    "kubectl": 'echo \'{"clientVersion": {"gitVersion": "v1.36.1"}}\'',
}


def install(folder: Path, **changed: str | None) -> Path:
    """Writes the working programs, some of them changed (_ for -), or left out (None)."""
    folder.mkdir(exist_ok=True)
    own = {name.replace("_", "-"): script for name, script in changed.items()}
    for name, script in (WORKING | own).items():
        if script is not None:
            (folder / name).write_text(f"#!/bin/sh\n{script}\n")
            (folder / name).chmod(0o755)
    return folder
