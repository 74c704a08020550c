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

from rendering import Rendered
from rendering.cache import canonical_json, sha256_of
from rendering.needs import sources_of_stack
from rendering.release import Source
from rendering.sources import GIT_PREFIX, Unpacked, obtain
from tests.releases import PIPELINES_2
from tests.rendering.beijing import MANIFESTS, rendered
from tests.rendering.conftest import TinyProject
from tests.rendering.git_host import GitHost

PROJECT = MANIFESTS.parent
NAMESPACE = ("unshare", "--map-root-user", "--net")
Address = tuple[str, int]


@pytest.fixture(scope="module")
def listening() -> Generator[Address]:
    """Something to reach on this machine, so that being cut off can be told from being alone."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()


def report_of(folder: Path, listening: Address, *before: str) -> dict[str, Any]:
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
    offline = report_of(tiny.release, listening, *NAMESPACE)
    (own_cache / "render" / f"{offline['digest']}.json").unlink()
    online = report_of(tiny.release, listening)
    assert online.pop("answer") == "connected"
    # The loopback interface of a new namespace is down, so even this machine is out of reach.
    assert offline.pop("answer") == "ENETUNREACH"
    assert offline.pop("interfaces") == ["lo"]
    assert len(online.pop("interfaces")) >= 1
    assert offline == online
    assert offline["objects"] > 10
    assert offline["images"] > 0


Published = tuple[Rendered, list[tuple[Source, Unpacked]]]


@pytest.fixture
def as_published() -> Published:
    """The newest release and its sources, by whatever way leads to them on this machine."""
    wanted = sources_of_stack(MANIFESTS / PIPELINES_2[-1], MANIFESTS).values()
    return rendered(PIPELINES_2[-1]), [(source, obtain(source, PROJECT)) for source in wanted]


@pytest.fixture
def from_git(
    as_published: Published, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A cache with nothing but its sources, each fetched from a git host of its files."""
    host = GitHost(tmp_path / "git-host")
    monkeypatch.setenv(GIT_PREFIX, host.prefix)
    for source, published in as_published[1]:
        host.publish_folder(source.repository, source.ref, published.folder)
        fetched = obtain(source, tmp_path / "alone")
        assert fetched.digest == published.digest
        assert fetched.folder.is_relative_to(own_cache)
    return own_cache


def test_kubeflow_from_git_renders_the_same_without_a_network(
    from_git: Path, as_published: Published, listening: Address
) -> None:
    offline = report_of(MANIFESTS / PIPELINES_2[-1], listening, *NAMESPACE)
    assert offline["answer"] == "ENETUNREACH"
    assert (from_git / "render" / f"{offline['digest']}.json").is_file()
    assert offline["objects"] > 500
    assert offline["crds"] > 50
    assert offline["images"] > 80
    rendered = as_published[0]
    assert offline["content"] == sha256_of(canonical_json([rendered.objects, list(rendered.crds)]))
