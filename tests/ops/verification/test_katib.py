"""Katib's experiment with statuses as its controllers write them (kubeflow/katib v0.19.0).

pkg/controller.v1beta1/experiment/util/status_util.go (messages, when an experiment fails) and
pkg/controller.v1beta1/trial/trial_controller_util.go (conditions of trials).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ops.cli_errors import Refused
from ops.findings import Finding, Level
from ops.verification.checks import katib
from ops.verification.checks.katib import CHECKS, ended, optimum
from ops.verification.profile import QuotaUsedUp
from tests.ops.verification.deep_platform import RUN, Cluster, DeepPlatform

NAME = f"{RUN}-random"
EXPERIMENT = f"/apis/kubeflow.org/v1beta1/namespaces/alice/experiments/{NAME}"
TRIALS = "/apis/kubeflow.org/v1beta1/namespaces/alice/trials"
PODS = "/api/v1/namespaces/alice/pods"
FOUR = [f"{NAME}-{end}" for end in ("4xk2p", "7bd9q", "c1m5t", "zz8rw")]
Object = dict[str, Any]


@pytest.fixture
def deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeepPlatform:
    return DeepPlatform(tmp_path, monkeypatch)


def condition(kind: str, reason: str, message: str, status: str = "True") -> Object:
    return {"type": kind, "status": status, "reason": reason, "message": message}


CREATED = condition("Created", "ExperimentCreated", "Experiment is created")
RUNNING = condition("Running", "ExperimentRunning", "Experiment is running")
ENDED_RUNNING = {**RUNNING, "status": "False"}
SUCCEEDED = condition(
    "Succeeded",
    "ExperimentMaxTrialsReached",
    "Experiment has succeeded because max trial count has reached",
)
FAILED = condition(
    "Failed", "ExperimentFailed", "Experiment has failed because max failed count has reached"
)
BEST = {
    "bestTrialName": FOUR[2],
    "parameterAssignments": [
        {"name": "lr", "value": "0.21930485"},
        {"name": "momentum", "value": "0.6"},
    ],
    "observation": {
        "metrics": [{"name": "loss", "min": "0.41", "max": "9.1", "latest": "0.412345"}]
    },
}


def becomes(status: Object, after: int = 20) -> Callable[[Cluster], None]:
    """A controller that writes a status after so many seconds."""

    def play(cluster: Cluster) -> None:
        if EXPERIMENT in cluster.objects:
            obj = cluster.objects[EXPERIMENT]
            early = {"conditions": [CREATED, RUNNING], "trials": 2, "trialsRunning": 2}
            obj["status"] = status if cluster.now >= after else early

    return play


def good(best: Object = BEST) -> Object:
    return {
        "conditions": [CREATED, ENDED_RUNNING, SUCCEEDED],
        "currentOptimalTrial": best,
        "trials": 4,
        "trialsSucceeded": 4,
        "succeededTrialList": FOUR,
    }


def rows_of(trials: list[str]) -> Callable[[object, str, str], list[list[str]]]:
    """Twenty rows of each."""

    def rows(_platform: object, _component: str, _statement: str) -> list[list[str]]:
        return [[trial, "20"] for trial in trials]

    return rows


def found(deep: DeepPlatform, name: str = "katib-experiment") -> list[Finding]:
    (check,) = (each for each in CHECKS if each.name == name)
    return list(check.examine(deep.platform))


def problem_of(deep: DeepPlatform) -> str:
    (told,) = found(deep)
    assert told.level is Level.PROBLEM
    return told.sentence


@pytest.mark.check("katib-experiment", broken=False)
def test_the_optimal_trial_is_told_with_its_metric(deep: DeepPlatform) -> None:
    deep.cluster.plays.append(becomes(good()))
    (told,) = found(deep)
    assert (told.level, told.about) == (Level.GOOD, "alice/katib-random.yaml")
    assert "4 trials succeeded in" in told.sentence
    best = f"the best is {FOUR[2]} with loss 0.412345 (lr=0.219304, momentum=0.6)"
    assert told.sentence.endswith(best)
    said = f"the experiment {NAME} of Katib (0 of 2 trials have ended)"
    assert said in deep.alice.said


def test_the_experiment_is_made_once_for_both_checks(
    deep: DeepPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep.cluster.plays.append(becomes(good()))
    monkeypatch.setattr(katib, "rows", rows_of(FOUR))
    found(deep)
    del deep.cluster.objects[EXPERIMENT]
    assert found(deep, "katib-rows")[0].level is Level.GOOD


@pytest.mark.check("katib-rows", broken=False)
def test_every_trial_has_rows_in_the_database(
    deep: DeepPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep.cluster.plays.append(becomes(good()))
    asked = list[tuple[str, str]]()

    def rows(_platform: object, component: str, statement: str) -> list[list[str]]:
        asked.append((component, statement))
        return [[trial, "20"] for trial in FOUR]

    monkeypatch.setattr(katib, "rows", rows)
    (told,) = found(deep, "katib-rows")
    assert told.sentence == "80 rows of 4 trials"
    ((component, statement),) = asked
    assert component == "katib"
    assert all(f"'{trial}'" in statement for trial in FOUR)


@pytest.mark.check("katib-rows", broken=True)
def test_a_trial_without_rows_is_a_problem(
    deep: DeepPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep.cluster.plays.append(becomes(good()))
    monkeypatch.setattr(katib, "rows", rows_of(FOUR[1:]))
    (told,) = found(deep, "katib-rows")
    assert told.level is Level.PROBLEM
    assert told.sentence.startswith(f"1 of 4 trials have no row, {FOUR[0]} first: `kubectl")


def pod(name: str, status: Object) -> Object:
    return {
        "metadata": {"name": name, "labels": {"katib.kubeflow.org/experiment": NAME}},
        "spec": {
            "containers": [{"name": "training-container", "image": "ghcr.io/kubeflow/katib/x"}]
        },
        "status": status,
    }


def trial(name: str, *conditions: Object) -> Object:
    return {"metadata": {"name": name}, "status": {"conditions": list(conditions)}}


@pytest.mark.check("katib-experiment", broken=True)
def test_trials_without_a_metric_are_told_with_the_collectors_words(deep: DeepPlatform) -> None:
    status = {
        "conditions": [CREATED, ENDED_RUNNING, FAILED],
        "trials": 2,
        "trialMetricsUnavailable": 1,
        "metricsUnavailableTrialList": [FOUR[0]],
    }
    deep.cluster.plays.append(becomes(status))
    deep.cluster.put(PODS, pod(f"{FOUR[0]}-abcde", {"phase": "Succeeded"}))
    printed = "F1129 main.go:396] Failed to Report logs: connection refused\n"
    where = ("alice", f"{FOUR[0]}-abcde", "metrics-logger-and-collector")
    deep.cluster.printed[where] = printed
    said = problem_of(deep)
    assert f"it is Failed, and {FOUR[0]} has no metric of the objective" in said
    assert "Failed to Report logs: connection refused`" in said
    assert "port 6789 of Service kubeflow/katib-db-manager" in said


def test_a_success_without_an_optimal_trial_is_a_problem(deep: DeepPlatform) -> None:
    deep.cluster.plays.append(becomes(good(best={"observation": {}})))
    assert "it is Succeeded, and no trial has a metric of the objective" in problem_of(deep)


def test_a_trial_that_failed_is_told_with_its_pods_last_words(deep: DeepPlatform) -> None:
    status = {
        "conditions": [CREATED, ENDED_RUNNING, FAILED],
        "trials": 2,
        "trialsFailed": 1,
        "failedTrialList": [FOUR[1]],
    }
    deep.cluster.plays.append(becomes(status))
    message = "Trial has failed. Job message: Job has reached the specified backoff limit"
    told = condition("Failed", "TrialFailed. Job reason: BackoffLimitExceeded", message)
    deep.cluster.put(TRIALS, trial(FOUR[1], told))
    ended_container = {"name": "training-container", "state": {"terminated": {"exitCode": 137}}}
    state = {"phase": "Failed", "containerStatuses": [ended_container]}
    deep.cluster.put(PODS, pod(f"{FOUR[1]}-abcde", state))
    deep.cluster.printed["alice", f"{FOUR[1]}-abcde", "training-container"] = "loss=nan\n"
    said = problem_of(deep)
    assert f"it is Failed: {FOUR[1]} failed ({message})" in said
    assert "container training-container ended (exit code 137)" in said
    assert "its last lines are `loss=nan`" in said


def test_an_image_that_is_not_pulled_is_told_after_the_time_is_up(deep: DeepPlatform) -> None:
    waiting = {"reason": "ErrImagePull", "message": "rpc error: i/o timeout"}
    state = {
        "phase": "Pending",
        "containerStatuses": [{"name": "suggestion", "state": {"waiting": waiting}}],
    }
    deep.cluster.plays.append(becomes(good(), after=10**6))
    deep.cluster.put(PODS, pod(f"{NAME}-random-7f9c-abcde", state))
    said = problem_of(deep)
    assert said.startswith(
        "it has not ended after 1200 s: pod kf-verify-1a2b3c4d0a06-random-random-"
    )
    assert "container suggestion waits: ErrImagePull" in said


def test_an_experiment_that_nobody_looks_at_is_told_with_whose_log_to_read(
    deep: DeepPlatform,
) -> None:
    said = problem_of(deep)
    assert "it has not ended after 1200 s (Katib's controller has not looked at it)" in said
    assert "deployment/katib-controller` has the reason" in said


def test_a_quota_that_is_used_up_ends_the_check_at_once(deep: DeepPlatform) -> None:
    event = {
        "metadata": {"name": "e1"},
        "type": "Warning",
        "reason": "FailedCreate",
        "message": 'pods "a" is forbidden: exceeded quota: profile-quota, requested: cpu=1',
        "involvedObject": {"kind": "Job", "name": FOUR[0]},
    }
    deep.cluster.put("/api/v1/namespaces/alice/events", event)
    with pytest.raises(QuotaUsedUp, match="raise `quota` in kubeflow:users"):
        found(deep)
    assert deep.cluster.now < 60


def test_an_experiment_that_somebody_deletes_is_not_waited_for(deep: DeepPlatform) -> None:
    def deletes(cluster: Cluster) -> None:
        if cluster.now >= 30:
            for path in [each for each in cluster.objects if "/experiments/" in each]:
                del cluster.objects[path]

    deep.cluster.plays.append(deletes)
    assert problem_of(deep).startswith("somebody deleted the experiment ")
    assert deep.cluster.now < 60


def test_a_webhook_that_rejects_the_experiment_is_told_in_its_words(deep: DeepPlatform) -> None:
    words = 'admission webhook "validator.experiment.katib.kubeflow.org" denied the request: bad'
    deep.cluster.rejects["Experiment"] = words
    assert words in problem_of(deep)


def test_rows_are_not_looked_for_where_the_experiment_failed(deep: DeepPlatform) -> None:
    with pytest.raises(Refused, match="there is no experiment that succeeded"):
        found(deep, "katib-rows")


def test_an_experiment_that_failed_is_failed_whatever_else_is_true() -> None:
    both = {"status": {"conditions": [SUCCEEDED, FAILED]}}
    assert ended(both) == "Failed"
    assert ended({"status": {"conditions": [CREATED, RUNNING]}}) is None
    assert ended({}) is None


def test_the_optimum_is_that_of_the_objective() -> None:
    spec = {"objective": {"objectiveMetricName": "accuracy"}}
    assert optimum({"spec": spec, "status": {"currentOptimalTrial": BEST}}) == ""
