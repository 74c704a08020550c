"""Workloads, evictions and Jobs of a platform that is right, and broken."""

from __future__ import annotations

import pytest

from ops.findings import Level
from tests.ops.verification.played.eks import node_comes, node_leaves
from tests.ops.verification.played.live import Change, Live, condition, just_now, next_rotation
from tests.ops.verification.played.platforms import CN, examined, live_of
from tests.ops.verification.told import assert_broken, assert_of_others, assert_right


@pytest.mark.parametrize(
    ("name", "about", "sentence"),
    [
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
    ],
)
def test_a_right_platform_is_good_and_the_sentence_has_numbers(
    name: str, about: str, sentence: str
) -> None:
    assert_right(name, about, sentence)


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


@pytest.mark.parametrize(
    ("name", "change", "about", "sentence"),
    [
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
            next_rotation,
            "Job kubeflow-database/database-init-2",
            "so that the database users of kubeflow:database.rotation 2 may be missing",
        ),
    ],
)
def test_a_broken_platform_gets_the_true_reason(
    name: str, change: Change, about: str, sentence: str
) -> None:
    assert_broken(name, change, about, sentence)


@pytest.mark.parametrize(
    ("name", "change", "notes"),
    [
        ("workloads", node_comes, 5),
        ("workloads", node_leaves, 5),
        ("workloads", autoscaler_adds_one, 1),
        ("workloads", stateful_set_rolls, 1),
        ("platform-jobs", job("nightly-1"), 1),
        ("platform-jobs", job("kf-verify-a", **{"kubeflow-on-eks/verify": "kf-verify-a"}), 0),
    ],
)
def test_what_passes_and_what_is_of_others_is_no_problem(
    name: str, change: Change, notes: int
) -> None:
    assert_of_others(name, change, notes)


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
