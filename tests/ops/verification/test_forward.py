"""The way into the cluster where kubectl gives none."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ops.cli_errors import Refused
from ops.verification import forward
from ops.verification.forward import Forward
from tests.ops.verification.deep_platform import DeepPlatform


def test_a_kubectl_that_says_nothing_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy keeps the connection, and never answers that it is upgraded."""
    deep = DeepPlatform(tmp_path, monkeypatch)
    folder = tmp_path / "silent"
    folder.mkdir()
    silent = folder / "kubectl"
    silent.write_text("#!/bin/sh\nexec sleep 600\n")
    silent.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    monkeypatch.setattr(forward, "OPEN_SECONDS", 0.3)
    begun = time.monotonic()
    with (
        Forward(deep.platform, "kubeflow", "service/ml-pipeline", 8888) as way,
        pytest.raises(Refused, match="kubectl forwards nothing to service/ml-pipeline of kubeflow"),
    ):
        way.request("/")
    assert time.monotonic() - begun < 300
