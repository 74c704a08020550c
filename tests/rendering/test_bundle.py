"""A bundle carries every source of a release, and is used only if it is the right one."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from rendering import cache, render
from rendering.bundle import read
from rendering.checkout import GIT_PREFIX, check_out
from rendering.needs import sources_of_stack
from rendering.objects import RenderError
from rendering.packing import create, verify
from rendering.release import load
from rendering.source_files import SourceRejected, files_digest
from tests.rendering.conftest import archive
from tests.rendering.git_host import GitHost, config_map, widgets

UNREACHABLE = "file:///no-such-host"


@dataclass(frozen=True)
class Project:
    """One release with an archive and a git source, a folder it includes, and an add-on."""

    root: Path

    @property
    def release(self) -> Path:
        return self.root / "manifests" / "one"

    def describe(self, folder: str, described: dict[str, Any]) -> None:
        path = self.root / "manifests" / folder
        path.mkdir(parents=True, exist_ok=True)
        (path / "release.yaml").write_text(yaml.safe_dump(described))

    def bundle(self, name: str = "one.bundle.tar") -> Path:
        out = self.root.parent / "made" / name
        create(self.release, out, project=self.root, created_by="kf test")
        return out


def archived(root: Path, name: str) -> dict[str, str]:
    content = root.parent / "content" / name
    content.mkdir(parents=True)
    (content / "thing.yaml").write_text(config_map(name, "{a: b}"))
    (content / "kustomization.yaml").write_text("resources: [thing.yaml]\n")
    path = root / "bundles" / f"{name}-v1.tar.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(archive(content, name))
    return {
        "name": name,
        "repository": f"tiny/{name}",
        "ref": "v1",
        "commit": "0" * 40,
        "digest": files_digest(content),
    }


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the project and its git host, which every test has a copy of."""
    folder = tmp_path_factory.mktemp("bundle")
    host = GitHost(folder / "git-host")
    project = Project(folder / "project")
    in_git = widgets(host)
    project.describe("one", {"name": "one", "sources": [in_git]})
    (source,) = load(project.release).sources
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBEFLOW_CACHE", str(folder / "cache"))
        patch.setenv(GIT_PREFIX, host.prefix)
        check_out(source, folder / "clone")
    in_git["checkout"] = files_digest(folder / "clone")
    sources = [archived(project.root, "plain"), in_git]
    project.describe("one", {"name": "one", "includes": ["addons/part"], "sources": sources})
    project.describe("addons/part", {"name": "p", "sources": [archived(project.root, "part")]})
    project.describe("addons/alone", {"name": "a", "sources": [archived(project.root, "alone")]})
    (project.release / "kustomization.yaml").write_text(
        "resources: [../../sources/plain, ../../sources/widgets/base, ../../sources/part]\n"
    )
    return folder


@pytest.fixture
def project(
    made_once: Path, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> Project:
    assert own_cache.is_dir()
    for name in ("git-host", "project"):
        shutil.copytree(made_once / name, tmp_path / name)
    monkeypatch.setenv(GIT_PREFIX, GitHost(tmp_path / "git-host").prefix)
    return Project(tmp_path / "project")


@pytest.fixture
def elsewhere(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Project, Path]:
    """The same project on another machine: no archives, no git, an empty cache, one bundle."""
    bundle = project.bundle()
    for path in (project.root / "bundles").iterdir():
        path.unlink()
    cut_off(tmp_path / "other-cache", monkeypatch)
    return project, bundle


def cut_off(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    monkeypatch.setenv(GIT_PREFIX, UNREACHABLE)
    monkeypatch.setenv("KUBEFLOW_CACHE", str(folder))


def names(project: Project, bundles: Path | None = None) -> list[str]:
    rendered = render(
        project.release, partition="aws", dns_suffix="x", registry=None, bundles=bundles
    )
    return sorted(obj["metadata"]["name"] for obj in rendered.objects)


ALL = ["gadget", "gizmos-gizmo", "part", "plain", "shared", "widget"]


def test_a_bundle_holds_everything_a_render_needs(
    elsewhere: tuple[Project, Path],
) -> None:
    project, bundle = elsewhere
    assert names(project, bundle) == ALL


@pytest.mark.parametrize("where", ["KUBEFLOW_BUNDLES file", "KUBEFLOW_BUNDLES folder", "bundles/"])
def test_it_is_found_where_archives_are(
    where: str, elsewhere: tuple[Project, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, bundle = elsewhere
    if where == "bundles/":
        bundle.rename(project.root / "bundles" / bundle.name)
    else:
        place = bundle if where.endswith("file") else bundle.parent
        monkeypatch.setenv("KUBEFLOW_BUNDLES", str(place))
    assert names(project) == ALL


def test_equal_sources_give_equal_bytes(project: Project) -> None:
    assert project.bundle().read_bytes() == project.bundle("again.bundle.tar").read_bytes()


def test_a_bundle_of_a_bundle_is_the_same(
    elsewhere: tuple[Project, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, bundle = elsewhere
    monkeypatch.setenv("KUBEFLOW_BUNDLES", str(bundle))
    assert project.bundle("again.bundle.tar").read_bytes() == bundle.read_bytes()


def test_bundle_json_says_where_everything_comes_from(project: Project) -> None:
    with tarfile.open(project.bundle()) as tar:
        assert tar.getnames()[0] == "bundle.json"
        assert {(m.mtime, m.uid, m.mode) for m in tar.getmembers()} == {(0, 0, 0o644)}
        stream = tar.extractfile("bundle.json")
        assert stream is not None
        manifest = json.load(stream)
    assert (manifest["release"], manifest["created_by"]) == ("one", "kf test")
    names = [source["name"] for source in manifest["sources"]]
    assert names == ["alone", "part", "plain", "widgets"]
    widget = manifest["sources"][3]
    (source,) = [each for each in load(project.release).sources if each.name == "widgets"]
    assert (widget["repository"], widget["ref"]) == ("tiny/widgets", "v1")
    assert widget["commit"] == source.commit
    assert widget["digest"] == source.checkout
    assert widget["made_local"] == ["tiny/gadgets v2", "tiny/gizmos v3"]


def wanted(project: Project) -> dict[str, Any]:
    return sources_of_stack(project.release, project.root / "manifests")


def test_the_bundle_that_was_made_verifies(elsewhere: tuple[Project, Path]) -> None:
    project, bundle = elsewhere
    assert verify(bundle, wanted(project)) == read(bundle)


def remade(
    bundle: Path,
    change: dict[str, bytes],
    contents: dict[str, Any] | None = None,
    digest: str | None = None,
) -> None:
    """Writes the bundle again with other members, as somebody would who wants to be believed."""
    with tarfile.open(bundle) as tar:
        members = {m.name: tar.extractfile(m).read() for m in tar.getmembers()}  # type: ignore[union-attr]
    manifest = json.loads(members["bundle.json"]) | (contents or {})
    for source in manifest["sources"]:
        if source["file"] in change:
            source["sha256"] = cache.sha256_of(change[source["file"]])
            source["digest"] = digest or source["digest"]
    members |= change | {"bundle.json": json.dumps(manifest).encode()}
    with tarfile.open(bundle, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def file_of(bundle: Path, name: str) -> str:
    return next(packed.file for packed in read(bundle).sources if packed.name == name)


def damage_a_byte(bundle: Path) -> None:
    content = bytearray(bundle.read_bytes())
    with tarfile.open(bundle) as tar:
        at = tar.getmember(file_of(bundle, "plain")).offset_data
    content[at + 30] ^= 1
    bundle.write_bytes(content)


def cut(bundle: Path) -> None:
    bundle.write_bytes(bundle.read_bytes()[:2000])


def no_tar(bundle: Path) -> None:
    bundle.write_bytes(b"<html>404</html>")


def no_manifest(bundle: Path) -> None:
    with tarfile.open(bundle, "w") as tar:
        tar.addfile(tarfile.TarInfo("other"))


def a_sparse_manifest(bundle: Path) -> None:
    """Zeros of a terabyte in a file of ten kilobytes."""
    info = tarfile.TarInfo("bundle.json")
    info.pax_headers = {"GNU.sparse.size": str(1 << 40), "GNU.sparse.map": "0,0"}
    with tarfile.open(bundle, "w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(info)


def another_archive(bundle: Path) -> None:
    remade(bundle, {file_of(bundle, "plain"): b"another archive"}, digest="f" * 64)


def an_archive_that_is_none(bundle: Path) -> None:
    remade(bundle, {file_of(bundle, "plain"): b"<html>404</html>"})


def another_clone(bundle: Path) -> None:
    content = bundle.parent / "forged"
    content.mkdir()
    (content / "kustomization.yaml").write_text("resources: []\n")
    remade(bundle, {file_of(bundle, "widgets"): archive(content, "widgets")})


def another_format(bundle: Path) -> None:
    remade(bundle, {}, {"format": 1})


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (damage_a_byte, "is damaged: its sources/plain-v1.tar.gz has the sha256"),
        (cut, "cannot be read as a bundle|lacks sources/|is damaged"),
        (no_tar, "cannot be read as a bundle"),
        (no_manifest, "is no bundle: it has no bundle.json"),
        (a_sparse_manifest, "bundle.json in it has 1099511627776 bytes, more than the whole file"),
        (
            another_archive,
            "is a bundle of release one with [0-9a-f]+ as the digest of plain, but release.yaml",
        ),
        (an_archive_that_is_none, r"one.bundle.tar cannot be unpacked: Not a gzipped file"),
        (
            another_clone,
            "is damaged or of another version: its files of widgets v1 have the digest",
        ),
        (another_format, "has an unreadable bundle.json: format"),
    ],
)
def test_a_corrupted_or_wrong_bundle_is_refused_in_one_sentence(
    harm: Any, sentence: str, elsewhere: tuple[Project, Path]
) -> None:
    project, bundle = elsewhere
    harm(bundle)
    for refused in (lambda: names(project, bundle), lambda: verify(bundle, wanted(project))):
        with pytest.raises(SourceRejected, match=sentence) as failure:
            refused()
        assert "\n" not in str(failure.value)


def test_members_that_nobody_listed_are_refused(elsewhere: tuple[Project, Path]) -> None:
    _, bundle = elsewhere
    remade(bundle, {"sources/more.tar.gz": b""})
    with pytest.raises(SourceRejected, match=r"holds sources/more\.tar\.gz, which its bundle"):
        verify(bundle)


def test_a_bundle_without_a_needed_source_is_refused(elsewhere: tuple[Project, Path]) -> None:
    project, bundle = elsewhere
    project.describe("addons/new", {"name": "n", "sources": [archived(project.root, "new")]})
    with pytest.raises(SourceRejected, match="bundle of release one without new"):
        verify(bundle, wanted(project))


def test_a_folder_can_hold_the_bundles_of_other_releases(
    elsewhere: tuple[Project, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, bundle = elsewhere
    other = bundle.with_name("another.bundle.tar")
    other.write_bytes(bundle.read_bytes())
    another_archive(other)
    monkeypatch.setenv("KUBEFLOW_BUNDLES", str(bundle.parent))
    assert names(project) == ALL


def test_a_clone_goes_into_a_bundle_only_with_its_digest_reviewed(project: Project) -> None:
    described = yaml.safe_load((project.release / "release.yaml").read_text())
    digest = described["sources"][1].pop("checkout")
    project.describe("one", described)
    with pytest.raises(SourceRejected, match=f"widgets v1 have the digest {digest}, but release.y"):
        project.bundle()


def test_one_name_cannot_stand_for_two_sources(project: Project) -> None:
    other = archived(project.root, "other") | {"name": "plain"}
    project.describe("addons/alone", {"name": "a", "sources": [other]})
    with pytest.raises(RenderError, match="the source plain is not the same in one and addons/al"):
        project.bundle()


def test_half_a_bundle_is_never_left(project: Project, own_cache: Path) -> None:
    (project.root / "bundles" / "alone-v1.tar.gz").unlink()
    shutil.rmtree(own_cache / "sources", ignore_errors=True)
    with pytest.raises(RenderError):
        project.bundle()
    assert not (project.root.parent / "made").exists()
