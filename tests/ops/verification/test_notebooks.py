"""A notebook of the form, with statuses as the notebook controller and the kubelet write them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ops.cli_errors import Refused
from ops.findings import Finding, Level
from ops.verification.checks.notebooks import CHECKS, form_of, notebook_objects
from ops.verification.profile import QuotaUsedUp
from tests.ops.verification.deep_platform import RUN, Cluster, DeepPlatform
from tests.rendering.beijing import kubeflow

(CHECK,) = CHECKS
NAME = f"{RUN}-notebook"
NOTEBOOK = f"/apis/kubeflow.org/v1/namespaces/alice/notebooks/{NAME}"
CLAIM = f"/api/v1/namespaces/alice/persistentvolumeclaims/{NAME}-workspace"
PODS = "/api/v1/namespaces/alice/pods"
IMAGE = "registry.test/ghcr.io/kubeflow/kubeflow/notebook-servers/jupyter-scipy:v1.11.0"


@pytest.fixture
def deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeepPlatform:
    """With the web app and its form as they are rendered."""
    rendered = kubeflow()  # by a kustomize that may be kubectl's, which the platform's hides
    made = DeepPlatform(tmp_path, monkeypatch)
    deployment = rendered.get("Deployment", "jupyter-web-app-deployment")
    made.cluster.put("/apis/apps/v1/namespaces/kubeflow/deployments", deployment)
    for each in rendered.all("ConfigMap"):
        if "spawner_ui_config.yaml" in (each.get("data") or {}):
            text = each["data"]["spawner_ui_config.yaml"]
            text = text.replace("<<notebooks.data-volumes>>", "[]")
            data = {"spawner_ui_config.yaml": text.replace("<<image.prefix>>", "registry.test")}
            made.cluster.put("/api/v1/namespaces/kubeflow/configmaps", {**each, "data": data})
    return made


def ready(cluster: Cluster) -> None:
    if NOTEBOOK in cluster.objects:
        cluster.objects[NOTEBOOK]["status"] = {"readyReplicas": int(cluster.now >= 30)}


def found(deep: DeepPlatform) -> list[Finding]:
    return list(CHECK.examine(deep.platform))


def problem_of(deep: DeepPlatform) -> str:
    *_, told = found(deep)
    assert told.level is Level.PROBLEM
    return told.sentence


@pytest.mark.check("notebook", broken=False)
def test_a_notebook_starts_and_its_volume_goes_with_it(deep: DeepPlatform) -> None:
    deep.cluster.plays.append(ready)
    started, gone = found(deep)
    assert started.level is gone.level is Level.GOOD
    assert started.sentence.startswith(f"{IMAGE} is ready in ")
    assert gone.sentence.startswith("is gone with its volume, ")
    assert deep.cluster.deleted == [NOTEBOOK, CLAIM]


def test_it_is_what_the_form_makes_of_its_defaults(deep: DeepPlatform) -> None:
    claim, notebook = notebook_objects(form_of(deep.platform), "mine")
    assert claim["spec"]["resources"] == {"requests": {"storage": "5Gi"}}
    assert notebook["metadata"]["labels"] == {
        "app": "mine",
        "keep-node": "true",
        "access-ml-pipeline": "true",
    }
    pod = notebook["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert (container["name"], container["image"]) == ("mine", IMAGE)
    assert container["resources"]["requests"] == {"cpu": "0.5", "memory": "1.0Gi"}
    assert pod["volumes"][0]["persistentVolumeClaim"]["claimName"] == "mine-workspace"
    assert container["volumeMounts"][0]["mountPath"] == "/home/jovyan"


def waits(status: Mapping[str, Any]) -> dict[str, Any]:
    labels = {"notebook-name": NAME}
    image = {"name": NAME, "image": IMAGE}
    return {
        "metadata": {"name": f"{NAME}-0", "labels": labels},
        "spec": {"containers": [image]},
        "status": dict(status),
    }


@pytest.mark.check("notebook", broken=True)
@pytest.mark.parametrize(
    ("status", "told"),
    [
        (
            {
                "phase": "Pending",
                "containerStatuses": [
                    {
                        "name": NAME,
                        "state": {"waiting": {"reason": "ImagePullBackOff", "message": "x"}},
                    }
                ],
            },
            f"container {NAME} waits: ImagePullBackOff: x: nodes do not reach registry.test",
        ),
        (
            {
                "phase": "Pending",
                "conditions": [
                    {
                        "type": "PodScheduled",
                        "status": "False",
                        "message": "pod has unbound immediate PersistentVolumeClaims",
                    }
                ],
            },
            "no node takes it: pod has unbound immediate PersistentVolumeClaims",
        ),
    ],
)
def test_a_notebook_that_does_not_start_has_its_pods_reason(
    deep: DeepPlatform, status: Mapping[str, Any], told: str
) -> None:
    deep.cluster.put(PODS, waits(status))
    said = problem_of(deep)
    assert said.startswith("it is not ready after 900 s: ")
    assert told in said
    assert any(told in each for each in deep.alice.said)


def test_a_quota_that_is_used_up_ends_the_check_at_once(deep: DeepPlatform) -> None:
    event = {
        "metadata": {"name": "e1"},
        "type": "Warning",
        "reason": "FailedCreate",
        "message": "create Pod failed: exceeded quota: profile-quota",
        "involvedObject": {"kind": "StatefulSet", "name": NAME},
    }
    deep.cluster.put("/api/v1/namespaces/alice/events", event)
    with pytest.raises(QuotaUsedUp, match=r"is used up \(exceeded quota: profile-quota\): end"):
        found(deep)
    assert deep.cluster.now < 60


def test_a_warning_without_a_message_is_told_by_its_reason(deep: DeepPlatform) -> None:
    about = {"kind": "StatefulSet", "name": NAME}
    for number, event in enumerate(({"reason": "FailedCreate", "involvedObject": about}, {})):
        named = {"metadata": {"name": f"e{number}"}, "type": "Warning"}
        deep.cluster.put("/api/v1/namespaces/alice/events", {**named, **event})
    assert problem_of(deep).endswith("StatefulSet: FailedCreate")


def test_a_notebook_that_nobody_looks_at_is_told_with_whose_log_to_read(deep: DeepPlatform) -> None:
    said = problem_of(deep)
    assert "it has no pod: `kubectl --namespace kubeflow logs deployment/notebook-contr" in said


def test_a_volume_that_stays_is_a_problem(deep: DeepPlatform) -> None:
    deep.cluster.plays.append(ready)

    def stays(cluster: Cluster) -> None:
        if cluster.deleted:
            metadata = {
                "name": f"{NAME}-workspace",
                "finalizers": ["kubernetes.io/pvc-protection"],
            }
            cluster.put(CLAIM.rpartition("/")[0], {"metadata": metadata})

    deep.cluster.plays.append(stays)
    said = problem_of(deep)
    assert f"{NAME}-workspace is still there 300 s after its deletion, with the finalizers" in said
    assert "kubernetes.io/pvc-protection: a pod mounts it" in said


def test_a_quota_that_takes_no_claim_is_not_checked(deep: DeepPlatform) -> None:
    deep.cluster.rejects["PersistentVolumeClaim"] = "exceeded quota: profile-quota"
    with pytest.raises(QuotaUsedUp, match=r"is used up \(exceeded quota: profile-quota\): end"):
        found(deep)


def test_a_claim_that_is_rejected_is_told_in_the_servers_words(deep: DeepPlatform) -> None:
    deep.cluster.rejects["PersistentVolumeClaim"] = "admission webhook denied it"
    assert problem_of(deep).endswith(": admission webhook denied it: correct the form's defaults")


def test_without_the_form_nothing_is_made(deep: DeepPlatform) -> None:
    deep.cluster.objects.clear()
    with pytest.raises(Refused, match=r"mounts no spawner_ui_config\.yaml"):
        found(deep)
