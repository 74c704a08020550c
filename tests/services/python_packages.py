"""Python packages in virtual environments of their own, in the versions that the platform meets."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import venv
from pathlib import Path

from rendering.cache import cache_folder
from toolchain.go_programs import Say, alone
from toolchain.tools import ToolMissing


def interpreter(requirements: Path, what: str, say: Say) -> Path:
    """The Python that has the packages, from the cache or installed.

    Args:
        requirements: a file that pins every package, since dependencies are not looked for; its
            name without suffix names the folder in the cache.
        what: the packages, in a message.
        say: gets one line before an installation.

    Raises:
        ToolMissing: pip could not install them; with its last line.
    """
    text = f"{requirements.read_text()}{sys.version}{sys.prefix}"
    key = hashlib.sha256(text.encode()).hexdigest()
    folder = cache_folder("tools") / f"{requirements.stem}-{key[:16]}"
    python, complete = folder / "venv" / "bin" / "python", folder / "complete"
    with alone(folder, say):
        if not complete.exists():
            say(f"Python packages: installing {what} into {folder}")
            venv.create(folder / "venv", clear=True, symlinks=True)
            _install(python, requirements, what)
            complete.touch()
    return python


def _install(python: Path, requirements: Path, what: str) -> None:
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    options = ["--disable-pip-version-check", "--no-deps", "--requirement", str(requirements)]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ToolMissing(f"pip could not install {what}: {last}")
