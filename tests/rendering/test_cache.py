"""A stored render is used again only by the code that made it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rendering.cache import code_digest

ROOT = Path(__file__).parents[2]
LOADED = """
import sys, rendering
from rendering import render
print(*(module.__file__ for module in sys.modules.values() if getattr(module, "__file__", None)))
"""


def test_the_digest_of_the_code_covers_every_file_that_a_render_loads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = {Path(name) for name in done.stdout.split()}
    own = {path for path in loaded if ROOT in path.parents and ROOT / ".venv" not in path.parents}
    tables = set((ROOT / "rendering").glob("*.yaml"))
    assert len(own) > 20
    assert len(tables) > 1
    read: set[Path] = set()
    reading = Path.read_bytes

    def recorded(path: Path) -> bytes:
        read.add(path)
        return reading(path)

    monkeypatch.setattr(Path, "read_bytes", recorded)
    code_digest()
    assert own | tables <= read
