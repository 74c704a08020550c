"""The defaults that follow from the folders of releases: one release, and its newest Kubernetes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from settings import MANIFESTS, from_mapping, release_files
from settings.errors import SettingsError
from settings.facts import releases
from settings.release_files import default_kubernetes, default_release
from settings.support_ends import EKS


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(release_files, "MANIFESTS", tmp_path)
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "release.yaml").write_text(
            f'name: {name}\nkubernetes: {{min: "1.32", max: "1.34"}}\n'
        )
    return tmp_path


def choose(folder: Path) -> None:
    with (folder / "release.yaml").open("a") as file:
        file.write("default: true\n")


def test_a_stack_that_names_neither_gets_the_default_and_its_newest_kubernetes() -> None:
    settings = from_mapping({"region": "cn-north-1"})
    chosen = yaml.safe_load((MANIFESTS / settings.release / "release.yaml").read_text())
    assert chosen["default"] is True
    assert settings.cluster.version in EKS
    assert settings.cluster.version <= chosen["kubernetes"]["max"]
    described = yaml.safe_load((MANIFESTS.parent / "Pulumi.yaml").read_text())
    assert described["config"]["release"]["default"] == settings.release


def test_the_default_kubernetes_is_the_newest_inside_the_range(folders: Path) -> None:
    choose(folders / "new")
    assert default_release() == "new"
    assert default_kubernetes() == "1.34"


@pytest.mark.parametrize(
    ("chosen", "said"), [([], "in no release"), (["old", "new"], "new and old")]
)
def test_one_release_is_the_default(folders: Path, chosen: list[str], said: str) -> None:
    for name in chosen:
        choose(folders / name)
    with pytest.raises(SettingsError, match=f"{said}.*belongs into that of one release"):
        default_release()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: {", "line 2: this is no YAML"),
        ("new", "it has no keys"),
        ("name: new\ndefault: true\n", r"kubernetes is None: give it `min` and `max`"),
        (
            'default: true\nkubernetes: {min: "1.10", max: "1.11"}\n',
            r"with a version of EKS between them \(.*1\.3",
        ),
    ],
)
def test_a_release_yaml_that_says_no_default_is_a_sentence(
    folders: Path, text: str, said: str
) -> None:
    (folders / "new/release.yaml").write_text(text)
    with pytest.raises(SettingsError, match=said):
        default_kubernetes()


def test_a_second_default_is_a_sentence_where_the_default_is_asked_for(tmp_path: Path) -> None:
    """Whoever copies a release's folder has two defaults first."""
    copy = tmp_path / "project"
    left = shutil.ignore_patterns(".*", "build", "tests", "docs", "__pycache__")
    shutil.copytree(MANIFESTS.parent, copy, ignore=left)
    shutil.copytree(copy / "manifests" / default_release(), copy / "manifests/99.1")

    def kf(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "ops", *arguments],
            cwd=copy,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )

    run = kf("bundle", "create")
    assert (run.returncode, run.stdout) == (2, "")
    assert "belongs into that of one release" in " ".join(run.stderr.split())
    assert "Traceback" not in run.stderr
    assert kf("images", "lock", "--help").returncode == 0


@pytest.mark.parametrize("file", ["advisories.yaml", "upgrade.yaml"])
@pytest.mark.parametrize("text", ["a: [", "unknown: 1"])
def test_a_wrong_file_beside_a_release_yaml_is_a_sentence(
    tmp_path: Path, file: str, text: str
) -> None:
    folder = tmp_path / "1.0"
    folder.mkdir()
    (folder / "release.yaml").write_text("name: a\n")
    (folder / file).write_text(text)
    with pytest.raises(SettingsError, match=f"1.0/{file}"):
        releases(tmp_path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("patches: 5", "patches"),
        ("patches: {istio: {}}", "patches.istio"),
        ("patches: {istio: {versions: 1}}", "patches.istio"),
        ("optional: {a: {}}", "optional.a.setting"),
    ],
)
def test_a_release_yaml_with_a_key_of_another_form_is_a_sentence(
    tmp_path: Path, text: str, told: str
) -> None:
    folder = tmp_path / "1.0"
    folder.mkdir()
    (folder / "release.yaml").write_text(f"name: a\n{text}\n")
    with pytest.raises(SettingsError, match=rf"1\.0/release\.yaml, {told}"):
        releases(tmp_path)
