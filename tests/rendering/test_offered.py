"""What the web apps of a release offer: only what can work on this platform."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import yaml

from tests.releases import PIPELINES_2
from tests.rendering.beijing import kubeflow
from tests.rendering.profile_hooks import SCRIPTS, objects

each_release = pytest.mark.parametrize("release", SCRIPTS)
each_new = pytest.mark.parametrize("release", PIPELINES_2)
Kind = tuple[str, str, str]
"""Group, version and kind."""
JOB: Kind = ("batch", "v1", "Job")
OTHER_MACHINES = re.compile(r"gaudi|habana|rocm|amd\b|intel|xpu|neuron|tpu")
"""In the names of images for accelerators that no GPU pool has (regions/gpu_families.py)."""


def kinds_served(release: str) -> set[Kind]:
    """Everything that a trial may be in a cluster of this release."""
    custom: set[Kind] = {
        (crd["spec"]["group"], version["name"], crd["spec"]["names"]["kind"])
        for crd in kubeflow(release).rendered.crds
        for version in crd["spec"].get("versions") or [{"name": crd["spec"]["version"]}]
        if version.get("served", True)
    }
    return {JOB, *custom}


def kinds_watched(release: str) -> Iterator[Kind]:
    """What Katib's controller takes for a trial: ``Kind.version.group``, in a file or as flags."""
    if release in PIPELINES_2:
        text = kubeflow(release).text("katib-config", "katib-config.yaml")
        listed: list[str] = yaml.safe_load(text)["init"]["controller"]["trialResources"]
    else:
        flags = kubeflow(release).container("katib-controller")["args"]
        listed = [flag.partition("=")[2] for flag in flags if "trial-resources" in flag]
    assert listed
    for each in listed:
        kind, version, group = each.split(".", 2)
        yield group, version, kind


@each_release
def test_katib_watches_only_kinds_that_the_release_has(release: str) -> None:
    watched = list(kinds_watched(release))
    assert JOB in watched
    assert [kind for kind in watched if kind not in kinds_served(release)] == []


@each_release
def test_katib_offers_templates_of_kinds_that_it_watches(release: str) -> None:
    offered = kubeflow(release).get("ConfigMap", "trial-templates")["data"]
    kinds = {}
    for name, text in offered.items():
        api, kind = (yaml.safe_load(text)[key] for key in ("apiVersion", "kind"))
        group, _, version = api.rpartition("/")
        kinds[name] = (group, version, kind)
    assert "defaultTrialTemplate.yaml" in kinds
    watched = set(kinds_watched(release))
    assert [name for name, kind in kinds.items() if kind not in watched] == []


def images_of_the_form(release: str) -> list[str]:
    text = kubeflow(release).text("jupyter-web-app-config", "spawner_ui_config.yaml")
    form = yaml.safe_load(text)["spawnerFormDefaults"]
    groups = [form[name] for name in ("image", "imageGroupOne", "imageGroupTwo")]
    assert all(group["value"] in group["options"] for group in groups)
    return [image for group in groups for image in group["options"]]


@each_release
def test_the_notebook_form_offers_no_image_for_machines_that_aws_lacks(release: str) -> None:
    offered = images_of_the_form(release)
    assert len(offered) >= 7
    assert [image for image in offered if OTHER_MACHINES.search(image)] == []


@each_new
def test_what_is_not_offered_is_not_copied_either(release: str) -> None:
    copied = [image.source for image in kubeflow(release).rendered.images]
    assert [image for image in copied if OTHER_MACHINES.search(image)] == []


@each_new
def test_a_notebook_uses_pipelines_without_a_choice(release: str) -> None:
    """The web app turns a chosen PodDefault into its selector's first label, with "true"."""
    text = kubeflow(release).text("jupyter-web-app-config", "spawner_ui_config.yaml")
    chosen = yaml.safe_load(text)["spawnerFormDefaults"]["configurations"]["value"]
    made = objects(release)["PodDefault access-ml-pipeline"]["spec"]
    assert made["selector"] == {"matchLabels": {"access-ml-pipeline": "true"}}
    assert "access-ml-pipeline" in chosen


@each_release
def test_the_mesh_admits_a_notebook_to_pipelines_by_its_token(release: str) -> None:
    """Whoever names no user in a header; the API server then asks for a token."""
    policy = kubeflow(release).get("AuthorizationPolicy", "ml-pipeline")
    condition = {"key": "request.headers[kubeflow-userid]", "notValues": ["*"]}
    assert {"when": [condition]} in policy["spec"]["rules"]


@each_release
def test_the_setting_for_idle_notebooks_reaches_their_controller(release: str) -> None:
    variables = kubeflow(release).environment("notebook-controller-deployment", "manager")
    assert variables["ENABLE_CULLING"] == "<<notebooks.culling>>"
    assert variables["CULL_IDLE_TIME"] == "<<notebooks.idle-minutes>>"
