"""A rehearsal without the upstream sources knows it before it starts, and says the way out."""

from __future__ import annotations

from pathlib import Path

import pytest

from rehearsal import sources as asked
from rendering import SourcesUnavailable
from rendering.release import Source

RELEASE = """
name: "{name}"
kubernetes: {{min: "1.33", max: "1.36"}}
kustomize: {{min: "5.4.3"}}
sources:
  - name: upstream
    repository: example/upstream
    ref: "1"
    commit: d68ebc7fab366ab40ddd1541d2ec22febb31bc83
    bundle: {bundle}
    sha256: "{sha}"
"""


@pytest.fixture
def manifests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def obtain(source: Source, project: Path, bundles: Path | None) -> None:
        if source.bundle == "gone.tar.gz":
            raise SourcesUnavailable(f"put {source.bundle} into {project.name}/bundles")

    monkeypatch.setattr(asked.sources, "obtain", obtain)
    for folder, bundle in {
        "1.0": "gone.tar.gz",
        "2.0": "here.tar.gz",
        "addons/a": "gone.tar.gz",
    }.items():
        path = tmp_path / "manifests" / folder
        path.mkdir(parents=True)
        text = RELEASE.format(name=path.name, bundle=bundle, sha="a" * 64)
        (path / "release.yaml").write_text(text)
    return tmp_path / "manifests"


def test_the_stacks_release_and_every_add_on_are_asked_for(manifests: Path) -> None:
    way_out = f"put gone.tar.gz into {manifests.parent.name}/bundles"
    assert asked.absent_sources(manifests, "1.0") == {"1.0": way_out, "a": way_out}
    assert asked.absent_sources(manifests, "2.0") == {"a": way_out}
