"""What becomes pods by way of Knative or Argo, through the webhook of a real API server.

Both ask registries for the images of their own objects (``webhook.image_places``), so the stored
object has the account's image before its controller reads it. The CRDs are the release's.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from rendering import Object
from tests.cluster.client import Refused
from tests.cluster.conftest import CURRENT, NewCluster
from tests.cluster.mirrored import (
    OWN,
    SHA,
    TEAM,
    Judge,
    Mirrored,
    images_of,
    in_effect,
    pod,
)
from tests.releases import DEFAULT
from tests.rendering.beijing import rendered
from webhook.admission import Copy, Presence

pytestmark = pytest.mark.parametrize("version", CURRENT, indirect=True, scope="session")
GROUPS = ("argoproj.io", "serving.knative.dev")
PYTHON = f"{OWN}/docker.io/library/python:3.9"


@pytest.fixture(scope="module")
def kept(new_cluster: NewCluster, tmp_path_factory: pytest.TempPathFactory) -> Generator[Mirrored]:
    folder = tmp_path_factory.mktemp("image-mirror-certificate")
    crds = [crd for crd in rendered(DEFAULT).crds if crd["spec"]["group"] in GROUPS]
    with in_effect(new_cluster, "image-mirror-owners", folder, crds) as made:
        yield made


@pytest.fixture
def mirrored(kept: Mirrored) -> Mirrored:
    kept.judged_by(Judge())
    return kept


def revised(kind: str, name: str, *images: str, **metadata: Any) -> Object:
    """A Service, Configuration or Revision of Knative."""
    template = {"metadata": metadata, "spec": pod(name, *images)["spec"]}
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": TEAM, **(metadata if kind == "Revision" else {})},
        "spec": template["spec"] if kind == "Revision" else {"template": template},
    }


def of_argo(kind: str, name: str, image: str = "python:3.9", **container: Any) -> Object:
    template = {"name": "main", "container": {"image": image, **container}}
    spec: Object = {"entrypoint": "main", "templates": [template]}
    if kind == "CronWorkflow":
        spec = {"schedules": ["0 * * * *"], "workflowSpec": spec}
    whose = {} if kind == "ClusterWorkflowTemplate" else {"namespace": TEAM}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, **whose},
        "spec": spec,
    }


def step_image(stored: Object) -> str:
    spec = stored["spec"].get("workflowSpec", stored["spec"])
    return spec["templates"][0]["container"]["image"]


@pytest.mark.parametrize("kind", ["Service", "Configuration", "Revision"])
def test_what_a_user_gives_knative_is_stored_with_the_accounts_images(
    kind: str, mirrored: Mirrored
) -> None:
    images = ("python:3.9", f"quay.io/a/b@{SHA}", f"{OWN}/ghcr.io/c/d:1")
    made = mirrored.cluster.create(revised(kind, f"user-{kind.lower()}", *images))
    stored = mirrored.cluster.read(made.body)
    inner = stored if kind == "Revision" else stored["spec"]["template"]
    assert images_of(inner) == [PYTHON, f"{OWN}/quay.io/a/b@{SHA}", f"{OWN}/ghcr.io/c/d:1"]


def test_the_same_service_applied_again_makes_no_new_revision(mirrored: Mirrored) -> None:
    first = mirrored.cluster.apply(revised("Service", "again", "python:3.9"))
    again = mirrored.cluster.apply(revised("Service", "again", "python:3.9"))
    assert again.body["metadata"]["generation"] == first.body["metadata"]["generation"] == 1


@pytest.mark.parametrize(
    "kind", ["Workflow", "WorkflowTemplate", "ClusterWorkflowTemplate", "CronWorkflow"]
)
def test_what_a_user_gives_argo_is_stored_with_the_accounts_images(
    kind: str, mirrored: Mirrored
) -> None:
    made = mirrored.cluster.create(of_argo(kind, f"user-{kind.lower()}"))
    assert step_image(mirrored.cluster.read(made.body)) == PYTHON


def test_a_workflow_without_command_is_refused_while_its_image_is_copied(
    mirrored: Mirrored,
) -> None:
    mirrored.judge.copy = Copy(Presence.COPYING)
    with pytest.raises(Refused, match=r"is being copied .*: give the container a command, or"):
        mirrored.cluster.create(of_argo("Workflow", "too-early"))
    made = mirrored.cluster.create(of_argo("Workflow", "commanded", command=["python"]))
    assert step_image(made.body) == "python:3.9"  # its pod passes the webhook


def test_the_status_of_a_workflow_costs_no_review(mirrored: Mirrored) -> None:
    made = mirrored.cluster.create(of_argo("Workflow", "runs"))
    mirrored.judged_by(Judge())
    running = {**made.body, "status": {"phase": "Running"}}
    assert mirrored.cluster.replace(running, manager="argo").body["status"] == {"phase": "Running"}
    assert mirrored.judge.reviews == []


def test_without_the_webhook_they_are_stored_as_written(mirrored: Mirrored) -> None:
    with mirrored.down():
        made = mirrored.cluster.create(of_argo("Workflow", "alone"))
    assert step_image(made.body) == "python:3.9"
