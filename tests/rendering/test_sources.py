"""Sources come from the first way that leads to them, and only if they are what was named."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from rendering import SourceRejected, SourcesUnavailable, checkout
from rendering.cache import file_sha256
from rendering.release import Source
from rendering.sources import GIT_PREFIX, obtain
from tests.rendering.conftest import archive
from tests.rendering.git_host import GitHost

BUNDLE = "widgets-1.tar.gz"


@pytest.fixture
def project(tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    assert own_cache.is_dir()
    monkeypatch.setenv(GIT_PREFIX, str(tmp_path / "no-such-host"))
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    content = tmp_path / "content"
    content.mkdir()
    (content / "kustomization.yaml").write_text("resources: []\n")
    path = tmp_path / "elsewhere" / BUNDLE
    path.parent.mkdir()
    path.write_bytes(archive(content, "widgets-1"))
    return path


def source_of(bundle: Path, **more: str) -> Source:
    return Source.model_validate(
        {"name": "widgets", "bundle": BUNDLE, "sha256": file_sha256(bundle), **more}
    )


Placed = Callable[[Path, Path, pytest.MonkeyPatch], Path | None]


def as_argument(bundle: Path, _project: Path, _patch: pytest.MonkeyPatch) -> Path | None:
    return bundle.parent


def as_argument_naming_the_file(bundle: Path, _project: Path, _patch: pytest.MonkeyPatch) -> Path:
    return bundle


def in_environment(bundle: Path, _project: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("KUBEFLOW_BUNDLES", os.pathsep.join(["/nowhere", str(bundle.parent)]))


def in_project(bundle: Path, project: Path, _patch: pytest.MonkeyPatch) -> None:
    (project / "bundles").mkdir()
    bundle.rename(project / "bundles" / BUNDLE)


def in_shared(bundle: Path, project: Path, _patch: pytest.MonkeyPatch) -> None:
    (project.parent / "shared" / "upstream").mkdir(parents=True)
    bundle.rename(project.parent / "shared" / "upstream" / BUNDLE)


@pytest.mark.parametrize(
    "placed", [as_argument, as_argument_naming_the_file, in_environment, in_project, in_shared]
)
def test_an_archive_is_found(
    placed: Placed, project: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = source_of(bundle)
    argument = placed(bundle, project, monkeypatch)
    found = obtain(source, project, argument)
    assert (found.folder / "kustomization.yaml").is_file()
    assert found.identity == f"sha256:{source.sha256}"


def test_an_unpacked_archive_is_not_needed_again(project: Path, bundle: Path) -> None:
    source = source_of(bundle)
    first = obtain(source, project, bundle.parent)
    bundle.unlink()
    assert obtain(source, project) == first


def test_an_archive_of_another_digest_is_refused(project: Path, bundle: Path) -> None:
    source = source_of(bundle)
    bundle.write_bytes(bundle.read_bytes() + b"\0")
    with pytest.raises(SourceRejected, match=f"release.yaml names {source.sha256}"):
        obtain(source, project, bundle.parent)


@pytest.mark.parametrize("member", ["../outside", "/etc/outside"])
def test_an_archive_cannot_write_outside_its_folder(
    member: str, project: Path, tmp_path: Path, own_cache: Path
) -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as writer:
        writer.addfile(tarfile.TarInfo(member))
    path = tmp_path / BUNDLE
    path.write_bytes(content.getvalue())
    if member.startswith("/"):
        # The filter drops the leading slash: the member lands inside.
        obtain(source_of(path), project, tmp_path)
    else:
        with pytest.raises(SourceRejected, match="cannot be unpacked"):
            obtain(source_of(path), project, tmp_path)
    assert not list(own_cache.rglob("../outside"))


@pytest.mark.parametrize(
    "way", [BUNDLE, "KUBEFLOW_BUNDLES", "./bundles", "../shared/upstream", "git", GIT_PREFIX]
)
def test_without_a_way_the_sentence_names_them(way: str, project: Path, bundle: Path) -> None:
    source = source_of(bundle, repository="tiny/widgets", ref="1", commit="0" * 40)
    with pytest.raises(SourcesUnavailable) as failure:
        obtain(source, project)
    assert way in str(failure.value)
    assert "\n" not in str(failure.value)


@pytest.fixture
def repository(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A git host on this disk with one tagged repository; returns the tag's commit."""
    assert project.is_dir()
    host = GitHost(tmp_path / "git-host")
    monkeypatch.setenv(GIT_PREFIX, host.prefix)
    return host.publish("tiny/widgets", "v1", {"kustomization.yaml": "resources: []\n"})


def test_git_is_the_last_way(project: Path, bundle: Path, repository: str) -> None:
    source = source_of(bundle, repository="tiny/widgets", ref="v1", commit=repository)
    found = obtain(source, project)
    assert (found.folder / "kustomization.yaml").is_file()
    assert found.identity == checkout.identity(source)
    assert found.identity != obtain(source, project, bundle).identity


def test_a_source_needs_no_archive(project: Path, repository: str) -> None:
    source = Source(name="widgets", repository="tiny/widgets", ref="v1", commit=repository)
    assert obtain(source, project).identity == checkout.identity(source)


def test_a_moved_tag_is_refused(project: Path, bundle: Path, repository: str) -> None:
    source = source_of(bundle, repository="tiny/widgets", ref="v1", commit="0" * 40)
    with pytest.raises(SourceRejected, match=repository):
        obtain(source, project)


@pytest.mark.parametrize("placed", [as_argument, as_argument_naming_the_file, in_environment])
def test_what_a_person_points_at_is_verified_though_the_cache_has_it(
    placed: Placed, project: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = source_of(bundle)
    obtain(source, project, bundle)
    bundle.write_bytes(bundle.read_bytes()[:-1])
    argument = placed(bundle, project, monkeypatch)
    with pytest.raises(SourceRejected, match="damaged or of another version"):
        obtain(source, project, argument)


def test_an_archive_without_a_repository_says_where_it_comes_from(
    project: Path, bundle: Path
) -> None:
    with pytest.raises(SourcesUnavailable, match=r"\./kf bundle create.*laid out as no git repo"):
        obtain(source_of(bundle), project)
