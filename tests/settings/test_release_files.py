"""The defaults that follow from the folders of releases: one release, and its newest Kubernetes."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from settings import MANIFESTS, from_mapping, release_files
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
    with pytest.raises(ValueError, match=f"{said}.*belongs into that of one release"):
        default_release()
