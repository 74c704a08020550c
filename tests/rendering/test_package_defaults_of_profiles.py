"""What the profile controllers put into a profile for its package sources."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from settings import from_mapping
from settings.package_sources import variables
from tests.releases import DEFAULT
from tests.rendering.beijing import rendered
from tests.rendering.profile_hooks import SCRIPTS, SETTINGS, SYNC, namespace, objects

HOOK: Any = SYNC[DEFAULT].hook
DEFAULTS, AUTHORITIES = "ConfigMap package-defaults", "ConfigMap package-authorities"
PROXY = {"https": "http://proxy.corp.example:3128"}
each_release = pytest.mark.parametrize("release", SCRIPTS)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In place of the mounted ConfigMap, as the program fills it."""
    settings = from_mapping({"region": "cn-north-1", "packages": {"proxy": PROXY}})
    values = variables(settings, ["10.64.0.0/16"])
    (tmp_path / "variables.json").write_text(json.dumps(values, indent=2))
    (tmp_path / "ca-bundle.crt").write_text("-----BEGIN CERTIFICATE-----\n")
    monkeypatch.setattr(HOOK.package_defaults, "__defaults__", (tmp_path,))
    return tmp_path


@each_release
def test_a_profile_gets_the_variables_with_its_own_name_and_the_authorities(
    release: str, folder: Path
) -> None:
    made = objects(release, name="bob")
    values = made[DEFAULTS]["data"]
    assert values["HTTPS_PROXY"] == PROXY["https"]
    assert ".bob" in values["no_proxy"].split(",")
    assert not [value for value in values.values() if "<" in value]
    assert made[AUTHORITIES]["data"] == {"ca-bundle.crt": "-----BEGIN CERTIFICATE-----\n"}
    assert {made[name]["metadata"]["namespace"] for name in (DEFAULTS, AUTHORITIES)} == {"bob"}


@each_release
def test_a_changed_file_counts_from_the_next_request_on(release: str, folder: Path) -> None:
    (folder / "variables.json").write_text('{"A": "1"}')
    (folder / "ca-bundle.crt").write_text("")
    made = objects(release)
    assert made[DEFAULTS]["data"] == {"A": "1"}
    assert AUTHORITIES not in made


@each_release
@pytest.mark.parametrize("content", [None, {"variables.json": "{}", "ca-bundle.crt": ""}])
def test_without_the_setting_a_profile_gets_neither(
    release: str, content: dict[str, str] | None, folder: Path
) -> None:
    for file in folder.iterdir():
        file.unlink()
    for name, text in (content or {}).items():
        (folder / name).write_text(text)
    assert not {DEFAULTS, AUTHORITIES} & set(objects(release))


@each_release
def test_a_namespace_that_is_no_profile_gets_nothing(release: str, folder: Path) -> None:
    assert SYNC[release].desired(namespace(enabled=None), SETTINGS[release]) == []


@each_release
def test_the_controller_reads_the_files_where_the_render_mounts_them(release: str) -> None:
    (deployment,) = (
        obj
        for obj in rendered(release).objects
        if obj["kind"] == "Deployment"
        and obj["metadata"]["name"] == "kubeflow-pipelines-profile-controller"
    )
    pod = deployment["spec"]["template"]["spec"]
    (mount,) = (
        mount
        for mount in pod["containers"][0]["volumeMounts"]
        if mount["mountPath"] == str(HOOK.PACKAGE_DEFAULTS)
    )
    (volume,) = (each for each in pod["volumes"] if each["name"] == mount["name"])
    (source,) = (
        obj
        for obj in rendered(release).objects
        if obj["kind"] == "ConfigMap"
        and obj["metadata"]["name"] == volume["configMap"]["name"]
        and obj["metadata"]["namespace"] == "kubeflow"
    )
    assert source["data"] == {
        "variables.json": "<<packages.variables>>",
        "ca-bundle.crt": "<<packages.authorities>>",
    }
