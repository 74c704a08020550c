"""A new release is a folder of data: no line of Python knows the one that is made up here.

`made_up/` holds its upstream sources and what a contributor would add under `manifests/`.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from components.objects.kubernetes_objects import bind
from rendering import LeakError, Rendered, render
from rendering.golden import golden
from rendering.leak_tables import MARKER
from rendering.leaks import find_leaks
from rendering.objects import Object, ObjectKey, strings
from rendering.source_files import files_digest
from settings import SettingsError, from_mapping
from tests.rendering.beijing import REGISTRY
from tests.rendering.conftest import TinyProject, archive

MADE_UP = Path(__file__).parent / "made_up"
PROJECT = Path(__file__).parents[2]
NAME = "v9.1.0"
CHINA = {"partition": "aws-cn", "dns_suffix": "amazonaws.com.cn"}
DIGEST = "sha256:" + "a" * 64


@pytest.fixture
def project(tmp_path: Path, own_cache: Path) -> TinyProject:
    """What a contributor adds, in a project that has nothing else."""
    assert own_cache.is_dir()
    root = tmp_path / "project"
    shutil.copytree(MADE_UP / "manifests", root / "manifests")
    release = root / "manifests" / NAME
    bundle = root / "bundles" / f"weather-{NAME}.tar.gz"
    bundle.parent.mkdir()
    bundle.write_bytes(archive(MADE_UP / "source", f"weather-{NAME}"))
    described = release / "release.yaml"
    digest = files_digest(MADE_UP / "source")
    described.write_text(re.sub("0{64}", digest, described.read_text()))
    return TinyProject(root, release, bundle)


def short(obj: Object) -> str:
    key = ObjectKey.of(obj)
    return f"{key.kind} {key.name}".replace("<<database.rotation>>", "N")


def names(rendered: Rendered) -> list[str]:
    return [short(obj) for obj in rendered.objects]


def test_it_renders_with_what_it_includes_and_without_what_it_removes(project: TinyProject) -> None:
    rendered = project.render()
    assert sorted(names(rendered)) == [
        "ClusterRole stations",
        "ClusterRoleBinding stations",
        "ConfigMap models",
        "Deployment forecast",
        "Deployment stations",
        "ExternalSecret accounts-N",
        "ExternalSecret forecast-N",
        "Job accounts-N",
        "Namespace accounts",
        "Namespace weather",
        "SecretStore secrets-manager",
        "ServiceAccount stations",
        "Station first",
    ]
    assert [crd["metadata"]["name"] for crd in rendered.crds] == ["stations.weather.example"]


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("Namespace accounts", "ExternalSecret accounts-N"),
        ("ClusterRole stations", "ClusterRoleBinding stations"),
        ("ClusterRoleBinding stations", "Deployment stations"),
        ("Deployment stations", "Station first"),
        ("ServiceAccount stations", "SecretStore secrets-manager"),
        ("SecretStore secrets-manager", "ExternalSecret forecast-N"),
        ("ExternalSecret forecast-N", "Deployment forecast"),
        ("ExternalSecret accounts-N", "Job accounts-N"),
        ("Job accounts-N", "Deployment forecast"),
    ],
)
def test_its_objects_are_ordered(project: TinyProject, earlier: str, later: str) -> None:
    rendered = project.render()
    (key,) = [ObjectKey.of(obj) for obj in rendered.objects if short(obj) == later]
    before = {key.name for key in rendered.prerequisites[key]}
    assert earlier.split()[1].replace("N", "<<database.rotation>>") in before
    assert names(rendered).index(earlier) < names(rendered).index(later)


def test_its_images_move_and_are_listed(project: TinyProject) -> None:
    rendered = project.render()
    assert {use.source: use.target for use in rendered.images} == {
        source: f"{REGISTRY}/{source}"
        for source in (
            "docker.io/library/mysql:8.4.11",
            "docker.io/weather/rain:v3",
            "docker.io/weather/snow:v1",
            f"ghcr.io/weather/forecast@{DIGEST}",
            "quay.io/weather/probe:v9.1.0",
            "quay.io/weather/stations:v9.1.0",
        )
    }
    (models,) = [obj for obj in rendered.objects if obj["kind"] == "ConfigMap"]
    moved = f"{REGISTRY}/docker.io/weather/rain:v3  # the usual one"
    assert moved in models["data"]["models.yaml"]


def test_no_hole_is_left_once_its_deploy_values_are_bound(project: TinyProject) -> None:
    rendered = project.render()
    markers = {
        marker
        for obj in rendered.objects
        for _, text in strings(obj)
        for marker in MARKER.findall(text)
    }
    assert {"<<region.name>>", "<<secret.ml-pipeline>>"} <= markers
    values = {marker.strip("<>"): "x" for marker in markers}
    values |= {"database.rotation": "1", "image.prefix": "registry.example.com"}
    bound = [bind(obj, values) for obj in rendered.objects]
    assert find_leaks(bound, **CHINA, registry="registry.example.com", bound=True) == []


@pytest.mark.parametrize(
    ("hole", "reason"),
    [
        ("https://s3.amazonaws.com", "hosts of aws-cn end in amazonaws.com.cn"),
        ("arn:aws:s3:::weather", "belongs to another partition than aws-cn"),
        ("$(REGION)", "is a variable that nothing replaces"),
    ],
)
def test_its_leaks_are_refused(project: TinyProject, hole: str, reason: str) -> None:
    overlay = project.release / "forecast" / "secret.yaml"
    overlay.write_text(overlay.read_text().replace("<<region.name>>", f'"{hole}"'))
    with pytest.raises(LeakError, match=f"SecretStore weather/secrets-manager .* {reason}"):
        project.render()


def test_it_is_compared_with_its_upstream(project: TinyProject) -> None:
    document = golden(project.release).document
    text = str(document)
    assert "Deployment.apps weather/mysql" in text
    assert "Secret weather/forecast-database" in text
    assert "Station" not in text


PLAIN = {"region": "cn-north-1", "release": NAME, "cluster": {"version": "1.35"}}


def test_a_stack_can_choose_it(project: TinyProject) -> None:
    settings = from_mapping(PLAIN, manifests=project.root / "manifests")
    assert settings.release == NAME


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"cluster": {"version": "1.33"}}, f"release {NAME} runs on 1.34 to 1.36"),
        (
            {"artifacts": {"credentials": "static-key"}},
            f"of release {NAME} cannot use it: use irsa",
        ),
        ({"release": "v9.2.0"}, f"manifests/ has no such folder: use {NAME}"),
    ],
)
def test_what_it_says_of_itself_binds_the_stack(
    project: TinyProject, wrong: dict[str, object], sentence: str
) -> None:
    with pytest.raises(SettingsError, match=sentence):
        from_mapping(PLAIN | wrong, manifests=project.root / "manifests")


def test_the_same_folder_serves_every_partition(project: TinyProject) -> None:
    elsewhere = render(
        project.release, partition="aws-us-gov", dns_suffix="amazonaws.com", registry=None
    )
    assert names(elsewhere) == names(project.render())


def test_no_code_knows_it() -> None:
    folders = {file.parent for file in PROJECT.glob("*/__init__.py")} - {PROJECT / "tests"}
    folders |= {PROJECT / "manifests"}
    code = [*PROJECT.glob("*.py"), *(path for each in folders for path in each.rglob("*.py"))]
    assert len(code) > 20
    assert list(MADE_UP.rglob("*.py")) == []
    assert [
        path for path in code if NAME in path.read_text() or "weather" in path.read_text()
    ] == []
