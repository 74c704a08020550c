"""kustomize is the tool's own binary, in a version the release accepts, or a clear sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from rendering import KustomizeMissing, kustomize
from rendering.kustomize import Kustomize, KustomizeFailed
from rendering.release import VersionRange


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty PATH and an empty tools cache."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("KUBEFLOW_CACHE", str(tmp_path / "cache"))
    return folder


def program(place: Path, version: str, then: str = "") -> Path:
    """A stand-in that knows its version, as kustomize or as kubectl prints it."""
    printed = f'{{"kustomizeVersion": "v{version}"}}' if place.name == "kubectl" else f"v{version}"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(f"#!/bin/sh\nif [ $1 = version ]; then echo '{printed}'; exit; fi\n{then}\n")
    place.chmod(0o755)
    return place


def test_path_comes_before_the_cache_and_before_kubectl(path: Path, tmp_path: Path) -> None:
    kubectl = program(path / "kubectl", "5.5.0")
    assert kustomize.find(VersionRange()) == Kustomize((str(kubectl), "kustomize"), "5.5.0")
    cached = program(tmp_path / "cache" / "tools" / "kustomize-5.7.1" / "kustomize", "5.7.1")
    assert kustomize.find(VersionRange()) == Kustomize((str(cached), "build"), "5.7.1")
    own = program(path / "kustomize", "5.8.1")
    assert kustomize.find(VersionRange()) == Kustomize((str(own), "build"), "5.8.1")


def test_a_binary_outside_the_range_is_passed_over(path: Path) -> None:
    program(path / "kustomize", "5.8.1")
    kubectl = program(path / "kubectl", "5.5.0")
    found = kustomize.find(VersionRange(min="5.4.3", max="5.7"))
    assert found == Kustomize((str(kubectl), "kustomize"), "5.5.0")


def test_a_binary_built_without_a_version_is_named_by_its_folder(
    path: Path, tmp_path: Path
) -> None:
    assert path.is_dir()
    place = tmp_path / "cache" / "tools" / "kustomize-5.7.1" / "kustomize"
    program(place, "5.7.1").write_text("#!/bin/sh\necho '(devel)'\n")
    assert kustomize.find(VersionRange()).version == "5.7.1"


def test_none_at_all_is_one_sentence(path: Path) -> None:
    assert path.is_dir()
    with pytest.raises(KustomizeMissing, match=r"kustomize >= 5.4.3 on PATH.*found neither"):
        kustomize.find(VersionRange(min="5.4.3"))


def test_only_wrong_ones_are_named(path: Path) -> None:
    program(path / "kustomize", "5.8.1")
    with pytest.raises(KustomizeMissing, match=r"<= 5.7 on PATH.*kustomize build is 5.8.1"):
        kustomize.find(VersionRange(max="5.7"))


@pytest.mark.parametrize(
    ("then", "sentence"),
    [
        ("echo 'note' >&2; echo 'Error: no such base' >&2; exit 1", "Error: no such base"),
        ("echo 'no such base' >&2; exit 1", "no such base"),
        ("exit 1", "no reason given, exit code 1"),
        ("exit 0", "renders nothing"),
    ],
)
def test_a_failed_build_says_what_kustomize_said(path: Path, then: str, sentence: str) -> None:
    place = program(path / "kustomize", "5.7.1", then)
    with pytest.raises(KustomizeFailed, match=sentence):
        kustomize.build(Kustomize((str(place), "build"), "5.7.1"), path)


def test_known_warnings_are_not_shown_and_others_are(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    noise = "echo \"# Warning: 'vars' is deprecated\" >&2; echo 'something odd' >&2; echo 'a: 1'"
    place = program(path / "kustomize", "5.7.1", noise)
    with caplog.at_level("INFO"):
        assert kustomize.build(Kustomize((str(place), "build"), "5.7.1"), path) == "a: 1\n"
    assert caplog.messages == ["kustomize: something odd"]


def test_a_build_has_half_a_gibibyte_before_its_collector_works_or_what_the_user_gives_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GOGC", raising=False)
    monkeypatch.delenv("GOMEMLIMIT", raising=False)
    tool = Kustomize(
        (str(program(path / "kustomize", "5.7.1", "echo $GOGC $GOMEMLIMIT")),), "5.7.1"
    )
    assert kustomize.build(tool, path) == "off 512MiB\n"
    monkeypatch.setenv("GOGC", "50")
    monkeypatch.setenv("GOMEMLIMIT", "100MiB")
    assert kustomize.build(tool, path) == "50 100MiB\n"
