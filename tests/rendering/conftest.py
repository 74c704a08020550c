"""The releases of Beijing, and a tiny one of our own making that needs no upstream sources."""

from __future__ import annotations

import io
import re
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from rendering import Rendered, cache, checkout, kustomize, render
from rendering.source_files import files_digest
from tests.releases import PIPELINES_2
from tests.rendering.beijing import Release, kubeflow

TINY = Path(__file__).parent / "tiny"


def archive(folder: Path, top: str) -> bytes:
    """A source archive with one top folder, as the project's bundles have."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as writer:
        writer.add(folder, arcname=top)
    return content.getvalue()


@dataclass(frozen=True)
class TinyProject:
    """A project folder with one release and the archive of its source."""

    root: Path
    release: Path
    bundle: Path

    def render(self, registry: str | None = "<<image.prefix>>") -> Rendered:
        return render(
            self.release, partition="aws-cn", dns_suffix="amazonaws.com.cn", registry=registry
        )


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that starts empty but for the tools, which are costly and not under test."""
    tools = cache.cache_folder("tools")
    folder = tmp_path / "cache"
    folder.mkdir()
    (folder / "tools").symlink_to(tools, target_is_directory=True)
    monkeypatch.setenv("KUBEFLOW_CACHE", str(folder))
    monkeypatch.delenv("KUBEFLOW_BUNDLES", raising=False)
    # A test that reaches a git host serves it itself.
    monkeypatch.setenv("KUBEFLOW_GIT_PREFIX", f"file://{tmp_path}/no-such-host")
    monkeypatch.setattr(checkout, "_unreachable", set[str]())
    return folder


@pytest.fixture
def tiny(tmp_path: Path, own_cache: Path) -> TinyProject:
    root = tmp_path / "project"
    release = root / "manifests" / "tiny"
    shutil.copytree(TINY / "release", release)
    bundle = root / "bundles" / "tiny-source.tar.gz"
    bundle.parent.mkdir()
    bundle.write_bytes(archive(TINY / "source", "tiny-source"))
    described = release / "release.yaml"
    digest = files_digest(TINY / "source")
    described.write_text(re.sub(r"0{64}", digest, described.read_text()))
    return TinyProject(root, release, bundle)


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every folder that kustomize is run on."""
    folders: list[Path] = []
    really: Callable[[kustomize.Kustomize, Path], str] = kustomize.build

    def record(tool: kustomize.Kustomize, folder: Path) -> str:
        folders.append(folder)
        return really(tool, folder)

    monkeypatch.setattr(kustomize, "build", record)
    return folders


@pytest.fixture(scope="module", params=PIPELINES_2)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def release(name: str) -> Release:
    return kubeflow(name)
