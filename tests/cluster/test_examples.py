"""The files of examples/, submitted to the API server that has the whole platform."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from rendering import Object
from tests.cluster.conftest import CURRENT
from tests.cluster.installation import Installation
from tests.documents import FENCE, ROOT, text_of
from tests.examples import OBJECTS, object_of
from tests.rendering.profile_hooks import objects

SERVING = ROOT / "docs/serving.md"
pytestmark = pytest.mark.parametrize("version", CURRENT, indirect=True, scope="session")


@pytest.mark.parametrize("file", OBJECTS, ids=lambda file: file.name)
def test_an_example_is_accepted_with_the_pods_it_makes(installed: Installation, file: Path) -> None:
    example = object_of(file)
    example["metadata"].setdefault("namespace", "default")
    made = installed.cluster.create(example, dry_run=True)
    assert made.warnings == ()
    trial = example["spec"].get("trialTemplate", {}).get("trialSpec")
    if trial:
        trial["metadata"] = {"name": "trial", "namespace": "default"}
        assert installed.cluster.create(trial, dry_run=True).warnings == ()
    job = trial or example
    if job["kind"] == "Job":
        template = job["spec"]["template"]
        metadata = {**template["metadata"], **job["metadata"]}
        # The profile controller, which makes default-editor, does not run here.
        spec = {
            key: value for key, value in template["spec"].items() if key != "serviceAccountName"
        }
        pod: Object = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        assert installed.cluster.create(pod, dry_run=True).warnings == ()


def test_the_token_for_pipelines_is_accepted_as_a_pod_default_and_in_a_pod(
    installed: Installation,
) -> None:
    made = objects(name="default")["PodDefault access-ml-pipeline"]
    assert installed.cluster.apply(made, dry_run=True).warnings == ()
    added = {name: made["spec"][name] for name in ("env", "volumeMounts")}
    spec = {
        "containers": [{"name": "notebook", "image": "registry.example/notebook", **added}],
        "volumes": made["spec"]["volumes"],
    }
    metadata = {"name": "notebook", "namespace": "default"}
    pod: Object = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    assert installed.cluster.create(pod, dry_run=True).warnings == ()


def test_the_templates_for_language_models_are_accepted(installed: Installation) -> None:
    """What docs/serving.md has for an administrator and for a user, with no field unknown."""
    blocks = [yaml.safe_load(block[2]) for block in FENCE.findall(text_of(SERVING))]
    written = [each for each in blocks if each["kind"].startswith("LLMInferenceService")]
    assert len(written) == 2
    for obj in written:
        obj["metadata"]["namespace"] = "default"
        assert installed.cluster.create(obj, dry_run=True).warnings == ()
