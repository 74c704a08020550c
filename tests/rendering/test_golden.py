"""Each release differs from its upstream in what golden.yaml says, for reasons, and in no more."""

from __future__ import annotations

from difflib import unified_diff
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from rendering import RenderError, golden
from rendering.golden import GOLDEN_FILE
from rendering.release import load
from rendering.sources import obtain
from tests.releases import PIPELINES_2
from tests.rendering.conftest import TinyProject

ROOT = Path(__file__).parents[2]
RELEASES = {str(path.relative_to(ROOT / "manifests")): path for path in golden.releases(ROOT)}

REASONS = """\
- id: own-database
  because: The database is the stack's own.
  source: here
  changed: ["Secret app/database#*"]
- id: own-settings
  because: Widgets read their settings from a file of the release.
  source: here
  added: ["ConfigMap app/widget-config-*"]
  changed: ["Deployment.apps app/widgets#spec.template.spec.volumes*"]
"""

COMPOSED = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [../../../sources/tiny/base]
"""


def moved(made: golden.Golden) -> list[str]:
    """The lines in which the committed ``golden.yaml`` is not what the sources render to."""
    committed = (made.folder / GOLDEN_FILE).read_text(encoding="utf-8")
    lines = unified_diff(committed.splitlines(), made.text().splitlines(), lineterm="", n=0)
    return [line for line in list(lines)[2:] if not line.startswith("@@")]


# -- the releases of this project -----------------------------------------------------------------


@pytest.fixture(scope="module", params=RELEASES)
def made(request: pytest.FixtureRequest) -> golden.Golden:
    return golden.golden(RELEASES[request.param])


def test_every_difference_to_upstream_has_a_reason(made: golden.Golden) -> None:
    assert not made.complaints, "\n".join(made.complaints)


def test_the_committed_difference_is_what_the_sources_render_to(made: golden.Golden) -> None:
    found = moved(made)
    assert not found, "review these, then run `make golden`:\n" + "\n".join(found)


@pytest.mark.parametrize(
    "consumer",
    [
        "ConfigMap kubeflow/pipeline-install-config",
        "Deployment.apps kubeflow/ml-pipeline",
        "Deployment.apps kubeflow/cache-server",
        "Deployment.apps kubeflow/metadata-grpc-deployment",
        "Deployment.apps kubeflow/ml-pipeline-ui",
        "ConfigMap kubeflow/workflow-controller-configmap",
        "ConfigMap kubeflow/kfp-launcher",
        "ConfigMap kubeflow/kubeflow-pipelines-profile-controller-code-<hash>",
        "Deployment.apps kubeflow/kubeflow-pipelines-profile-controller",
        "Deployment.apps kubeflow/katib-db-manager",
        "ConfigMap kubeflow/inferenceservice-config",
    ],
)
@pytest.mark.parametrize("release", PIPELINES_2)
def test_every_consumer_of_the_database_or_the_bucket_is_in_the_difference(
    release: str, consumer: str
) -> None:
    committed = yaml.safe_load((RELEASES[release] / GOLDEN_FILE).read_text())
    assert committed["changed"][consumer]


def test_a_composed_upstream_is_upstreams_example_with_another_pipelines() -> None:
    folder = RELEASES["26.03.1"]
    sources, install = "../../../sources", "env/cert-manager/platform-agnostic-multi-user"
    replaced = {
        "applications/pipeline/overlays": f"kubeflow-pipelines/manifests/kustomize/{install}"
    }
    (source,) = [each for each in load(folder).sources if each.name == "kubeflow-manifests"]
    example = obtain(source, ROOT).folder / "example/kustomization.yaml"
    theirs = yaml.safe_load(example.read_text())["resources"]
    ours = yaml.safe_load((folder / "upstream/kustomization.yaml").read_text())["resources"]
    paths = [path.removeprefix("../") for path in theirs]
    assert ours == [
        f"{sources}/{replaced.get(path, f'kubeflow-manifests/{path}')}" for path in paths
    ]


# -- how it is made, on a release of our own making -----------------------------------------------


@pytest.fixture
def changed(tiny: TinyProject) -> TinyProject:
    """The tiny release, which says what it is a changed copy of, and why it is one."""
    with (tiny.release / "release.yaml").open("a") as described:
        described.write("upstream: tiny/base\n")
    (tiny.release / "reasons.yaml").write_text(REASONS)
    return tiny


def run(project: TinyProject, monkeypatch: pytest.MonkeyPatch, *names: str) -> tuple[int, str]:
    """``python -m rendering.golden`` in this project: exit code and what it says."""
    monkeypatch.setattr(golden, "ROOT", project.root)
    result = CliRunner().invoke(golden.app, names)
    return result.exit_code, result.output


def committed(project: TinyProject) -> dict[str, Any]:
    return yaml.safe_load((project.release / GOLDEN_FILE).read_text())


def test_a_new_release_gets_its_golden_difference_without_any_code(
    changed: TinyProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, said = run(changed, monkeypatch)
    assert (code, said) == (0, "tiny: 0 removed, 1 added, 2 changed (3 values), written\n")
    document = committed(changed)
    assert document["upstream"] == "tiny/base"
    assert document["removed"] == {}
    assert set(document["added"]) == {"ConfigMap app/widget-config-<hash>"}
    assert document["changed"] == {
        "Deployment.apps app/widgets": [
            {
                "path": "spec.template.spec.volumes[name=config].configMap.name",
                "upstream": "widget-config",
                "ours": "widget-config-<hash>",
                "reason": "own-settings",
            }
        ],
        "Secret app/database": [
            {
                "path": "stringData.host",
                "ours": "<<database.host>>",
                "reason": "own-database",
            },
            {
                "path": "stringData.password",
                "upstream": "root",
                "ours": "<<database.password>>",
                "reason": "own-database",
            },
        ],
    }
    assert moved(golden.golden(changed.release)) == []


def test_what_is_written_is_read_back_the_same_and_written_the_same(
    changed: TinyProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(changed, monkeypatch)
    first = (changed.release / GOLDEN_FILE).read_text()
    assert yaml.safe_load(first) == golden.golden(changed.release).document
    run(changed, monkeypatch)
    assert (changed.release / GOLDEN_FILE).read_text() == first


def test_a_difference_without_a_reason_leaves_the_file_as_it_was(
    changed: TinyProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    (changed.release / "reasons.yaml").write_text(REASONS.partition("- id: own-settings")[0])
    code, said = run(changed, monkeypatch)
    assert code == 2
    assert "added ConfigMap app/widget-config-<hash> has no reason in tiny/reasons.yaml\n" in said
    assert not (changed.release / GOLDEN_FILE).exists()


def test_a_reason_for_nothing_is_refused(
    changed: TinyProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (changed.release / "reasons.yaml").open("a") as reasons:
        reasons.write('- {id: old, because: b, source: s, removed: ["Service app/gone"]}\n')
    code, said = run(changed, monkeypatch)
    assert code == 2
    assert "reasons.yaml explains what does not differ, old: removed Service app/gone\n" in said


def test_a_changed_overlay_disagrees_with_the_committed_difference(
    changed: TinyProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(changed, monkeypatch)
    secret = changed.release / "database.yaml"
    secret.write_text(
        secret.read_text().replace("<<database.host>>", "elsewhere").replace("  password", "  user")
    )
    found = moved(golden.golden(changed.release))
    # The password's value is there still, below the name that it now has.
    assert [(line[0], line[1:].strip("- ")) for line in found] == [
        ("-", "ours: <<database.host>>"),
        ("+", "ours: elsewhere"),
        ("+", "reason: own-database"),
        ("+", "path: stringData.user"),
    ]


def test_upstream_is_not_built_again_for_a_changed_overlay(
    changed: TinyProject, built: list[Path]
) -> None:
    golden.golden(changed.release)
    (changed.release / "database.yaml").write_text(
        (changed.release / "database.yaml").read_text().replace("<<database.host>>", "elsewhere")
    )
    golden.golden(changed.release)
    assert [folder.name for folder in built] == ["base", "tiny", "tiny"]


@pytest.fixture
def composed(changed: TinyProject) -> TinyProject:
    """The same, where the release's own folder has the list of what upstream is."""
    described = changed.release / "release.yaml"
    described.write_text(described.read_text().replace("upstream: tiny/", "upstream: ./"))
    (changed.release / "base").mkdir()
    (changed.release / "base/kustomization.yaml").write_text(COMPOSED)
    return changed


def test_an_upstream_of_several_sources_is_a_list_in_the_releases_folder(
    composed: TinyProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, said = run(composed, monkeypatch)
    assert (code, said) == (0, "tiny: 0 removed, 1 added, 2 changed (3 values), written\n")
    assert committed(composed)["upstream"] == "./base"


def test_a_composed_upstream_is_built_again_for_its_own_folder_alone(
    composed: TinyProject, built: list[Path]
) -> None:
    golden.golden(composed.release)
    secret = composed.release / "database.yaml"
    secret.write_text(secret.read_text().replace("<<database.host>>", "elsewhere"))
    golden.golden(composed.release)
    assert [folder.name for folder in built] == ["base", "tiny", "tiny"]
    (composed.release / "base/kustomization.yaml").write_text(COMPOSED + "namePrefix: new-\n")
    assert "removed" in golden.golden(composed.release).text()
    assert [folder.name for folder in built] == ["base", "tiny", "tiny", "base", "tiny"]


def test_writing_the_golden_difference_does_not_make_the_render_another(
    changed: TinyProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = changed.render().digest
    run(changed, monkeypatch)
    assert changed.render().digest == before


def test_a_folder_that_changes_nothing_has_no_golden_difference(tiny: TinyProject) -> None:
    assert golden.releases(tiny.root) == []
    with pytest.raises(RenderError, match="names no upstream"):
        golden.golden(tiny.release)


def test_an_unknown_release_is_refused_in_one_sentence(
    changed: TinyProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(changed, monkeypatch, "nope") == (
        2,
        "nope is no release with an upstream; there are tiny\n",
    )


# -- how a value is shown -------------------------------------------------------------------------


def shown(changed: TinyProject, **values: str) -> dict[str, Any]:
    """How the golden difference shows the one value that the release changes in a Secret."""
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "database", "namespace": "app"},
        "stringData": values,
    }
    (changed.release / "database.yaml").write_text(yaml.safe_dump(secret))
    (change,) = golden.golden(changed.release).document["changed"]["Secret app/database"]
    return {key: value for key, value in change.items() if key not in ("path", "reason")}


def test_a_short_text_is_shown_as_it_is(changed: TinyProject) -> None:
    assert shown(changed, text="a\nb\n") == {"ours": "a\nb\n"}


def test_a_changed_text_is_shown_by_its_changed_lines(changed: TinyProject) -> None:
    assert shown(changed, password="root\nmore\n") == {"diff": "@@ -1 +1,2 @@\n root\n+more\n"}


def test_a_long_text_is_shown_by_its_digest(changed: TinyProject) -> None:
    found = shown(changed, text="line\n" * 41)["ours"]
    assert found["lines"] == 41
    assert len(found["sha256"]) == 64


def test_a_text_that_is_a_file_of_the_release_is_shown_by_its_name(changed: TinyProject) -> None:
    (changed.release / "script.py").write_text("print(\n1)\n")
    found = shown(changed, text="print(\n1)\n")["ours"]
    assert found["file"] == "manifests/tiny/script.py"
