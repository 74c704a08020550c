"""A clone becomes self-contained: other repositories by the same prefix, each at its commit."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from rendering import SourcesUnavailable, kustomize
from rendering.checkout import GIT_PREFIX, CloneFailed, check_out, shown
from rendering.kustomize import KustomizeFailed
from rendering.release import Source, VersionRange
from rendering.source_files import SourceRejected, files_digest
from rendering.sources import Unpacked, obtain
from tests.rendering.conftest import archive
from tests.rendering.git_host import GitHost, config_map, widgets


@pytest.fixture
def host(tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> GitHost:
    assert own_cache.is_dir()
    host = GitHost(tmp_path / "git-host")
    monkeypatch.setenv(GIT_PREFIX, host.prefix)
    return host


def checked_out(tmp_path: Path, described: dict[str, Any]) -> Path:
    folder = tmp_path / "clone"
    check_out(Source.model_validate(described), folder)
    return folder


def obtained(tmp_path: Path, described: dict[str, Any]) -> Unpacked:
    return obtain(Source.model_validate(described), tmp_path / "project")


def test_remote_bases_become_folders_of_the_clone(host: GitHost, tmp_path: Path) -> None:
    clone = checked_out(tmp_path, widgets(host))
    text = (clone / "base" / "kustomization.yaml").read_text()
    assert yaml.safe_load(text)["resources"] == [
        "../remote/gadgets-v2/config/base",
        "../remote/gizmos-v3/asset",
        "widget.yaml",
    ]
    assert "# asset" in text
    assert not (clone / "remote" / "gadgets-v2" / "code").exists()
    assert not (clone / ".git").exists()


def test_the_clone_builds_as_the_remote_bases_would_have(host: GitHost, tmp_path: Path) -> None:
    clone = checked_out(tmp_path, widgets(host))
    text = kustomize.build(kustomize.find(VersionRange()), clone / "base")
    objects = {each["metadata"]["name"]: each for each in yaml.safe_load_all(text)}
    assert sorted(objects) == ["gadget", "gizmos-gizmo", "shared", "widget"]
    (container,) = objects["gizmos-gizmo"]["spec"]["containers"]
    assert container["image"] == "registry.example/gizmo:v3"


def test_an_asset_is_flat_so_that_names_in_it_are_final(host: GitHost, tmp_path: Path) -> None:
    clone = checked_out(tmp_path, widgets(host))
    asset = clone / "remote" / "gizmos-v3" / "asset"
    assert yaml.safe_load((asset / "kustomization.yaml").read_text())["resources"] == [
        "manifests.yaml"
    ]
    (pod,) = yaml.safe_load_all((asset / "manifests.yaml").read_text())
    assert pod["metadata"]["name"] == "gizmos-gizmo"


def test_a_tag_that_kustomize_would_take_for_a_number_is_a_text(
    host: GitHost, tmp_path: Path
) -> None:
    described = widgets(host)
    described["remotes"][1]["images"] = {"staging.example/gizmo": "registry.example/gizmo:1e3"}
    asset = checked_out(tmp_path, described) / "remote" / "gizmos-v3" / "asset"
    (pod,) = yaml.safe_load_all((asset / "manifests.yaml").read_text())
    assert pod["spec"]["containers"][0]["image"] == "registry.example/gizmo:1e3"


def test_a_base_nobody_made_local_is_refused_when_it_is_built(
    host: GitHost, tmp_path: Path
) -> None:
    clone = checked_out(tmp_path, widgets(host))
    with pytest.raises(KustomizeFailed, match=r"https://github.com/tiny/else//x\?ref=v9.*remotes"):
        kustomize.build(kustomize.find(VersionRange()), clone / "other")


@pytest.mark.parametrize("which", ["the source itself", "gadgets", "gizmos"])
def test_a_moved_tag_is_refused_in_every_repository(
    which: str, host: GitHost, tmp_path: Path
) -> None:
    described = widgets(host)
    moved = {
        "the source itself": described,
        **dict(zip(("gadgets", "gizmos"), described["remotes"], strict=True)),
    }[which]
    moved["commit"] = "0" * 40
    with pytest.raises(
        SourceRejected, match=rf"{moved['repository']} has the commit .* names 0000"
    ):
        obtained(tmp_path, described)


@pytest.mark.parametrize(
    ("remote", "change", "sentence"),
    [
        (0, {"folder": "missing"}, "tiny/gadgets has no folder missing at v2"),
        (1, {"base": "config/missing"}, "tiny/gizmos has no folder config/missing at v3"),
        (0, {"folder": "code"}, "base/kustomization.yaml of widgets builds on .*gadgets-v2/config"),
    ],
)
def test_what_a_remote_lacks_is_a_sentence(
    remote: int, change: dict[str, str], sentence: str, host: GitHost, tmp_path: Path
) -> None:
    described = widgets(host)
    described["remotes"][remote] |= change
    with pytest.raises(SourceRejected, match=sentence):
        obtained(tmp_path, described)


def test_an_absent_repository_is_named(host: GitHost, tmp_path: Path) -> None:
    described = widgets(host)
    described["remotes"][0]["repository"] = "tiny/gone"
    with pytest.raises(SourcesUnavailable, match="tiny/gone could not be fetched at v2"):
        obtained(tmp_path, described)


def test_what_git_says_is_in_the_sentence(host: GitHost, tmp_path: Path) -> None:
    described = widgets(host)
    described |= {"ref": "v7", "commit": "a" * 40}
    with pytest.raises(SourcesUnavailable) as failure:
        obtained(tmp_path, described)
    said = str(failure.value)
    assert "tiny/widgets could not be fetched at v7 (git: " in said
    assert "couldn't find remote ref v7" in said
    assert f"not our ref {'a' * 40}" in said
    assert "\n" not in said


def test_a_login_in_the_prefix_is_in_no_sentence(
    host: GitHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    described = widgets(host)
    described |= {"ref": "v7", "commit": "a" * 40}
    monkeypatch.setenv(GIT_PREFIX, f"file://bot:hunter2@{host.folder}")
    for _ in range(2):
        with pytest.raises(SourcesUnavailable) as failure:
            obtained(tmp_path, described)
        assert "hunter2" not in str(failure.value)
        with pytest.raises(CloneFailed) as failed:
            check_out(Source.model_validate(described), tmp_path / f"clone-{_}")
        assert "hunter2" not in str(failed.value)
        assert f"file://{host.folder}/tiny/widgets" in str(failed.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("https://bot:pw@git.example/a", "https://git.example/a"),
        ("fatal: 'https://t@k@git.example/' x@y", "fatal: 'https://git.example/' x@y"),
        ("https://git.example/a@b", "https://git.example/a@b"),
        ("git@git.example:a/b", "git@git.example:a/b"),
    ],
)
def test_only_the_login_of_a_url_is_left_out(text: str, said: str) -> None:
    assert shown(text) == said


# -- an archive as a git host makes it -------------------------------------------------------------


@pytest.fixture
def made_by_host(host: GitHost, tmp_path: Path) -> dict[str, Any]:
    """A source whose repository is out of reach; its archive has the files of the repository."""
    described = widgets(host)
    bundles = tmp_path / "project" / "bundles"
    bundles.mkdir(parents=True)
    repository = host.folder.parent / "work" / "tiny" / "widgets"
    shutil.rmtree(repository / ".git")
    (bundles / "widgets-v1.tar.gz").write_bytes(archive(repository, "widgets-v1"))
    return described


def test_such_an_archive_becomes_what_a_clone_becomes(
    made_by_host: dict[str, Any], host: GitHost, tmp_path: Path
) -> None:
    digest = files_digest(checked_out(tmp_path, made_by_host))
    shutil.rmtree(host.folder / "tiny" / "widgets")
    made_by_host["checkout"] = digest
    assert obtained(tmp_path, made_by_host).digest == digest


def test_such_an_archive_without_the_others_names_the_one_that_is_missing(
    made_by_host: dict[str, Any], host: GitHost, tmp_path: Path, own_cache: Path
) -> None:
    shutil.rmtree(host.folder / "tiny" / "gizmos")
    with pytest.raises(SourcesUnavailable, match=r"names other repositories: .*tiny/gizmos could"):
        obtained(tmp_path, made_by_host)
    assert list((own_cache / "sources").iterdir()) == []


def test_such_an_archive_that_already_has_another_folder_there_is_refused(
    made_by_host: dict[str, Any], host: GitHost, tmp_path: Path
) -> None:
    repository = host.folder.parent / "work" / "tiny" / "widgets"
    (repository / "remote" / "gadgets-v2" / "config").mkdir(parents=True)
    (repository / "remote" / "gadgets-v2" / "config" / "x.yaml").write_text("{}\n")
    place = tmp_path / "project" / "bundles" / "widgets-v1.tar.gz"
    place.write_bytes(archive(repository, "widgets-v1"))
    with pytest.raises(SourceRejected, match=r"has a folder remote/gadgets-v2 of its own"):
        obtained(tmp_path, made_by_host)


def test_nothing_half_done_stays_in_the_cache(
    host: GitHost, tmp_path: Path, own_cache: Path
) -> None:
    described = widgets(host)
    described["remotes"][1]["commit"] = "0" * 40
    with pytest.raises(SourceRejected):
        obtained(tmp_path, described)
    assert list((own_cache / "sources").iterdir()) == []


def test_a_checkout_of_another_digest_is_refused(host: GitHost, tmp_path: Path) -> None:
    described = widgets(host)
    digest = files_digest(checked_out(tmp_path, described))
    assert obtained(tmp_path, {**described, "checkout": digest}).digest == digest
    with pytest.raises(SourceRejected, match=f"have the digest {digest}.*names .* {'0' * 64}"):
        obtained(tmp_path, {**described, "name": "other", "checkout": "0" * 64})


@pytest.mark.parametrize(
    ("base", "remote"),
    [
        ("https://example.com/x.yaml", True),
        ("https://github.com/a/b//c?ref=v1", True),
        ("github.com/a/b", True),
        ("git@github.com:a/b.git", True),
        ("ssh://git@host/a", True),
        ("git::https://host/a", True),
        ("../base", False),
        ("github.com.yaml", False),
        ("base?ref", False),
    ],
)
def test_what_kustomize_would_fetch_is_told_from_what_is_here(base: str, remote: bool) -> None:
    assert kustomize.is_remote(base) is remote


def test_remote_bases_are_found_through_other_folders(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "kustomization.yml").write_text("resources: [../b, x.yaml]\n")
    (tmp_path / "a" / "x.yaml").write_text(config_map("x", "{}"))
    (tmp_path / "b" / "Kustomization").write_text("components: [../a, github.com/a/b]\n")
    assert kustomize.remote_bases(tmp_path / "a") == [
        (tmp_path / "b" / "Kustomization", "github.com/a/b")
    ]
