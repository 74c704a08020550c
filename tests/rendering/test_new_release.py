"""A release's folder begins as a copy of another one, at another commit."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from rendering import new_release
from rendering.assembly import assemble
from rendering.release import ReleaseInvalid, load
from rendering.source_files import files_digest
from settings import MANIFESTS
from tests.releases import RELEASES
from tests.rendering.conftest import TINY, TinyProject, archive
from tests.rendering.git_host import GitHost

RUNNER = CliRunner()


@pytest.fixture
def host(tmp_path: Path, tiny: TinyProject, monkeypatch: pytest.MonkeyPatch) -> GitHost:
    """Serves another commit of the tiny source, and the project's own archive is gone."""
    monkeypatch.setattr(new_release, "ROOT", tiny.root)
    served = GitHost(tmp_path / "git")
    served.folder.mkdir()
    monkeypatch.setenv("KUBEFLOW_GIT_PREFIX", served.prefix)
    described = tiny.release / "release.yaml"
    described.write_text(f"# Of most stacks.\ndefault: true\n{described.read_text()}")
    for name in ("golden.yaml", "upgrade.yaml", "reasons.yaml"):
        (tiny.release / name).write_text("{}\n")
    return served


def publish(host: GitHost, ref: str) -> tuple[str, str]:
    """Publishes the tiny source with one more file; returns its commit and digest."""
    files = host.folder.parent / f"files-{ref}"
    shutil.copytree(TINY / "source", files)
    (files / "more.yaml").write_text("{}\n")
    return host.publish_folder("tiny/tiny", ref, files), files_digest(files)


def begin(*arguments: str) -> tuple[int, str]:
    done = RUNNER.invoke(new_release.app, arguments)
    return done.exit_code, " ".join(done.output.split())


def test_a_copy_has_the_new_name_commit_and_digest(tiny: TinyProject, host: GitHost) -> None:
    commit, digest = publish(host, "26.10")
    code, said = begin("26.10", "--like", "tiny", "--source", "tiny", "--at", f"26.10@{commit}")
    assert code == 0, said
    folder = tiny.root / "manifests/26.10"
    release = load(folder)
    source = release.sources[0]
    assert (release.name, release.default) == ("26.10", False)
    assert (source.ref, source.commit, source.digests) == ("26.10", commit, (digest,))
    assert not [name for name in ("golden.yaml", "upgrade.yaml") if (folder / name).exists()]
    before = (tiny.release / "release.yaml").read_text().splitlines()
    after = (folder / "release.yaml").read_text().splitlines()
    # Comments are the reasons; they stay, but for that of the default and those at changed values.
    assert len(after) == len(before) - 2
    assert after[0] == before[2]
    assert load(tiny.release).default


def test_a_tree_without_git_is_an_archive(
    tiny: TinyProject, host: GitHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = host.folder / "files"
    shutil.copytree(TINY / "source", files)
    (files / "more.yaml").write_text("{}\n")
    place = host.folder / "archives"
    place.mkdir()
    (place / "tiny-main.tar.gz").write_bytes(archive(files, "anything"))
    monkeypatch.setenv("KUBEFLOW_BUNDLES", str(place))
    code, said = begin("next", "--like", "tiny", "--source", "tiny", "--at", f"main@{'1' * 40}")
    assert code == 0, said
    assert load(tiny.root / "manifests/next").sources[0].digest == files_digest(files)


def test_what_upstream_moved_is_named_at_once(tiny: TinyProject, host: GitHost) -> None:
    """Of all kustomizations of the folder; kustomize itself stops at the first."""
    (tiny.release / "upstream").mkdir()
    (tiny.release / "upstream" / "kustomization.yaml").write_text(
        "resources: [../../../sources/tiny/base, ../../../sources/tiny/gone/too, ../x.yaml]\n"
    )
    files = host.folder.parent / "moved"
    shutil.copytree(TINY / "source", files)
    (files / "base").rename(files / "other")
    commit = host.publish_folder("tiny/tiny", "26.10", files)
    code, said = begin("26.10", "--like", "tiny", "--source", "tiny", "--at", f"26.10@{commit}")
    assert code == 0, said
    assert "26.10/kustomization.yaml names base, which tiny does not have" in said
    assert "26.10/upstream/kustomization.yaml names base, which tiny does not have" in said
    assert "26.10/upstream/kustomization.yaml names gone/too, which tiny does not have" in said
    assert "x.yaml" not in said


def test_every_shipped_release_has_all_that_its_folder_names() -> None:
    """Nothing is named for no reason; URLs of folders that no release builds are none."""
    for release in RELEASES:
        folder = MANIFESTS / release
        assert new_release.absent(folder, MANIFESTS.parent) == []
        assert new_release.unfetched(folder, MANIFESTS.parent) == []


def test_what_upstream_builds_on_by_url_is_named_where_remotes_lack_it(
    tiny: TinyProject, host: GitHost
) -> None:
    """All of them, before kustomize refuses one; of folders that the release builds."""
    files = host.folder.parent / "remote"
    shutil.copytree(TINY / "source", files)
    for name, more in (("base", ["../inner"]), ("inner", []), ("unused", [])):
        kustomization = files / name / "kustomization.yaml"
        kustomization.parent.mkdir(exist_ok=True)
        content = yaml.safe_load(kustomization.read_text()) if kustomization.exists() else {}
        resources = content.get("resources", [])
        content["resources"] = [*resources, *more, f"https://example.com/{name}-v2.yaml"]
        kustomization.write_text(yaml.safe_dump(content))
    commit = host.publish_folder("tiny/tiny", "26.10", files)
    code, said = begin("26.10", "--like", "tiny", "--source", "tiny", "--at", f"26.10@{commit}")
    assert code == 0, said
    for name in ("base", "inner"):
        named = f"{name}/kustomization.yaml of tiny builds on https://example.com/{name}-v2.yaml"
        assert said.count(f"{named}: name it under remotes, with its commit") == 1
    assert "unused" not in said


def test_what_upstreams_list_lost_and_got_is_printed(tiny: TinyProject, host: GitHost) -> None:
    said = ""
    for number, listed in enumerate(("a, b, c", "a, [b], c")):
        files = host.folder.parent / f"files-{number}"
        shutil.copytree(TINY / "source", files)
        (files / "example").mkdir()
        entries = listed.replace("[b]", "d, e")
        (files / "example" / "kustomization.yaml").write_text(f"resources: [{entries}]\n")
        shutil.rmtree(host.folder.parent / "work", ignore_errors=True)
        shutil.rmtree(host.folder / "tiny", ignore_errors=True)
        commit = host.publish_folder("tiny/tiny", f"v{number}", files)
        release, like = [("one", "tiny"), ("two", "one")][number]
        code, said = begin(
            release, "--like", like, "--source", "tiny", "--at", f"v{number}@{commit}"
        )
        assert code == 0, said
    changes = [f"example/kustomization.yaml: {each}" for each in ("- b", "+ d", "+ e")]
    assert " ".join(changes) in said


def test_a_key_that_goes_takes_its_comment_with_it(tiny: TinyProject, host: GitHost) -> None:
    described = tiny.release / "release.yaml"
    text = described.read_text()
    line = f"    checkout: {'2' * 63}a\n"
    text = re.sub(r"(    digest: .*\n)", rf"\1    # Of a clone.\n    # Twice.\n{line}", text)
    described.write_text(text)
    assert load(tiny.release).sources[0].checkout
    commit, _ = publish(host, "26.10")
    begin("26.10", "--like", "tiny", "--source", "tiny", "--at", f"26.10@{commit}")
    after = (tiny.root / "manifests/26.10/release.yaml").read_text()
    assert "checkout" not in after
    assert "Of a clone" not in after
    assert "Twice" not in after
    assert "digest: " in after


def test_a_folder_that_is_begun_has_a_way_out(tiny: TinyProject, host: GitHost) -> None:
    tiny.bundle.unlink()
    code, said = begin("next", "--like", "tiny", "--source", "tiny", "--at", f"a@{'1' * 40}")
    assert code == 2
    assert "manifests/next is begun: correct its release.yaml and run this without --like" in said
    assert (tiny.root / "manifests/next/release.yaml").exists()
    assert "is begun" not in begin("next")[1]


def test_a_second_run_writes_what_a_changed_commit_has(tiny: TinyProject, host: GitHost) -> None:
    first, _ = publish(host, "v1")
    assert begin("next", "--like", "tiny", "--source", "tiny", "--at", f"v1@{first}")[0] == 0
    shutil.rmtree(host.folder / "tiny")
    shutil.rmtree(host.folder.parent / "work")
    commit = host.publish("tiny/tiny", "v2", {"base/kustomization.yaml": "{}\n"})
    file = tiny.root / "manifests/next/release.yaml"
    file.write_text(file.read_text().replace(first, commit).replace("ref: v1", "ref: v2"))
    before = load(file.parent).sources[0].digest
    assert begin("next") == (0, f"new digests: tiny {file.parent}")
    assert load(file.parent).sources[0].digest != before
    assert begin("next") == (0, f"new digests: none {file.parent}")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["tiny", "--like", "tiny", "--at", f"a@{'1' * 40}"], "manifests/tiny exists"),
        (["next", "--like", "tiny", "--at", "a@b"], "--at a@b: write <ref>@<commit>"),
        (["next", "--like", "tiny", "--at", f"a@{'1' * 40}"], "no source 'kubeflow-manifests'"),
        (["next", "--like", "none", "--at", f"a@{'1' * 40}"], "it has no release.yaml"),
        (["../next", "--like", "tiny"], "'../next' is no name of a release"),
        (["next"], "it has no release.yaml"),
        (
            ["next", "--like", "tiny", "--source", "tiny", "--at", f"-x@{'1' * 40}"],
            "sources.0.ref",
        ),
        (
            ["next", "--like", "tiny", "--source", "tiny", "--at", f"a@{'1' * 40}"],
            "tiny a: .* does not answer",
        ),
    ],
)
def test_what_cannot_begin_is_a_sentence(
    arguments: list[str], sentence: str, tiny: TinyProject, host: GitHost
) -> None:
    tiny.bundle.unlink()
    code, said = begin(*arguments)
    assert code == 2
    assert re.search(sentence, said), said
    assert "Traceback" not in said


def test_a_name_that_looks_like_a_number_stays_a_text(tiny: TinyProject, host: GitHost) -> None:
    commit, _ = publish(host, "26.10")
    begin("26.10", "--like", "tiny", "--source", "tiny", "--at", f"26.10@{commit}")
    document = yaml.safe_load((tiny.root / "manifests/26.10/release.yaml").read_text())
    assert (document["name"], document["sources"][0]["ref"]) == ("26.10", "26.10")


def test_a_new_commit_with_the_digest_of_another_release_is_refused(tiny: TinyProject) -> None:
    """The digest alone decides what is rendered: the old files would pass for the new ones."""
    copy = tiny.root / "manifests/next"
    shutil.copytree(tiny.release, copy)
    assemble(copy)
    file = copy / "release.yaml"
    file.write_text(re.sub(r"commit: .*", f"commit: {'a1' * 20}", file.read_text()))
    with pytest.raises(ReleaseInvalid, match=f"digest of tiny and another commit: .* {'a1' * 20}$"):
        assemble(copy)
