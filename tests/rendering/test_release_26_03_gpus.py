"""Releases with Trainer and the GPU pool: one taint, one label, and work that stays where it runs.

On EKS the API server itself lets a pod that asks for GPUs onto nodes tainted with the name of what
it asks for (``tests/cluster/test_gpu_pods.py``), so what is held here is the agreement of names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from components.gpu import karpenter_objects as karpenter
from components.gpu.node_pools import Pool
from tests.rendering.beijing import Release, upstream
from tests.rendering.profile_hooks import objects as made_in_a_profile

STAYS = {"karpenter.sh/do-not-disrupt": "true"}


@pytest.fixture(scope="module")
def pool() -> dict[str, Any]:
    """What a node of the GPU pool is: taints and labels."""
    made = karpenter.node_pool(Pool(families=["g4dn"], max_gpus=8))
    return made["spec"]["template"]


@pytest.fixture(scope="module")
def spawner(release: Release) -> dict[str, Any]:
    text = release.text("jupyter-web-app-config", "spawner_ui_config.yaml")
    return yaml.safe_load(text)["spawnerFormDefaults"]


def gpu_template(release: Release) -> dict[str, Any]:
    """The pod of Katib's template for trials on a GPU."""
    text = release.text("trial-templates", "gpuTrialTemplate.yaml")
    return yaml.safe_load(text)["spec"]["template"]


def runtimes(release: Release) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every pod of every runtime, named ``<runtime>/<replicated job>``."""
    for runtime in release.all("ClusterTrainingRuntime"):
        for job in runtime["spec"]["template"]["spec"]["replicatedJobs"]:
            yield (
                f"{runtime['metadata']['name']}/{job['name']}",
                job["template"]["spec"]["template"],
            )


def gpus(template: Mapping[str, Any]) -> int:
    asked = [
        each.get("resources", {}).get("limits", {}).get(karpenter.GPU_RESOURCE, 0)
        for each in template["spec"]["containers"]
    ]
    return sum(int(amount) for amount in asked)


def tolerates(tolerations: list[dict[str, Any]], taint: Mapping[str, str]) -> bool:
    return any(
        each["key"] == taint["key"]
        and each.get("effect") in (None, taint["effect"])
        and (each["operator"] == "Exists" or each.get("value") == taint["value"])
        for each in tolerations
    )


def test_the_pools_taint_is_the_name_of_the_resource(pool: dict[str, Any]) -> None:
    """The one condition under which EKS gives pods their toleration by itself."""
    assert [each["key"] for each in pool["spec"]["taints"]] == [karpenter.GPU_RESOURCE]
    assert {each["effect"] for each in pool["spec"]["taints"]} == {"NoSchedule"}


def test_every_toleration_of_the_release_is_for_the_pools_taint(
    release: Release, pool: dict[str, Any], spawner: dict[str, Any]
) -> None:
    (taint,) = pool["spec"]["taints"]
    (group,) = spawner["tolerationGroup"]["options"]
    given = [group["tolerations"], gpu_template(release)["spec"]["tolerations"]]
    given += [pod["spec"]["tolerations"] for _, pod in runtimes(release) if gpus(pod)]
    assert len(given) == 5
    assert all(tolerates(tolerations, taint) for tolerations in given)


def test_a_pod_that_asks_for_no_gpu_is_given_no_toleration(
    release: Release, spawner: dict[str, Any]
) -> None:
    """With one, it could start a GPU machine for nothing."""
    assert spawner["tolerationGroup"]["value"] == ""
    assert [name for name, pod in runtimes(release) if "tolerations" in pod["spec"]] == [
        name for name, pod in runtimes(release) if gpus(pod)
    ]
    assert "tolerations" not in release.text("workflow-controller-configmap", "workflowDefaults")


def test_the_spawner_selects_nodes_by_the_label_of_the_pool(
    pool: dict[str, Any], spawner: dict[str, Any]
) -> None:
    (option,) = spawner["affinityConfig"]["options"]
    required = option["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    (term,) = required["nodeSelectorTerms"]
    (wanted,) = term["matchExpressions"]
    assert wanted["operator"] == "In"
    assert pool["metadata"]["labels"][wanted["key"]] in wanted["values"]
    assert spawner["affinityConfig"]["value"] == ""


def test_the_spawner_offers_the_one_kind_of_gpu_there_is(spawner: dict[str, Any]) -> None:
    offered = spawner["gpus"]["value"]
    assert [each["limitsKey"] for each in offered["vendors"]] == [karpenter.GPU_RESOURCE]
    assert offered["vendor"] == karpenter.GPU_RESOURCE
    assert offered["num"] == "none"


def test_katib_has_a_template_for_trials_on_a_gpu(release: Release) -> None:
    assert gpus(gpu_template(release)) == 1


def test_a_trial_and_every_training_stay_on_their_node(release: Release) -> None:
    assert gpu_template(release)["metadata"]["annotations"] == STAYS
    moved = [
        name
        for name, pod in runtimes(release)
        if pod.get("metadata", {}).get("annotations") != STAYS
    ]
    # They download what the training needs, on nodes without GPU, and start again if they must.
    assert {name.partition("/")[2] for name in moved} == {
        "dataset-initializer",
        "model-initializer",
    }


def test_a_pipelines_step_stays_on_its_node_and_all_other_defaults_are_upstreams(
    name: str, release: Release
) -> None:
    """The key is one text, so a patch of ours replaces what upstream has in it."""
    (theirs,) = [
        yaml.safe_load(obj["data"].get("workflowDefaults", "{spec: {}}"))
        for obj in upstream(name)
        if (obj["kind"], obj["metadata"]["name"]) == ("ConfigMap", "workflow-controller-configmap")
    ]
    text = release.text("workflow-controller-configmap", "workflowDefaults")
    assert "podMetadata" not in theirs["spec"]
    stays = {"podMetadata": {"annotations": STAYS}}
    assert yaml.safe_load(text) == {**theirs, "spec": {**theirs["spec"], **stays}}


def test_a_notebook_stays_by_a_pod_default_that_is_in_every_profile(
    name: str, spawner: dict[str, Any]
) -> None:
    """The web app turns the chosen PodDefault into its selector's first label, with "true"."""
    chosen = [
        made_in_a_profile(name)[f"PodDefault {chosen}"]["spec"]
        for chosen in spawner["configurations"]["value"]
    ]
    assert [list(each["selector"]["matchLabels"].values()) for each in chosen] == [["true"]] * 2
    assert [each["annotations"] for each in chosen if "annotations" in each] == [STAYS]


def test_the_profile_controller_may_make_what_its_script_answers(
    name: str, release: Release
) -> None:
    """Metacontroller drops attachments of kinds it is not told of; for the rest it needs rights."""
    controller = release.get("DecoratorController", "kubeflow-pipelines-profile-controller")
    attached = {each["resource"] for each in controller["spec"]["attachments"]}
    role = release.get("ClusterRole", "kubeflow-metacontroller")
    writes = {
        resource
        for rule in role["rules"]
        if {"create", "update", "delete"} <= set(rule["verbs"])
        for resource in rule["resources"]
    }
    kinds = {each.split()[0].lower() for each in made_in_a_profile(name)}
    answered = {f"{re.sub('y$', 'ie', kind)}s" for kind in kinds}
    assert answered <= attached & writes
