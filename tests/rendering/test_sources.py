"""Sources come from the first way that leads to them, and only if they are what was named."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rendering import SourcesUnavailable, checkout, sources
from rendering.release import Source
from rendering.source_files import SourceRejected, files_digest, pack
from rendering.sources import GIT_PREFIX, Unpacked, obtain
from tests.rendering.git_host import GitHost

FILES = {
    "deploy/crds.yaml": "kind: A\n",
    "deploy/more/x.yaml": "kind: X\n",
    "code/main.go": "package main\n",
}


@pytest.fixture
def project(tmp_path: Path, own_cache: Path) -> Path:
    assert own_cache.is_dir()
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The files of a repository at a ref."""
    return written(tmp_path / "files", FILES)


@pytest.fixture
def source(files: Path, tmp_path: Path) -> Source:
    """What a release uses of it: a folder."""
    return described(taken(files, tmp_path / "taken"))


@pytest.fixture
def archive(files: Path, tmp_path: Path) -> Path:
    path = tmp_path / "elsewhere" / "widgets-v1.tar.gz"
    path.parent.mkdir()
    pack(files, "widgets-v1", path)
    return path


def written(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def taken(files: Path, target: Path) -> Path:
    return written(target, {n: (files / n).read_text() for n in FILES if n.startswith("deploy")})


def described(files: Path, **more: object) -> Source:
    return Source.model_validate(
        {
            "name": "widgets",
            "repository": "tiny/widgets",
            "ref": "v1",
            "commit": "0" * 40,
            "paths": ["deploy"],
            "digest": files_digest(files),
            **more,
        }
    )


def names(unpacked: Unpacked) -> list[str]:
    return sorted(
        path.relative_to(unpacked.folder).as_posix()
        for path in unpacked.folder.rglob("*")
        if path.is_file()
    )


Placed = Callable[[Path, Path, pytest.MonkeyPatch], Path | None]


def as_argument(archive: Path, _project: Path, _patch: pytest.MonkeyPatch) -> Path | None:
    return archive.parent


def as_argument_naming_the_file(archive: Path, _project: Path, _patch: pytest.MonkeyPatch) -> Path:
    return archive


def in_environment(archive: Path, _project: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("KUBEFLOW_BUNDLES", os.pathsep.join(["/nowhere", str(archive.parent)]))


def in_project(archive: Path, project: Path, _patch: pytest.MonkeyPatch) -> None:
    (project / "bundles").mkdir()
    archive.rename(project / "bundles" / archive.name)


def in_shared(archive: Path, project: Path, _patch: pytest.MonkeyPatch) -> None:
    (project.parent / "shared" / "upstream").mkdir(parents=True)
    archive.rename(project.parent / "shared" / "upstream" / archive.name)


def in_git(archive: Path, _project: Path, patch: pytest.MonkeyPatch) -> None:
    host = GitHost(archive.parent / "git-host")
    host.publish("tiny/widgets", "v1", FILES)
    patch.setenv(GIT_PREFIX, host.prefix)


WAYS = [as_argument, as_argument_naming_the_file, in_environment, in_project, in_shared, in_git]


@pytest.fixture
def argument(
    request: pytest.FixtureRequest, archive: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> Path | None:
    """The archive is put where the test's parameter says; what ``obtain`` is given with it."""
    placed: Placed = request.param
    return placed(archive, project, monkeypatch)


@pytest.mark.parametrize("argument", WAYS, indirect=True)
def test_every_way_leads_to_the_same_files(
    argument: Path | None, source: Source, project: Path
) -> None:
    found = obtain(source, project, argument)
    assert names(found) == ["deploy/crds.yaml", "deploy/more/x.yaml"]
    assert found.digest == source.digest == files_digest(found.folder)


@pytest.mark.parametrize("argument", [as_argument, in_git], indirect=True)
@pytest.mark.parametrize(
    ("paths", "found"),
    [
        (["deploy/crds.yaml"], ["deploy/crds.yaml"]),
        (["deploy/more", "code"], ["code/main.go", "deploy/more/x.yaml"]),
        ([], sorted(FILES)),
    ],
)
def test_only_the_named_paths_are_taken(
    argument: Path | None, paths: list[str], found: list[str], project: Path, tmp_path: Path
) -> None:
    expected = written(tmp_path / "expected", {name: FILES[name] for name in found})
    assert names(obtain(described(expected, paths=paths), project, argument)) == found


def test_what_was_unpacked_is_not_needed_again(
    project: Path, source: Source, archive: Path
) -> None:
    first = obtain(source, project, archive.parent)
    archive.unlink()
    assert obtain(source, project) == first


def removed(home: Path) -> None:
    (home / "deploy" / "crds.yaml").unlink()


def changed(home: Path) -> None:
    (home / "deploy" / "crds.yaml").write_text("kind: B\n")


def added(home: Path) -> None:
    (home / "deploy" / "kustomization.yaml").touch()


@pytest.fixture
def damaged(
    request: pytest.FixtureRequest,
    source: Source,
    project: Path,
    archive: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A source in the cache of another process, in which a file was removed, changed or added."""
    home = obtain(source, project, archive).folder
    request.param(home)
    monkeypatch.setattr(sources, "_intact", set[Path]())
    return home


@pytest.mark.parametrize("damaged", [removed, changed, added], indirect=True)
@pytest.mark.parametrize("argument", [as_argument, in_project, in_git], indirect=True)
def test_a_damaged_source_in_the_cache_is_made_again(
    damaged: Path, argument: Path | None, source: Source, project: Path
) -> None:
    again = obtain(source, project, argument)
    assert again.folder == damaged
    assert files_digest(damaged) == source.digest
    assert [path.name for path in damaged.parent.iterdir()] == [damaged.name]


@pytest.mark.parametrize("damaged", [removed], indirect=True)
def test_a_damaged_source_without_another_copy_is_missing(
    damaged: Path, source: Source, project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(SourcesUnavailable, match="without widgets v1"):
        obtain(source, project)
    assert f"{damaged} is damaged and is made again" in caplog.text
    assert not damaged.exists()


def test_a_source_in_the_cache_is_read_once_in_a_process(
    source: Source, project: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    obtain(source, project, archive)
    monkeypatch.setattr(sources, "_intact", set[Path]())

    def counted(folder: Path) -> str:
        read.append(folder)
        return files_digest(folder)

    monkeypatch.setattr(sources, "files_digest", counted)
    assert {obtain(source, project).folder for _ in range(3)} == set(read)
    assert len(read) == 1


@pytest.mark.parametrize("argument", WAYS, indirect=True)
def test_files_of_another_digest_are_refused_whichever_way_they_come(
    argument: Path | None, project: Path, files: Path, own_cache: Path
) -> None:
    other = described(files, digest="f" * 64)
    with pytest.raises(SourceRejected, match=r"release\.yaml names (f{64}|0{40})"):
        obtain(other, project, argument)
    assert list((own_cache / "sources").iterdir()) == []


@pytest.mark.parametrize(
    "argument", [as_argument, as_argument_naming_the_file, in_environment], indirect=True
)
def test_what_a_person_points_at_is_verified_though_the_cache_has_it(
    argument: Path | None, source: Source, project: Path, archive: Path
) -> None:
    obtain(source, project, archive)
    archive.write_bytes(archive.read_bytes()[:80])
    with pytest.raises(SourceRejected, match=r"widgets-v1\.tar\.gz cannot be unpacked"):
        obtain(source, project, argument)


@pytest.mark.parametrize(
    "way", ["widgets v1", "KUBEFLOW_BUNDLES", "./kf bundle create", "./bundles", GIT_PREFIX]
)
def test_without_a_way_one_line_names_the_source_and_the_ways_out(
    way: str, project: Path, source: Source
) -> None:
    with pytest.raises(SourcesUnavailable) as failure:
        obtain(source, project)
    assert way in str(failure.value)
    assert "\n" not in str(failure.value)
    assert len(str(failure.value)) < 400


def test_a_moved_tag_is_refused(
    project: Path, source: Source, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = GitHost(archive.parent / "git-host")
    commit = host.publish("tiny/widgets", "v1", {"deploy/crds.yaml": "kind: B\n"})
    monkeypatch.setenv(GIT_PREFIX, host.prefix)
    with pytest.raises(SourceRejected, match=rf"{commit} at v1, but release.yaml names 0000"):
        obtain(source, project)


def test_a_ref_that_is_a_commit_is_fetched(
    project: Path, source: Source, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = GitHost(archive.parent / "git-host")
    commit = host.publish("tiny/widgets", "v1", FILES)
    monkeypatch.setenv(GIT_PREFIX, host.prefix)
    at_commit = source.model_copy(update={"ref": commit[:7], "commit": commit})
    assert obtain(at_commit, project).digest == source.digest


def test_a_repository_that_does_not_answer_is_asked_once(
    project: Path, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def silent(arguments: list[str], *_: object) -> None:
        asked.append(arguments)

    monkeypatch.setattr(checkout, "_git", silent)
    for _ in range(3):
        with pytest.raises(SourcesUnavailable):
            obtain(source, project)
    assert len(asked) == 1


def test_a_host_that_has_some_repositories_is_asked_for_each(
    project: Path, source: Source, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_git(archive, project, monkeypatch)
    absent = source.model_copy(update={"name": "gadgets", "repository": "tiny/gadgets"})
    with pytest.raises(SourcesUnavailable, match="gadgets v1"):
        obtain(absent, project)
    assert obtain(source, project).digest == source.digest
