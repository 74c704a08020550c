"""Why a pod is not ready, as its status and its warnings have it."""

from __future__ import annotations

from typing import Any

import pytest

from components.objects.pod_reasons import Reason, reason_of

CREATING = {"waiting": {"reason": "ContainerCreating"}}
RUNNING = {"running": {"startedAt": "2026-11-29T01:00:00Z"}}
CRASHED = {"exitCode": 137, "reason": "OOMKilled"}
BACK_OFF = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s"}}


def pod(*, metadata: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "web-1", "uid": "of-web-1", **(metadata or {})}, "status": status}


def container(state: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"name": "main", "state": state, **fields}


def condition(kind: str, status: str, **fields: str) -> dict[str, str]:
    return {"type": kind, "status": status, **fields}


def warning(message: str, at: str, uid: str = "of-web-1") -> dict[str, Any]:
    about = {"uid": uid}
    return {"reason": "Warned", "message": message, "lastTimestamp": at, "involvedObject": about}


@pytest.mark.parametrize(
    "healthy",
    [
        pod(phase="Running", conditions=[condition("Ready", "True")]),
        pod(phase="Succeeded", conditions=[condition("Ready", "False")]),
        pod(phase="Pending", metadata={"deletionTimestamp": "2026-11-29T01:00:00Z"}),
    ],
)
def test_a_pod_that_is_ready_or_over_has_no_reason(healthy: dict[str, Any]) -> None:
    assert reason_of(healthy) is None


def test_a_pod_in_the_queue_of_its_owner_has_failed_nowhere() -> None:
    gated = condition("PodScheduled", "False", reason="SchedulingGated")
    queued = pod(phase="Pending", conditions=[gated])
    queued["spec"] = {"schedulingGates": [{"name": "kueue.x-k8s.io/admission"}]}
    sentence = "it waits for whoever removes its scheduling gate (kueue.x-k8s.io/admission)"
    assert reason_of(queued) == Reason(sentence, starting=True)


@pytest.mark.parametrize(
    ("event", "sentence"),
    [
        ({"message": "no volume"}, "no volume"),
        ({"reason": "FailedMount"}, "FailedMount"),
        ({}, "a warning without a reason"),
    ],
)
def test_reason_and_message_of_a_warning_may_be_missing(
    event: dict[str, Any], sentence: str
) -> None:
    said = {**event, "involvedObject": {"uid": "of-web-1"}}
    assert reason_of(pod(phase="Pending"), [said]) == Reason(sentence)


@pytest.mark.parametrize(
    ("unready", "sentence"),
    [
        (
            pod(conditions=[condition("PodScheduled", "False", reason="U", message="0/4 nodes")]),
            "no node takes it: 0/4 nodes",
        ),
        (
            pod(containerStatuses=[container({"waiting": {"reason": "ErrImagePull"}})]),
            "container main waits: ErrImagePull",
        ),
        (
            pod(containerStatuses=[container(BACK_OFF, lastState={"terminated": CRASHED})]),
            "container main waits: CrashLoopBackOff: back-off 5m0s (exit code 137, OOMKilled)",
        ),
        (
            pod(containerStatuses=[container({"terminated": {"exitCode": 3}})]),
            "container main ended (exit code 3)",
        ),
        (
            pod(
                initContainerStatuses=[{**container(BACK_OFF), "name": "init"}],
                containerStatuses=[container({"waiting": {"reason": "PodInitializing"}})],
            ),
            "container init waits: CrashLoopBackOff: back-off 5m0s",
        ),
        (
            pod(phase="Failed", reason="Evicted", message="low on memory"),
            "it failed: Evicted: low on memory",
        ),
    ],
)
def test_a_failure_is_named(unready: dict[str, Any], sentence: str) -> None:
    assert reason_of(unready) == Reason(sentence, starting=False)


@pytest.mark.parametrize(
    ("statuses", "sentence"),
    [
        ([container(CREATING)], "container main pulls its image or waits for its volumes"),
        (
            [container(RUNNING, ready=True), {**container(RUNNING), "name": "proxy"}],
            "container proxy runs and its readiness probe fails",
        ),
        ([container({"terminated": {"exitCode": 0}})], "its node has not started it"),
        (None, "it was created and its node has not started it"),
    ],
)
def test_a_pod_without_a_failure_is_starting(
    statuses: list[dict[str, Any]] | None, sentence: str
) -> None:
    reason = reason_of(pod(phase="Running", containerStatuses=statuses))
    assert reason is not None
    assert reason.starting
    assert reason.sentence.endswith(sentence)


def test_the_newest_warning_about_a_pod_explains_its_start() -> None:
    warnings = [
        warning("old", "2026-11-29T01:00:00Z"),
        warning("new", "2026-11-29T01:02:00Z"),
        warning("somebody else's", "2026-11-29T01:03:00Z", uid="other"),
        {"reason": "Warned", "message": "without a time", "involvedObject": {"uid": "of-web-1"}},
    ]
    starting = pod(phase="Pending", containerStatuses=[container(CREATING)])
    assert reason_of(starting, warnings) == Reason("Warned: new")


def test_a_status_has_precedence_over_a_warning() -> None:
    failing = pod(containerStatuses=[container(BACK_OFF)])
    reason = reason_of(failing, [warning("unhealthy", "2026-11-29T01:00:00Z")])
    assert reason == Reason("container main waits: CrashLoopBackOff: back-off 5m0s")
