"""Once the sources are on this machine, a render needs no network: it runs where there is none.

The namespace of its own comes from `unshare` (util-linux). It takes root, or a kernel that lets
everybody make user namespaces; in a container CAP_SYS_ADMIN (`--privileged`), and on Ubuntu 24.04
`sysctl kernel.apparmor_restrict_unprivileged_userns=0`.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from rendering.assembly import assemble
from rendering.cache import cache_folder
from tests.rendering.beijing import MANIFESTS
from tests.rendering.conftest import TinyProject

PROJECT = MANIFESTS.parent
NAMESPACE = ("unshare", "--map-root-user", "--net")
Address = tuple[str, int]


@pytest.fixture(scope="module")
def listening() -> Generator[Address]:
    """Something to reach on this machine, so that being cut off can be told from being alone."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()


def told(folder: Path, listening: Address, *before: str) -> dict[str, Any]:
    program = [sys.executable, "-m", "tests.rendering.cut_off", str(folder), *map(str, listening)]
    done = subprocess.run(
        [*before, *program],
        cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(before)}: {done.stderr}"
    return json.loads(done.stdout)


def test_a_release_renders_the_same_without_a_network(
    tiny: TinyProject, own_cache: Path, listening: Address
) -> None:
    offline = told(tiny.release, listening, *NAMESPACE)
    (own_cache / "render" / f"{offline['digest']}.json").unlink()
    online = told(tiny.release, listening)
    assert online.pop("answer") == "connected"
    # The loopback interface of a new namespace is down, so even this machine is out of reach.
    assert offline.pop("answer") == "ENETUNREACH"
    assert offline.pop("interfaces") == ["lo"]
    assert len(online.pop("interfaces")) >= 1
    assert offline == online
    assert offline["objects"] > 10
    assert offline["images"] > 0


@pytest.fixture
def unpacked() -> Path:
    """The cache folder that holds the sources of 26.03; they are fetched if they must be."""
    assemble(MANIFESTS / "26.03", None)
    return cache_folder("sources")


def test_kubeflow_renders_without_a_network(
    unpacked: Path, own_cache: Path, listening: Address
) -> None:
    (own_cache / "sources").symlink_to(unpacked, target_is_directory=True)
    offline = told(MANIFESTS / "26.03", listening, *NAMESPACE)
    assert offline["answer"] == "ENETUNREACH"
    assert offline["objects"] > 500
    assert offline["crds"] > 50
    assert offline["images"] > 80
