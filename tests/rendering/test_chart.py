"""A Helm chart from the source of an add-on: the pinned files, under the add-on's own version."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest
import yaml

from rendering import RenderError, absent_sources_allowed
from rendering.chart import copy_chart
from tests.rendering.beijing import rendered
from tests.rendering.conftest import TinyProject

ROOT = Path(__file__).resolve().parents[2]
KARPENTER = "karpenter-1.14.1"


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    folder = tmp_path / "source" / "chart"
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text("name: one\nversion: 0.9.0\nappVersion: 0.9.0\n")
    (folder / "templates" / "pod.yaml").write_text("version: 0.9.0\n")
    return folder


def test_the_copy_has_the_given_version_and_the_files_of_the_source(
    chart: Path, tmp_path: Path
) -> None:
    copy_chart(chart, tmp_path / "build" / "one", "1.0.0")
    copy = tmp_path / "build" / "one"
    described = yaml.safe_load((copy / "Chart.yaml").read_text())
    assert described == {"name": "one", "version": "1.0.0", "appVersion": "1.0.0"}
    assert (copy / "templates" / "pod.yaml").read_text() == "version: 0.9.0\n"
    assert [path.name for path in copy.parent.iterdir()] == ["one"]


def test_an_equal_copy_is_left_and_another_one_is_replaced(chart: Path, tmp_path: Path) -> None:
    copy = tmp_path / "build" / "one"
    copy_chart(chart, copy, "1.0.0")
    first = copy.stat().st_ino
    copy_chart(chart, copy, "1.0.0")
    assert copy.stat().st_ino == first
    (copy / "templates" / "pod.yaml").write_text("changed by hand")
    (copy / "templates" / "more.yaml").touch()
    copy_chart(chart, copy, "1.0.0")
    assert (copy / "templates" / "pod.yaml").read_text() == "version: 0.9.0\n"
    assert not (copy / "templates" / "more.yaml").exists()


@pytest.mark.parametrize(
    ("version", "outcome"),
    [("1.0.0", nullcontext()), ("2.0.0", pytest.raises(OSError, match="not empty"))],
)
def test_a_copy_that_another_process_makes_meanwhile_is_taken_if_it_is_equal(
    chart: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    version: str,
    outcome: AbstractContextManager[object],
) -> None:
    """As of two workers in a fresh clone."""
    copy = tmp_path / "build" / "one"
    renamed = Path.replace

    def after_another(path: Path, target: Path) -> Path:
        monkeypatch.undo()
        copy_chart(chart, copy, version)
        return renamed(path, target)

    monkeypatch.setattr(Path, "replace", after_another)
    with outcome:
        copy_chart(chart, copy, "1.0.0")
    assert [path.name for path in copy.parent.iterdir()] == ["one"]
    assert yaml.safe_load((copy / "Chart.yaml").read_text())["version"] == version


def test_karpenters_chart_is_laid_out_where_the_release_names_it() -> None:
    path = rendered(f"addons/{KARPENTER}").chart
    assert path == f"build/charts/{KARPENTER}"
    described = yaml.safe_load((ROOT / path / "Chart.yaml").read_text())
    assert (described["name"], described["version"]) == ("karpenter", "1.14.1")
    assert (ROOT / path / "templates" / "deployment.yaml").exists()


def test_a_release_without_a_chart_has_none(tiny: TinyProject) -> None:
    assert tiny.render().chart == ""


@pytest.mark.parametrize(
    ("source", "path", "message"),
    [
        ("other", "base", "from other, which is none of its sources"),
        ("tiny", "nowhere", "which does not have it"),
    ],
)
def test_a_chart_that_is_not_in_the_sources_is_one_sentence(
    tiny: TinyProject, source: str, path: str, message: str
) -> None:
    described = tiny.release / "release.yaml"
    name = yaml.safe_load(described.read_text())["sources"][0]["name"]
    chart = {"source": name if source == "tiny" else source, "path": path, "version": "1.0.0"}
    described.write_text(described.read_text() + yaml.safe_dump({"chart": chart}))
    with pytest.raises(RenderError, match=message):
        tiny.render()


def test_a_rehearsal_without_sources_names_the_same_path(tiny: TinyProject) -> None:
    described = tiny.release / "release.yaml"
    name = yaml.safe_load(described.read_text())["sources"][0]["name"]
    chart = {"source": name, "path": "base", "version": "1.0.0"}
    described.write_text(described.read_text() + yaml.safe_dump({"chart": chart}))
    tiny.bundle.unlink()
    with absent_sources_allowed():
        assert tiny.render().chart.startswith("build/charts/")
