"""What the API server makes of pods that ask for GPUs: nobody has to know the pool's taint."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from components.gpu.karpenter_objects import GPU_RESOURCE
from rendering import Object
from tests.cluster.client import Refused
from tests.cluster.conftest import CURRENT
from tests.cluster.installation import Installation
from tests.cluster.platform import Platform
from tests.rendering.profile_hooks import objects as objects_of_a_profile

pytestmark = pytest.mark.parametrize("version", CURRENT, indirect=True, scope="session")


def pod(name: str, resources: dict[str, Any], **spec: Any) -> Object:
    """As a user writes it, or a controller for them; the container asks for ``resources``."""
    container = {"name": "main", "image": "registry.example/train", "resources": resources}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"containers": [container], **spec},
    }


def tolerated(answered: Object, taint: dict[str, str]) -> bool:
    return any(
        each.get("key") == taint["key"]
        and each.get("effect") in (None, taint["effect"])
        and (each["operator"] == "Exists" or each.get("value") == taint["value"])
        for each in answered["spec"].get("tolerations", [])
    )


@pytest.fixture
def taint(whole: Platform) -> dict[str, str]:
    """The taint of the pool that the stack registers."""
    (pool,) = [obj for key, obj in whole.objects.items() if key.kind == "NodePool"]
    (only,) = pool["spec"]["template"]["spec"]["taints"]
    return only


@pytest.mark.parametrize(
    "resources",
    [
        {"limits": {GPU_RESOURCE: "1"}},
        {"limits": {GPU_RESOURCE: "8"}, "requests": {GPU_RESOURCE: "8", "cpu": "4"}},
    ],
    ids=["limit", "limit and request"],
)
def test_a_pod_that_asks_for_a_gpu_may_run_on_the_pools_nodes(
    installed: Installation, taint: dict[str, str], resources: dict[str, Any]
) -> None:
    made = installed.cluster.create(pod(f"gpus-{len(resources)}", resources), dry_run=True)
    assert tolerated(made.body, taint)


def test_a_pod_that_asks_for_no_gpu_stays_off_them(
    installed: Installation, taint: dict[str, str]
) -> None:
    made = installed.cluster.create(pod("no-gpu", {"limits": {"cpu": "1"}}), dry_run=True)
    assert not tolerated(made.body, taint)


def test_a_toleration_of_the_pods_own_is_not_doubled(
    installed: Installation, taint: dict[str, str]
) -> None:
    """Katib's template and the spawner's group write the very one that the server adds."""
    own = {"key": GPU_RESOURCE, "operator": "Exists", "effect": "NoSchedule"}
    asked = pod("own", {"limits": {GPU_RESOURCE: "1"}}, tolerations=[own])
    made = installed.cluster.create(asked, dry_run=True)
    keys = [each.get("key") for each in made.body["spec"]["tolerations"]]
    assert tolerated(made.body, taint)
    assert keys.count(GPU_RESOURCE) == 1


def test_a_gpu_is_a_whole_one(installed: Installation) -> None:
    with pytest.raises(Refused, match="must be an integer"):
        installed.cluster.create(pod("half", {"limits": {GPU_RESOURCE: "500m"}}), dry_run=True)


def test_everything_that_the_hook_makes_is_accepted_in_a_profile(installed: Installation) -> None:
    # What keeps a notebook on its node, and the artifact server with its policies, are among it.
    for name, made in objects_of_a_profile(name="default").items():
        assert installed.cluster.apply(made, dry_run=True).warnings == (), name


def test_katibs_template_for_trials_on_a_gpu_is_a_job_and_its_pod_may_run_on_the_pool(
    installed: Installation, whole: Platform, taint: dict[str, str]
) -> None:
    (config,) = [obj for key, obj in whole.objects.items() if key.name == "trial-templates"]
    text = config["data"]["gpuTrialTemplate.yaml"]
    job = yaml.safe_load(re.sub(r"\$\{trialParameters\.\w+\}", "0.1", text))
    job["metadata"] = {"name": "trial", "namespace": "default"}
    installed.cluster.create(job, dry_run=True)
    metadata = {**job["spec"]["template"]["metadata"], "name": "trial", "namespace": "default"}
    asked = {"apiVersion": "v1", "kind": "Pod", **job["spec"]["template"], "metadata": metadata}
    answered = installed.cluster.create(asked, dry_run=True).body
    assert tolerated(answered, taint)
    assert answered["metadata"]["annotations"] == {"karpenter.sh/do-not-disrupt": "true"}


def test_what_trainers_pods_carry_is_kept_by_its_own_schema(installed: Installation) -> None:
    """Embedded metadata is pruned by CRDs that do not name it."""
    path = "/apis/trainer.kubeflow.org/v1alpha1/clustertrainingruntimes/torch-distributed"
    (job,) = installed.cluster.get(path)["spec"]["template"]["spec"]["replicatedJobs"]
    kept = job["template"]["spec"]["template"]["metadata"]["annotations"]
    assert kept == {"karpenter.sh/do-not-disrupt": "true"}
