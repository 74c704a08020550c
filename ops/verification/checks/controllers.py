"""Checks of what controllers run: workloads, budgets of evictions, and Jobs.

Conditions: k8s.io/api apps/v1, batch/v1, core/v1, policy/v1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ops.findings import Finding, good, note, problem
from ops.karpenter_status import conditions
from ops.verification.check import Check
from ops.verification.checks.live_objects import (
    ROLLING_MINUTES,
    age_minutes,
    by_name,
    condition,
    is_own_namespace,
    is_true,
    listed,
    name_of,
    namespace_of,
    of_stack,
    profile_namespaces,
    time_of,
    why,
)
from ops.verification.platform import Platform
from ops.verification.workspace import LABEL
from rendering.objects import Object, labels_of


def workloads(platform: Platform) -> Iterator[Finding]:
    """Deployments, StatefulSets and DaemonSets of the platform have the pods they ask for."""
    yield from _namespaces(platform)
    right, users = 0, profile_namespaces(platform)
    moving = sum(_comes_or_goes(node) for node in listed(platform, "Node"))
    for kind in ("Deployment", "StatefulSet", "DaemonSet"):
        for obj in listed(platform, kind):
            trouble = _few_pods(obj, moving)
            if trouble is None:
                right += 1
                continue
            sentence, rolling = trouble
            about = f"{kind} {name_of(obj)}"
            serious = is_own_namespace(platform, namespace_of(obj)) and not rolling
            if namespace_of(obj) in users:
                sentence = f"{sentence}; its user sees it in the dashboard"
            yield (problem if serious else note)(about, sentence)
    yield good("workloads", f"{right} have all their pods")


def _namespaces(platform: Platform) -> Iterator[Finding]:
    """Namespaces of the platform that are being deleted, with what keeps them."""
    for name, obj in by_name(platform, "Namespace").items():
        if "deletionTimestamp" not in obj["metadata"] or not is_own_namespace(platform, name):
            continue
        # kubernetes/kubernetes v1.35.0 pkg/controller/namespace/deletion/status_condition_utils.go
        kept = [each for each in conditions(obj) if each.get("status") == "True"]
        told = "; ".join(f"{each['type']}: {why(each)}" for each in kept) or "nothing keeps it"
        yield problem(
            f"Namespace {name}",
            f"is being deleted since {obj['metadata']['deletionTimestamp']}, so that nothing new "
            f"starts there ({told}): let that end, then run `pulumi up --refresh`",
        )


def _comes_or_goes(node: Object) -> bool:
    """Whether pods of DaemonSets on a node are just starting, or end with it."""
    return bool(node["metadata"].get("deletionTimestamp")) or age_minutes(node) < ROLLING_MINUTES


def _few_pods(obj: Object, moving: int) -> tuple[str, bool] | None:
    """Why a workload has too few ready pods, and whether that is expected to pass.

    Args:
        obj: the workload.
        moving: how many nodes come or go; a DaemonSet is short of a pod on each.
    """
    status, metadata = obj.get("status") or {}, obj["metadata"]
    if status.get("observedGeneration", 0) < metadata.get("generation", 0):
        seen = age_minutes(obj) < ROLLING_MINUTES
        return "its controller has not looked at its last change yet: look again", seen
    if obj["kind"] == "DaemonSet":
        asked, ready = status.get("desiredNumberScheduled", 0), status.get("numberReady", 0)
    else:
        asked, ready = obj["spec"].get("replicas", 1), status.get("readyReplicas", 0)
    if obj["kind"] != "DaemonSet" and asked == 0 and of_stack(obj):
        return "somebody scaled it to 0: run `pulumi up`, or `kubectl scale` it", False
    if ready >= asked:
        return None
    if obj["kind"] == "DaemonSet" and asked - ready <= moving:
        return f"{ready} of {asked} pods are ready, and {moving} nodes come or go: look again", True
    progress = condition(obj, "Progressing")
    failed = progress.get("status") == "False" or condition(obj, "ReplicaFailure")
    since = time_of(progress.get("lastUpdateTime") or metadata.get("creationTimestamp"))
    rolling = not failed and since is not None and _minutes_since(obj, progress) < ROLLING_MINUTES
    # As many as its strategy requires: an autoscaler has added one, or a node was drained.
    rolling = rolling or (not failed and is_true(obj, "Available"))
    # Of a StatefulSet, which has no such conditions, one pod at a time is replaced.
    updates = status.get("currentRevision") != status.get("updateRevision")
    rolling = rolling or (updates and asked - ready == 1 < asked)
    because = condition(obj, "ReplicaFailure") or (progress if failed else {})
    reason = f" ({why(because)})" if because else ""
    way_out = (
        "it rolls out, look again"
        if rolling
        else "the check of pods says why each one is not ready"
    )
    return f"{ready} of {asked} pods are ready{reason}: {way_out}", rolling


def _minutes_since(obj: Object, progress: Mapping[str, Any]) -> float:
    updated = progress.get("lastUpdateTime")
    if not updated:
        return age_minutes(obj)
    return age_minutes({"metadata": {"creationTimestamp": updated}})


def disruption_budgets(platform: Platform) -> Iterator[Finding]:
    """Every budget lets a node be drained: it allows at least one eviction when all pods are up."""
    right = 0
    for obj in listed(platform, "PodDisruptionBudget"):
        status = obj.get("status") or {}
        expected, desired = status.get("expectedPods", 0), status.get("desiredHealthy", 0)
        if expected and desired >= expected:
            rule = {
                key: obj["spec"][key]
                for key in ("minAvailable", "maxUnavailable")
                if key in obj["spec"]
            }
            ((key, value),) = rule.items() or (("minAvailable", "?"),)
            yield note(
                name_of(obj),
                f"{key} {value} of {expected} pods never lets one be evicted, so that draining its "
                "node (an upgrade, Karpenter) waits for ever: run one more pod, or set "
                "maxUnavailable to 1",
            )
        else:
            right += 1
    yield good("disruption budgets", f"{right} let one pod at a time be evicted")


def platform_jobs(platform: Platform) -> Iterator[Finding]:
    """Jobs of the platform have done their work; the one that makes database users above all."""
    done = 0
    for obj in listed(platform, "Job"):
        if not is_own_namespace(platform, namespace_of(obj)) or LABEL in labels_of(obj):
            continue  # of a user, or of a verification
        about = f"Job {name_of(obj)}"
        if is_true(obj, "Failed") and not of_stack(obj):
            # Of a CronJob, whose next one may succeed, or of other software in kube-system.
            yield note(
                about,
                f"failed ({why(condition(obj, 'Failed'))}), and is none of the stack's own: read "
                f"`kubectl -n {namespace_of(obj)} logs job/{obj['metadata']['name']}`",
            )
        elif is_true(obj, "Failed"):
            yield problem(
                about,
                f"failed ({why(condition(obj, 'Failed'))}): read `kubectl -n {namespace_of(obj)} "
                f"logs job/{obj['metadata']['name']}`, correct that, delete the Job and run "
                "`pulumi up`",
            )
        elif is_true(obj, "Complete"):
            done += 1
        else:
            yield note(about, f"is at work since {(obj.get('status') or {}).get('startTime', '?')}")
    rotation = platform.settings.database.rotation
    name = f"kubeflow-database/database-init-{rotation}"
    if name not in by_name(platform, "Job"):
        yield problem(
            f"Job {name}",
            f"is not there, so that the database users of kubeflow:database.rotation {rotation} "
            "may be missing: run `pulumi up`",
        )
    yield good("jobs", f"{done} of the platform are complete")


CHECKS: tuple[Check, ...] = (
    Check("workloads", "ready pods of Deployments, StatefulSets and DaemonSets", workloads),
    Check("disruption-budgets", "PodDisruptionBudgets and what they allow", disruption_budgets),
    Check("platform-jobs", "Jobs of the platform", platform_jobs),
)
