"""A trial on a GPU: its machine comes, the trial runs, and the machine leaves."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from components.gpu.node_pools import GPU_RESOURCE, SLICE_RESOURCE, Pool, pools_of
from components.objects.pod_reasons import said_last
from ops.cli_errors import Refused
from ops.findings import Finding, good, note, problem
from ops.karpenter_status import REASONS, ClusterState, conditions, time_of
from ops.node_pool_fit import INSTANCE_TYPE
from ops.pending_pods import Cause, explain
from ops.verification.check import Check
from ops.verification.examples import example, named, unsupported
from ops.verification.platform import Platform
from ops.verification.profile import refuse_used_up_quota, user_of
from ops.verification.waiting import last_lines, obstacles, wait, warnings_of
from ops.verification.workspace import Workspace
from regions.region import Region
from settings.errors import listed

START_SECONDS = 15 * 60
"""From the pod to its first container: the machine takes minutes, and an image with CUDA too."""
RUN_SECONDS = 10 * 60
FULL_LOOKS = 6
"""Looks, ten seconds apart, at a pool without room: a free GPU of a machine would take the pod."""
GRACE_SECONDS = 10 * 60
"""Beyond the pool's ``consolidateAfter``: the drain, and the end of the machine."""
_FILE = "katib-random-gpu.yaml"
_PARAMETERS = {"${trialParameters.learningRate}": "0.05", "${trialParameters.momentum}": "0.5"}
_KARPENTER = "/apis/karpenter.sh/v1"
_STAYS = ("DisruptionBlocked", "Unconsolidatable")
"""Reasons of events about machines that stay (sigs.k8s.io/karpenter v1.14.0 pkg/events/reason.go,
pkg/controllers/disruption/events/events.go)."""
_DURATION = re.compile(r"(\d+)(ms|s|m|h)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
Object = Mapping[str, Any]


class GpusInUse(Refused):
    """Other pods hold every GPU that the pool may have, and no machine can be tried."""


def trial(pool: Pool) -> dict[str, Any]:
    """The Job that Katib makes of the example's first trial, for the machines of a pool.

    The API server of EKS adds the toleration of the resource; a pool's further taints are tolerated
    here, because the machine is examined, not who may use it.
    """
    text = {f"- {parameter}": f'- "{value}"' for parameter, value in _PARAMETERS.items()}
    spec = example(_FILE, **text)["spec"]["trialTemplate"]["trialSpec"]
    job = named({**spec, "metadata": {}}, "gpu-trial")
    job["spec"]["backoffLimit"] = 0
    pod = job["spec"]["template"]["spec"]
    pod["tolerations"] = [
        {"key": taint.key, "operator": "Exists", "effect": taint.effect} for taint in pool.taints
    ]
    if pool.sliced:
        limits = pod["containers"][0]["resources"]["limits"]
        limits[SLICE_RESOURCE] = limits.pop(GPU_RESOURCE)
    return job


def seconds_of(duration: str) -> float | None:
    """Of a duration of Go, ``1h30m``; None: never."""
    parts = _DURATION.findall(duration)
    return sum(int(number) * _UNITS[unit] for number, unit in parts) if parts else None


@dataclass
class Trial:
    """The trial of one verification.

    Attributes:
        platform: where it runs.
        workspace: of the profile.
        name: of its Job.
        made: when, by the API server.
        full: how often in a row the pool had no room.
    """

    platform: Platform
    workspace: Workspace
    name: str
    made: str
    full: int = 0

    @property
    def pod(self) -> dict[str, Any] | None:
        """Its pod; None before there is one."""
        path = f"/api/v1/namespaces/{self.workspace.namespace}/pods"
        pods = self.platform.cluster.all(path, labelSelector=f"job-name={self.name}")
        return dict(pods[0]) if pods else None

    @property
    def about(self) -> str:
        """For findings."""
        return f"{self.workspace.namespace}/{self.name}"

    def phase(self) -> str | None:
        """Of its pod, once a container has begun."""
        phase = str(((self.pod or {}).get("status") or {}).get("phase") or "")
        return phase if phase in ("Running", "Succeeded", "Failed") else None

    def ended(self) -> str | None:
        """``Succeeded`` or ``Failed``."""
        phase = self.phase()
        return None if phase == "Running" else phase

    def waits_for(self) -> str:
        """Why no container has begun, in Karpenter's words where it has any.

        Raises:
            GpusInUse, QuotaUsedUp
        """
        cluster, namespace, pod = self.platform.cluster, self.workspace.namespace, self.pod
        warnings = warnings_of(cluster, namespace)
        if pod is None:
            refuse_used_up_quota(warnings, self.workspace.run)
            own = [
                each
                for each in warnings
                if (each.get("involvedObject") or {}).get("name") == self.name
            ]
            return said_last(own) if own else "its Job has made no pod"
        state = ClusterState(
            pods=[pod],
            node_pools=cluster.all(f"{_KARPENTER}/nodepools"),
            node_claims=cluster.all(f"{_KARPENTER}/nodeclaims"),
            events=_events(self.platform, REASONS),
        )
        obstacle = next(iter(explain(state).values()), None)
        self.full = self.full + 1 if obstacle and obstacle.cause is Cause.LIMIT else 0
        if obstacle and self.full >= FULL_LOOKS:
            raise GpusInUse(f"{self.about}: {obstacle.sentence}.")
        explained = obstacle.sentence if obstacle else ""
        return explained or next(obstacles([pod], warnings), "")


def gpu_trial(platform: Platform) -> Iterator[Finding]:
    """Start, run and end of a machine for one trial."""
    region = Region.of(platform.settings.region)
    pool = next((each for each in pools_of(platform.settings, region) if each.has_gpus), None)
    if pool is None:
        yield good("GPU", "not run, because the stack has no GPU pool (kubeflow:gpuPool.enabled)")
        return
    if reason := unsupported(platform):
        yield good("GPU", reason)
        return
    workspace = platform.workspace(user_of(platform).namespace)
    made = workspace.create(trial(pool))["metadata"]
    run = Trial(platform, workspace, made["name"], made["creationTimestamp"])
    begun = time.monotonic()
    what = "the machine of a trial on a GPU"
    if wait(workspace, what, run.phase, START_SECONDS, run.waits_for) is None:
        yield problem(run.about, f"it has not begun after {START_SECONDS} s: {run.waits_for()}")
        return
    started = time.monotonic() - begun
    end = wait(workspace, "the end of a trial on a GPU", run.ended, RUN_SECONDS)
    pod, ended = run.pod, time.monotonic()
    if end != "Succeeded" or pod is None:
        yield problem(run.about, _not_succeeded(run, pod))
        return
    node = str(pod["spec"]["nodeName"])
    claim = _claim_of(platform, node)
    if claim is None:
        yield good(
            run.about,
            f"ran on {node}, which is no machine of Karpenter's, so none came and none leaves",
        )
        return
    kind = (claim["metadata"].get("labels") or {}).get(INSTANCE_TYPE, "type unknown")
    machine = f"NodeClaim {claim['metadata']['name']} ({kind})"
    if claim["metadata"]["creationTimestamp"] >= run.made:
        yield good(run.about, f"{machine} came for it, and it began after {started:.0f} s")
    else:
        yield note(run.about, f"it ran on {machine}, which was there already: none had to come")
    yield from _leaves(run, claim, machine, ended)


def _not_succeeded(run: Trial, pod: dict[str, Any] | None) -> str:
    if pod is None:
        return f"its pod is gone before its end: somebody deleted the Job {run.name}"
    cluster, namespace = run.platform.cluster, run.workspace.namespace
    why = next(obstacles([pod], warnings_of(cluster, namespace)), f"it runs after {RUN_SECONDS} s")
    printed = last_lines(cluster, pod)
    return f"{why}{printed and f'; its last lines are {printed}'}: the node's GPU, or its image"


def _claim_of(platform: Platform, node: str) -> Object | None:
    """The NodeClaim of a node."""
    claims = platform.cluster.all(f"{_KARPENTER}/nodeclaims")
    return next((each for each in claims if each.get("status", {}).get("nodeName") == node), None)


def _leaves(run: Trial, claim: Object, machine: str, ended: float) -> Iterator[Finding]:
    """Whether the machine leaves after the trial, and what keeps it."""
    cluster, labels = run.platform.cluster, claim["metadata"].get("labels") or {}
    pool = cluster.one(f"{_KARPENTER}/nodepools/{labels.get('karpenter.sh/nodepool')}") or {}
    disruption = (pool.get("spec") or {}).get("disruption") or {}
    after = str(disruption.get("consolidateAfter") or "")
    least = seconds_of(after)
    if least is None:
        yield note(
            run.about,
            f"{machine} stays, because its NodePool has consolidateAfter {after or 'not set'}: set "
            "kubeflow:gpuPool.consolidateAfter",
        )
        return
    path = f"{_KARPENTER}/nodeclaims/{claim['metadata']['name']}"
    uid = claim["metadata"]["uid"]

    def gone() -> str | None:
        found = cluster.one(path)
        return None if found and found["metadata"]["uid"] == uid else "gone"

    def doing() -> str:
        others = _others(run, claim)
        return f"{listed(others, 'and')} runs on it" if others else f"consolidateAfter is {after}"

    # While others use the machine, its end is not to be waited for.
    def gone_or_used() -> str | None:
        return gone() or ("used" if _others(run, claim) else None)

    limit = least + GRACE_SECONDS
    answer = wait(run.workspace, "the machine to leave again", gone_or_used, limit, doing)
    left = time.monotonic() - ended
    if answer == "gone":
        yield good(
            run.about, f"{machine} left {left:.0f} s after its end (consolidateAfter {after})"
        )
    elif answer == "used":
        others = listed(_others(run, claim), "and") or "another pod"
        yield note(run.about, f"{machine} stays for now, because {others} runs on it")
    else:
        yield problem(
            run.about,
            f"{machine} is still there {left:.0f} s after its end (consolidateAfter {after}): "
            f"{_why_it_stays(run.platform, cluster.one(path) or claim, pool)}",
        )


def _others(run: Trial, claim: Object) -> list[str]:
    """Pods on the machine that are neither over nor a DaemonSet's nor this trial's."""
    node = claim["status"].get("nodeName")
    pods = run.platform.cluster.all("/api/v1/pods", fieldSelector=f"spec.nodeName={node}")
    return [
        f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
        for pod in pods
        if pod["status"].get("phase") in ("Pending", "Running")
        and not pod["metadata"].get("deletionTimestamp")
        and not _owners(pod) & {"DaemonSet", "Node"}
        and (pod["metadata"].get("labels") or {}).get("job-name") != run.name
    ]


def _owners(pod: Object) -> set[str]:
    return {str(each["kind"]) for each in pod["metadata"].get("ownerReferences") or []}


def _why_it_stays(platform: Platform, claim: Object, pool: Object) -> str:
    """Karpenter's newest word about the machine, its node or its NodePool."""
    names = {
        claim["metadata"]["name"],
        claim["status"].get("nodeName"),
        (pool.get("metadata") or {}).get("name"),
    }
    said = [
        each
        for each in _events(platform, _STAYS)
        if (each.get("involvedObject") or {}).get("name") in names
    ]
    if said:
        newest = max(said, key=time_of)
        about, told = newest["involvedObject"], newest.get("message") or newest["reason"]
        return (
            f"Karpenter says {told!r} of {about['kind']} {about['name']}; the budgets of the "
            "NodePool and pods with "
            "karpenter.sh/do-not-disrupt keep machines"
        )
    draining = claim["metadata"].get("deletionTimestamp")
    if draining:
        told = [each["message"] for each in conditions(claim) if each.get("message")]
        return (
            f"it is being deleted since {draining} ({'; '.join(told) or 'no condition says why'}): "
            f"`kubectl describe nodeclaim {claim['metadata']['name']}` has more"
        )
    return (
        "Karpenter gives no reason: look at its log with `kubectl -n kube-system logs "
        "deployment/karpenter`"
    )


def _events(platform: Platform, reasons: Iterable[str]) -> list[Object]:
    return [
        event
        for reason in reasons
        for event in platform.cluster.all("/api/v1/events", fieldSelector=f"reason={reason}")
    ]


CHECKS: tuple[Check, ...] = (
    Check(
        "gpu-trial",
        "a trial of the examples on a GPU, from the start of its machine to the end of it",
        gpu_trial,
        creates=True,
    ),
)
