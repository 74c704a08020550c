"""Versions, nodes, pools, workloads, volumes and metrics of a platform that is right, and "
"broken."""

from __future__ import annotations

import copy
from datetime import date
from typing import Any

import pytest

from ops import version_checks
from ops.findings import Level
from tests.ops.verification.played.api_server import PlayedCluster
from tests.ops.verification.played.live import CREATED, Change, Live, condition, just_now
from tests.ops.verification.played.platforms import CN, examined, live_of, wrong
from tests.releases import DEFAULT


@pytest.fixture(autouse=True)
def _today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(version_checks, "today", lambda: date(2026, 11, 29))


@pytest.mark.parametrize(
    ("name", "about", "sentence"),
    [
        pytest.param(
            "kubernetes-version",
            "control plane",
            "runs v1.36.1-eks-1234567; kubeflow:cluster.version is 1.36",
            marks=pytest.mark.check("kubernetes-version", broken=False),
        ),
        pytest.param(
            "node-versions",
            "kubelet v1.36.1-eks-1234567",
            "as the control plane: v1.36.1-eks-1234567 on 4 nodes",
            marks=pytest.mark.check("node-versions", broken=False),
        ),
        pytest.param(
            "release-version",
            f"release {DEFAULT}",
            "53 workloads run the images of its lock",
            marks=pytest.mark.check("release-version", broken=False),
        ),
        pytest.param(
            "karpenter-version",
            "Karpenter",
            "runs 1.14.1, as kubeflow:gpuPool.karpenterVersion says",
            marks=pytest.mark.check("karpenter-version", broken=False),
        ),
        pytest.param(
            "support-ends",
            "Kubernetes",
            "standard support of 1.36 ends on 2027-08-02, in 246 days",
            marks=pytest.mark.check("support-ends", broken=False),
        ),
        pytest.param(
            "nodes",
            "nodes",
            "all 4 are ready; of node group kf: 2 in cn-north-1a, 1 in cn-north-1b, 1 in "
            "cn-north-1c",
            marks=pytest.mark.check("nodes", broken=False),
        ),
        pytest.param(
            "node-pools",
            "NodePool gpu",
            "ready; 0 of 8 nvidia.com/gpu in use",
            marks=pytest.mark.check("node-pools", broken=False),
        ),
        pytest.param(
            "workloads",
            "workloads",
            "have all their pods",
            marks=pytest.mark.check("workloads", broken=False),
        ),
        pytest.param(
            "disruption-budgets",
            "disruption budgets",
            "let one pod at a time be evicted",
            marks=pytest.mark.check("disruption-budgets", broken=False),
        ),
        pytest.param(
            "platform-jobs",
            "jobs",
            "1 of the platform are complete",
            marks=pytest.mark.check("platform-jobs", broken=False),
        ),
        pytest.param(
            "storage",
            "StorageClass",
            "gp3 is the default of 2",
            marks=pytest.mark.check("storage", broken=False),
        ),
        pytest.param(
            "metrics",
            "metrics.k8s.io",
            "measures 4 nodes",
            marks=pytest.mark.check("metrics", broken=False),
        ),
    ],
)
def test_a_right_platform_is_good_and_the_sentence_has_numbers(
    name: str, about: str, sentence: str
) -> None:
    findings = examined(name, live_of(CN))
    assert wrong(findings) == []
    assert sentence in next(each.sentence for each in findings if each.about == about)


def test_the_use_of_a_pool_is_counted() -> None:
    live = live_of(CN).changed()
    pool_uses(3)(live)
    sentences = [each.sentence for each in examined("node-pools", live)]
    assert "ready; 3 of 8 nvidia.com/gpu in use" in sentences


# -- broken ----------------------------------------------------------------------------------------


def deployment_runs(image: str, name: str = "kubeflow/ml-pipeline") -> Change:
    def change(live: Live) -> None:
        spec = live.get("Deployment", name)["spec"]["template"]["spec"]
        spec["containers"][0]["image"] = image

    return change


def no_deployment(name: str) -> Change:
    return lambda live: live.delete("Deployment", name)


def node_condition(kind: str, status: str) -> Change:
    def change(live: Live) -> None:
        (first, *_) = live.all("Node")
        kept = [each for each in first["status"]["conditions"] if each["type"] != kind]
        state = condition(kind, status, reason="KubeletNotReady", message="it is too full")
        first["status"]["conditions"] = [*kept, state]

    return change


def one_zone(live: Live) -> None:
    for node in live.all("Node"):
        node["metadata"]["labels"]["topology.kubernetes.io/zone"] = "cn-north-1a"


def cordoned(live: Live) -> None:
    live.all("Node")[0]["spec"]["unschedulable"] = True


def fewer_nodes(live: Live) -> None:
    live.delete("Node", live.all("Node")[0]["metadata"]["name"])


def kubelets(version: str) -> Change:
    def change(live: Live) -> None:
        for node in live.all("Node")[:2]:
            node["status"]["nodeInfo"]["kubeletVersion"] = version

    return change


def class_condition(kind: str, message: str) -> Change:
    def change(live: Live) -> None:
        conditions = live.get("EC2NodeClass", "gpu")["status"]["conditions"]
        for each in conditions:
            if each["type"] in (kind, "Ready"):
                each |= {"status": "False", "reason": f"{kind}Failed", "message": message}

    return change


def no_pool(live: Live) -> None:
    live.delete("NodePool", "gpu")


def no_class(live: Live) -> None:
    live.delete("EC2NodeClass", "gpu")


def pool_uses(gpus: int) -> Change:
    def change(live: Live) -> None:
        live.get("NodePool", "gpu")["status"]["resources"] = {"nvidia.com/gpu": str(gpus)}

    return change


def few_pods(name: str, **progress: str) -> Change:
    def change(live: Live) -> None:
        status = live.get("Deployment", name)["status"]
        status["readyReplicas"] = 0
        (progressing,) = status["conditions"]
        progressing |= progress

    return change


def namespace_ends(live: Live) -> None:
    namespace = live.get("Namespace", "kubeflow")
    namespace["metadata"]["deletionTimestamp"] = "2026-11-01T10:00:00Z"
    message = "a/b in 1 resource instances"
    reason = "SomeFinalizersRemain"
    kept = condition("NamespaceFinalizersRemaining", reason=reason, message=message)
    namespace["status"] = {"phase": "Terminating", "conditions": [kept]}


def scaled_to_nothing(live: Live) -> None:
    deployment = live.get("Deployment", "kubeflow/katib-ui")
    deployment["spec"]["replicas"] = 0
    deployment["status"]["readyReplicas"] = 0


def budget_for_ever(live: Live) -> None:
    budget = live.get("PodDisruptionBudget", "auth/dex")
    budget["spec"] = {**budget["spec"], "minAvailable": 2}
    del budget["spec"]["maxUnavailable"]
    budget["status"] |= {"desiredHealthy": 2, "disruptionsAllowed": 0}


def failed_job(live: Live) -> None:
    (job,) = live.all("Job")
    message = "Job has reached the specified backoff limit"
    failed = condition("Failed", reason="BackoffLimitExceeded", message=message)
    job["status"] = {"conditions": [failed], "failed": 5}


def another_rotation(live: Live) -> None:
    live.settings = live.settings.model_copy(
        update={"database": live.settings.database.model_copy(update={"rotation": 2})}
    )


def no_default_class(live: Live) -> None:
    live.get("StorageClass", "gp3")["metadata"]["annotations"] = {}


def claim(
    phase: str, used_class: str, *, mounted: bool, created: str = CREATED, node: str = "a"
) -> Change:
    def change(live: Live) -> None:
        live.put(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {
                    "name": "work",
                    "namespace": "kubeflow-user-example-com",
                    "creationTimestamp": created,
                    "annotations": {"volume.kubernetes.io/selected-node": node} if node else {},
                },
                "spec": {"storageClassName": used_class},
                "status": {"phase": phase},
            }
        )
        if mounted:
            volume = {"name": "work", "persistentVolumeClaim": {"claimName": "work"}}
            live.put(
                {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "metadata": {"name": "mine-0", "namespace": "kubeflow-user-example-com"},
                    "spec": {"containers": [], "volumes": [volume]},
                    "status": {"phase": "Pending"},
                }
            )

    return change


def no_driver(live: Live) -> None:
    live.delete("CSIDriver", "ebs.csi.aws.com")


def metrics_away(live: Live) -> None:
    service = live.get("APIService", "v1beta1.metrics.k8s.io")
    service["status"]["conditions"][0] |= {"status": "False", "reason": "MissingEndpoints"}


def autoscaler_blind(live: Live) -> None:
    for each in live.get("HorizontalPodAutoscaler", "istio-system/istiod")["status"]["conditions"]:
        if each["type"] == "ScalingActive":
            each |= {
                "status": "False",
                "reason": "FailedGetResourceMetric",
                "message": "no metrics",
            }


@pytest.mark.parametrize(
    ("name", "change", "about", "sentence"),
    [
        pytest.param(
            "node-versions",
            kubelets("v1.32.4-eks-1234567"),
            "kubelet v1.32.4-eks-1234567",
            "is 4 minor versions older than the control plane (v1.36.1-eks-1234567), and "
            "Kubernetes "
            "supports 3: run `pulumi up`",
            marks=pytest.mark.check("node-versions", broken=True),
        ),
        (
            "node-versions",
            kubelets("v1.37.0"),
            "kubelet v1.37.0",
            "v1.37.0 on 2 nodes (ip-10-64-0-4 and ip-10-64-0-5) is newer than the control plane",
        ),
        ("node-versions", kubelets("v1.35.2"), "kubelet v1.35.2", "is 1 minor versions older"),
        pytest.param(
            "release-version",
            deployment_runs("ghcr.io/kubeflow/kfp-api-server:2.15.0"),
            "Deployment kubeflow/ml-pipeline",
            "runs ghcr.io/kubeflow/kfp-api-server:2.15.0, and 26.03.1 has "
            "ghcr.io/kubeflow/kfp-api-server:2.17.0: run `pulumi up`",
            marks=pytest.mark.check("release-version", broken=True),
        ),
        (
            "release-version",
            no_deployment("kubeflow/katib-ui"),
            "Deployment kubeflow/katib-ui",
            "26.03.1 has it, and the cluster does not",
        ),
        pytest.param(
            "karpenter-version",
            deployment_runs("public.ecr.aws/karpenter/controller:1.12.0", "kube-system/karpenter"),
            "Karpenter",
            "runs public.ecr.aws/karpenter/controller:1.12.0, and "
            "kubeflow:gpuPool.karpenterVersion is 1.14.1",
            marks=pytest.mark.check("karpenter-version", broken=True),
        ),
        (
            "karpenter-version",
            no_deployment("kube-system/karpenter"),
            "Karpenter",
            "there is no Deployment kube-system/karpenter, so no GPU node starts",
        ),
        pytest.param(
            "nodes",
            node_condition("Ready", "False"),
            "ip-10-64-0-4",
            "is not ready (KubeletNotReady: it is too full): look at it with `kubectl describe "
            "node`",
            marks=pytest.mark.check("nodes", broken=True),
        ),
        ("nodes", node_condition("DiskPressure", "True"), "ip-10-64-0-4", "reports DiskPressure"),
        (
            "nodes",
            fewer_nodes,
            "node group kf",
            "3 nodes are ready, and kubeflow:nodeGroup.min is 4",
        ),
        ("nodes", one_zone, "node group kf", "all 4 nodes are in cn-north-1a"),
        ("nodes", cordoned, "ip-10-64-0-4", "takes no new pods (cordoned)"),
        pytest.param(
            "node-pools",
            class_condition("AMIsReady", "no AMI matches al2023@v20200101"),
            "EC2NodeClass gpu",
            "is not ready (AMIsReady: AMIsReadyFailed: no AMI matches al2023@v20200101), so that "
            "no "
            "node of it starts",
            marks=pytest.mark.check("node-pools", broken=True),
        ),
        (
            "node-pools",
            no_pool,
            "NodePool gpu",
            "the stack file has it, and the cluster does not: run `pulumi up`",
        ),
        (
            "node-pools",
            no_class,
            "NodePool gpu",
            "names the EC2NodeClass gpu, which does not exist",
        ),
        (
            "node-pools",
            pool_uses(8),
            "NodePool gpu",
            "all 8 nvidia.com/gpu of its limit are in use",
        ),
        pytest.param(
            "workloads",
            few_pods(
                "auth/dex",
                status="False",
                reason="ProgressDeadlineExceeded",
                message="has timed out progressing.",
            ),
            "Deployment auth/dex",
            "0 of 2 pods are ready (ProgressDeadlineExceeded: has timed out progressing.)",
            marks=pytest.mark.check("workloads", broken=True),
        ),
        (
            "workloads",
            few_pods("auth/dex", lastUpdateTime=just_now()),
            "Deployment auth/dex",
            "0 of 2 pods are ready: it rolls out, look again",
        ),
        (
            "workloads",
            namespace_ends,
            "Namespace kubeflow",
            "since 2026-11-01T10:00:00Z, so that nothing new starts there (NamespaceFinalizersRem",
        ),
        (
            "workloads",
            scaled_to_nothing,
            "Deployment kubeflow/katib-ui",
            "somebody scaled it to 0: run `pulumi up`",
        ),
        pytest.param(
            "disruption-budgets",
            budget_for_ever,
            "auth/dex",
            "minAvailable 2 of 2 pods never lets one be evicted, so that draining its node",
            marks=pytest.mark.check("disruption-budgets", broken=True),
        ),
        pytest.param(
            "platform-jobs",
            failed_job,
            "Job kubeflow-database/database-init-1",
            "failed (BackoffLimitExceeded: Job has reached the specified backoff limit): read "
            "`kubectl -n kubeflow-database logs job/database-init-1`",
            marks=pytest.mark.check("platform-jobs", broken=True),
        ),
        (
            "platform-jobs",
            another_rotation,
            "Job kubeflow-database/database-init-2",
            "so that the database users of kubeflow:database.rotation 2 may be missing",
        ),
        pytest.param(
            "storage",
            no_default_class,
            "StorageClass",
            "none is the default, so claims without a class wait for ever",
            marks=pytest.mark.check("storage", broken=True),
        ),
        ("storage", no_driver, "CSI drivers", "ebs.csi.aws.com is missing"),
        (
            "storage",
            claim("Pending", "gp3", mounted=True),
            "kubeflow-user-example-com/work",
            (
                "is Pending, and a pod waits for it: read `kubectl -n kubeflow-user-example-com "
                "describe"
            ),
        ),
        (
            "storage",
            claim("Pending", "gp3", mounted=False),
            "kubeflow-user-example-com/work",
            "waits for its first pod, as the class gp3 says",
        ),
        (
            "storage",
            claim("Pending", "fast", mounted=True),
            "kubeflow-user-example-com/work",
            "names the StorageClass fast, which does not exist: use gp2 or gp3",
        ),
        (
            "storage",
            claim("Lost", "gp3", mounted=True),
            "kubeflow-user-example-com/work",
            "its volume is gone",
        ),
        pytest.param(
            "metrics",
            metrics_away,
            "metrics.k8s.io",
            "does not answer (MissingEndpoints)",
            marks=pytest.mark.check("metrics", broken=True),
        ),
        (
            "metrics",
            autoscaler_blind,
            "istio-system/istiod",
            "does not scale (FailedGetResourceMetric: no metrics)",
        ),
    ],
)
def test_a_broken_platform_gets_the_true_reason(
    name: str, change: Change, about: str, sentence: str
) -> None:
    live = live_of(CN).changed()
    change(live)
    (found,) = [said for what, said in wrong(examined(name, live)) if what == about]
    assert sentence in found


@pytest.mark.parametrize(
    ("version", "sentence"),
    [
        pytest.param(
            "v1.35.2-eks-1234567",
            "runs v1.35.2-eks-1234567, and kubeflow:cluster.version is 1.36: run `pulumi up`",
            marks=pytest.mark.check("kubernetes-version", broken=True),
        ),
        (
            "v1.37.0-eks-1234567",
            "no `pulumi up` goes back, so set it to 1.37 before the next one, or take the",
        ),
    ],
)
def test_another_control_plane_than_the_stack_file_says(version: str, sentence: str) -> None:
    cluster = PlayedCluster(live_of(CN))
    cluster.version = version
    findings = wrong(examined("kubernetes-version", live_of(CN), cluster))
    assert sentence in dict(findings)["control plane"]
    # Neither this release nor this Karpenter is known to run on a newer one.
    newer = {f"release {DEFAULT}", "Karpenter 1.14.1"} if "1.37" in version else set[str]()
    assert {about for about, _ in findings} == {"control plane", *newer}


@pytest.mark.parametrize(
    ("version", "level", "sentence"),
    [
        pytest.param(
            "v1.31.9",
            Level.PROBLEM,
            "AWS's support of 1.31 ended on 2026-11-26: set kubeflow:cluster.version to a newer "
            "one",
            marks=pytest.mark.check("support-ends", broken=True),
        ),
        ("v1.34.1", Level.NOTE, "standard support of 1.34 ends on 2026-12-02, in 3 days"),
        (
            "v1.99.0",
            Level.NOTE,
            "the end of support of 1.99 is unknown to settings/support_ends.yaml",
        ),
    ],
)
def test_support_is_of_the_version_that_runs(version: str, level: Level, sentence: str) -> None:
    cluster = PlayedCluster(live_of(CN))
    cluster.version = version
    first, _ = examined("support-ends", live_of(CN), cluster)
    assert first.level is level
    assert sentence in first.sentence


def test_an_older_release_is_told_once_and_not_for_each_workload() -> None:
    live = live_of(CN).changed()
    for deployment in live.all("Deployment"):
        for container in deployment["spec"]["template"]["spec"]["containers"]:
            container["image"] = f"{container['image'].partition('@')[0]}-older"
    ((about, sentence),) = wrong(examined("release-version", live))
    assert about == f"release {DEFAULT}"
    assert "of its images are not what runs, such as Deployment " in sentence


def test_a_stack_without_gpu_pool_is_good_and_says_so() -> None:
    off = live_of(CN).settings.gpu_pool.model_copy(update={"enabled": False})
    live = live_of(CN).with_settings(gpu_pool=off)
    live.delete("NodePool", "gpu")
    for name in ("karpenter-version", "node-pools"):
        (finding,) = examined(name, live)
        assert (finding.level, finding.sentence) == (
            Level.GOOD,
            "not part of the stack: kubeflow:gpuPool.enabled is false",
        )


def test_what_a_user_runs_is_no_problem_of_the_platform() -> None:
    live = live_of(CN).changed()
    namespace = "kubeflow-user-example-com"
    (name,) = [
        each["metadata"]["name"]
        for each in live.all("Deployment")
        if each["metadata"]["namespace"] == namespace
    ]
    few_pods(f"{namespace}/{name}", status="False", reason="ProgressDeadlineExceeded")(live)
    findings = examined("workloads", live)
    assert [each.level for each in findings] == [Level.NOTE, Level.GOOD]


# -- what passes, and what is of others ------------------------------------------------------------


def node_comes(live: Live) -> None:
    node = copy.deepcopy(live.all("Node")[0])
    node["metadata"] |= {"name": "ip-10-64-9-9", "creationTimestamp": just_now(), "labels": {}}
    live.put(node)
    for each in live.all("DaemonSet"):
        each["status"]["desiredNumberScheduled"] += 1


def node_leaves(live: Live) -> None:
    node_comes(live)
    node = live.get("Node", "ip-10-64-9-9")
    node["metadata"] |= {"creationTimestamp": CREATED, "deletionTimestamp": just_now()}
    node["status"]["conditions"] = [condition("Ready", "Unknown", reason="NodeStatusUnknown")]


def autoscaler_adds_one(live: Live) -> None:
    deployment = live.get("Deployment", "istio-system/istiod")
    deployment["spec"]["replicas"] += 1
    deployment["status"]["conditions"].append(condition("Available"))


def stateful_set_rolls(live: Live) -> None:
    revisions = {"currentRevision": "web-1", "updateRevision": "web-2"}
    live.put(
        {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": {"name": "web", "namespace": "kubeflow"},
            "spec": {"replicas": 2, "template": {"spec": {"containers": []}}},
            "status": {"readyReplicas": 1, **revisions},
        }
    )


def job(name: str, **labels: str) -> Change:
    def change(live: Live) -> None:
        live.put(
            {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "metadata": {"name": name, "namespace": "kubeflow-database", "labels": labels},
                "spec": {"template": {"spec": {"containers": []}}},
                "status": {"conditions": [condition("Failed", reason="BackoffLimitExceeded")]},
            }
        )

    return change


def pool_of_auto_mode(live: Live) -> None:
    reference = {"group": "eks.amazonaws.example", "kind": "NodeClass", "name": "default"}
    live.put(
        {
            "apiVersion": "karpenter.sh/v1",
            "kind": "NodePool",
            "metadata": {"name": "general-purpose"},
            "spec": {"template": {"spec": {"nodeClassRef": reference}}},
            "status": {"conditions": [condition("Ready")]},
        }
    )


def autoscaler_of_others(live: Live) -> None:
    autoscaler = copy.deepcopy(live.get("HorizontalPodAutoscaler", "istio-system/istiod"))
    autoscaler["metadata"] |= {"name": "site", "namespace": "web"}
    autoscaler["status"]["conditions"] = [
        condition("ScalingActive", "False", reason="FailedGetExternalMetric")
    ]
    live.put(autoscaler)


@pytest.mark.parametrize(
    ("name", "change", "notes"),
    [
        ("nodes", node_comes, 0),
        ("workloads", node_comes, 5),
        ("nodes", node_leaves, 1),
        ("workloads", node_leaves, 5),
        ("workloads", autoscaler_adds_one, 1),
        ("workloads", stateful_set_rolls, 1),
        ("platform-jobs", job("nightly-1"), 1),
        ("platform-jobs", job("kf-verify-a", **{"kubeflow-on-eks/verify": "kf-verify-a"}), 0),
        ("node-pools", pool_of_auto_mode, 1),
        ("metrics", autoscaler_of_others, 1),
        ("storage", claim("Pending", "gp3", mounted=True, node=""), 1),
    ],
)
def test_what_passes_and_what_is_of_others_is_no_problem(
    name: str, change: Change, notes: int
) -> None:
    live = live_of(CN).changed()
    change(live)
    levels = [each.level for each in examined(name, live)]
    assert Level.PROBLEM not in levels
    assert levels.count(Level.NOTE) == notes


@pytest.mark.parametrize(
    ("used_class", "sentence"),
    [(None, "none was the default when it was made"), ("", "no volume that somebody made")],
)
def test_a_claim_without_a_class_gets_the_true_reason(used_class: Any, sentence: str) -> None:
    live = live_of(CN).changed()
    claim("Pending", used_class, mounted=True)(live)
    ((_, said),) = wrong(examined("storage", live))
    assert sentence in said
