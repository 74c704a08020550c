"""The trial on a GPU, with objects and events as Karpenter writes them; the real one is in
tests/elasticity/test_verification_gpu.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.gpu.node_pools import GPU_TAINT, SLICE_RESOURCE, pools_of
from ops.findings import Finding, Level
from ops.verification.checks.gpu import CHECKS, GpusInUse, gpu_trial, seconds_of, trial
from ops.verification.profile import QuotaUsedUp
from regions.region import Region
from tests.ops import waiting_pods as these
from tests.ops.verification.deep_platform import RUN, Cluster, DeepPlatform, settings_of

(CHECK,) = CHECKS
NAME = f"{RUN}-gpu-trial"
JOB = f"/apis/batch/v1/namespaces/alice/jobs/{NAME}"
PODS = "/api/v1/namespaces/alice/pods"
POD = f"{PODS}/{NAME}-abcde"
POOLS = "/apis/karpenter.sh/v1/nodepools"
CLAIMS = "/apis/karpenter.sh/v1/nodeclaims"
EVENTS = "/api/v1/namespaces/default/events"
NODE = "ip-10-64-12-7.cn-north-1.compute.internal"
Object = dict[str, Any]
Story = Callable[[Cluster], None]


@pytest.fixture
def deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeepPlatform:
    made = DeepPlatform(tmp_path, monkeypatch)
    made.cluster.put(POOLS, these.pool())
    made.cluster.objects[f"{POOLS}/gpu"]["spec"]["disruption"]["consolidateAfter"] = "5m"
    return made


def found(deep: DeepPlatform) -> list[Finding]:
    assert CHECK.creates
    return list(gpu_trial(deep.platform))


def problem_of(deep: DeepPlatform) -> str:
    *others, told = found(deep)
    assert told.level is Level.PROBLEM, told
    assert all(each.level is not Level.PROBLEM for each in others)
    return told.sentence


def event(reason: str, message: str, kind: str, name: str, where: str = EVENTS) -> Object:
    return {
        "metadata": {"name": f"{name}.{reason.lower()}"},
        "type": "Normal",
        "reason": reason,
        "message": message,
        "lastTimestamp": "2099-01-01T00:00:00Z",
        "involvedObject": {"kind": kind, "name": name},
    }


def story(
    *,
    machine: int = 60,
    runs: int = 90,
    ends: int = 120,
    leaves: int | None = 480,
    phase: str = "Succeeded",
    claimed: bool = True,
) -> Story:
    """What Karpenter, the scheduler and the kubelet do, by seconds after the beginning."""

    def play(cluster: Cluster) -> None:
        job = cluster.objects.get(JOB)
        if job is None:
            return
        now = cluster.now
        if POD not in cluster.objects:
            template = job["spec"]["template"]
            labels = {**template["metadata"]["labels"], "job-name": NAME}
            metadata = {**template["metadata"], "name": f"{NAME}-abcde", "labels": labels}
            cluster.put(PODS, {"metadata": metadata, "spec": dict(template["spec"])})
        pod = cluster.objects[POD]
        pod["status"] = {"phase": "Pending"}
        there = claimed and now >= machine and (leaves is None or now < leaves)
        if there and f"{CLAIMS}/gpu-x7k2p" not in cluster.objects:
            claim = these.node_claim("gpu-x7k2p", Launched="True")
            claim["metadata"]["labels"]["node.kubernetes.io/instance-type"] = "g4dn.xlarge"
            claim["metadata"].pop("creationTimestamp")
            cluster.put(CLAIMS, claim)
        if now >= runs:
            pod["spec"]["nodeName"] = NODE
            pod["status"] = {"phase": "Running"}
            if f"{CLAIMS}/gpu-x7k2p" in cluster.objects:
                cluster.objects[f"{CLAIMS}/gpu-x7k2p"]["status"]["nodeName"] = NODE
        if now >= ends:
            pod["status"] = {"phase": phase}
        if leaves is not None and now >= leaves:
            cluster.objects.pop(f"{CLAIMS}/gpu-x7k2p", None)

    return play


@pytest.mark.check("gpu-trial", broken=False)
def test_a_machine_comes_for_the_trial_and_leaves_after_it(deep: DeepPlatform) -> None:
    deep.cluster.plays.append(story())
    came, left = found(deep)
    assert came.level is left.level is Level.GOOD
    assert "NodeClaim gpu-x7k2p (g4dn.xlarge) came for it, and it began after" in came.sentence
    assert left.sentence.startswith("NodeClaim gpu-x7k2p (g4dn.xlarge) left ")
    assert left.sentence.endswith("s after its end (consolidateAfter 5m)")
    assert 480 <= deep.cluster.now < 900
    said = deep.alice.said
    assert any("a machine is starting: NodeClaim gpu-x7k2p" in each for each in said)
    assert said[-1] == "the machine to leave again (consolidateAfter is 5m)"


def test_the_pod_asks_for_what_the_machines_of_the_pool_have() -> None:
    stack = settings_of(gpuPool={"slices": 4})
    (sliced,) = pools_of(stack, Region.of(stack.region))
    pod = trial(sliced)["spec"]["template"]["spec"]
    assert pod["containers"][0]["resources"]["limits"] == {SLICE_RESOURCE: 1, "memory": "6Gi"}
    assert [each["key"] for each in pod["tolerations"]] == [SLICE_RESOURCE]
    stack = settings_of()
    (whole,) = pools_of(stack, Region.of(stack.region))
    job = trial(whole)
    pod = job["spec"]["template"]["spec"]
    assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert pod["tolerations"] == [
        {"key": GPU_TAINT.key, "operator": "Exists", "effect": GPU_TAINT.effect}
    ]
    assert pod["containers"][0]["command"][-3:] == ["0.05", "0.5", "cuda"]
    assert "${" not in str(job)


def test_a_stack_without_a_pool_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = DeepPlatform(tmp_path, monkeypatch, settings_of(gpuPool={"enabled": False}))
    (told,) = found(made)
    assert (told.about, told.level) == ("GPU", Level.GOOD)
    assert "the stack has no GPU pool (kubeflow:gpuPool.enabled)" in told.sentence
    assert made.cluster.objects == {}


CAPACITY = (
    "creating instance, insufficient capacity, with fleet error(s), "
    "InsufficientInstanceCapacity: We currently do not have sufficient g4dn.xlarge capacity"
)


@pytest.mark.check("gpu-trial", broken=True)
@pytest.mark.parametrize(
    ("reason", "message", "told"),
    [
        (
            "InsufficientCapacityError",
            CAPACITY,
            f"EC2 has no capacity of g4dn and g5 at the moment (NodePool gpu: {CAPACITY}): wait",
        ),
        (
            "InsufficientCapacityError",
            "VcpuLimitExceeded: You have requested more vCPU capacity than your current limit",
            "the account's quota is used up (NodePool gpu: VcpuLimitExceeded",
        ),
    ],
)
def test_a_machine_that_does_not_come_is_told_in_karpenters_words(
    deep: DeepPlatform, reason: str, message: str, told: str
) -> None:
    deep.cluster.plays.append(story(claimed=False, runs=10**6, ends=10**6))
    deep.cluster.put(EVENTS, event(reason, message, "NodeClaim", "gpu-x7k2p"))
    said = problem_of(deep)
    assert said.startswith(f"it has not begun after 900 s: {told}")
    assert any(told[:40] in each for each in deep.alice.said)


def test_a_pool_whose_gpus_are_all_held_is_not_checked(deep: DeepPlatform) -> None:
    deep.cluster.plays.append(story(claimed=False, runs=10**6, ends=10**6))
    deep.cluster.objects[f"{POOLS}/gpu"]["status"] = {"resources": {"nvidia.com/gpu": "8"}}
    with pytest.raises(GpusInUse, match="NodePool gpu has 8 of at most 8: wait until other pods"):
        found(deep)
    assert 40 <= deep.cluster.now < 120


def test_a_full_pool_whose_machine_has_a_free_gpu_is_no_obstacle(deep: DeepPlatform) -> None:
    deep.cluster.plays.append(story(runs=45))
    deep.cluster.objects[f"{POOLS}/gpu"]["status"] = {"resources": {"nvidia.com/gpu": "8"}}
    assert all(each.level is not Level.PROBLEM for each in found(deep))


def test_a_quota_that_is_used_up_ends_the_check_at_once(deep: DeepPlatform) -> None:
    message = 'pods "a" is forbidden: exceeded quota: profile-quota, requested: nvidia.com/gpu=1'
    told = event("FailedCreate", message, "Job", NAME) | {"type": "Warning"}
    deep.cluster.put("/api/v1/namespaces/alice/events", told)
    with pytest.raises(QuotaUsedUp, match=r"is used up \(exceeded quota: profile-quota, req"):
        found(deep)
    assert deep.cluster.now < 60


def test_a_warning_of_the_job_without_a_message_is_told_by_its_reason(deep: DeepPlatform) -> None:
    silent = event("FailedCreate", "", "Job", NAME) | {"type": "Warning"}
    del silent["message"]
    deep.cluster.put("/api/v1/namespaces/alice/events", silent)
    assert problem_of(deep).endswith(": FailedCreate")


def test_a_trial_that_fails_is_told_with_its_last_words(deep: DeepPlatform) -> None:
    deep.cluster.plays.append(story(phase="Failed"))
    words = "RuntimeError: No CUDA GPUs are available"
    deep.cluster.printed["alice", f"{NAME}-abcde", "training-container"] = f"{words}\n"
    assert f"it failed; its last lines are `{words}`" in problem_of(deep)


def test_a_machine_that_was_there_already_is_no_proof_that_one_comes(deep: DeepPlatform) -> None:
    claim = these.node_claim("gpu-x7k2p", Launched="True", Registered="True", Initialized="True")
    claim["metadata"]["creationTimestamp"] = "2026-11-29T11:00:00Z"
    deep.cluster.put(CLAIMS, claim)
    deep.cluster.plays.append(story())
    told, left = found(deep)
    assert told.level is Level.NOTE
    assert "which was there already: none had to come" in told.sentence
    assert left.level is Level.GOOD


def test_a_node_of_nobody_neither_comes_nor_leaves(deep: DeepPlatform) -> None:
    deep.cluster.plays.append(story(claimed=False))
    (told,) = found(deep)
    assert f"ran on {NODE}, which is no machine of Karpenter's" in told.sentence


def neighbour(cluster: Cluster, kind: str, **status: str) -> None:
    metadata = {"name": "mine-0", "ownerReferences": [{"kind": kind, "name": "mine"}]}
    spec = {"nodeName": NODE, "containers": []}
    path = "/api/v1/namespaces/bob/pods"
    cluster.put(
        path, {"metadata": metadata, "spec": spec, "status": {"phase": "Running", **status}}
    )


def test_a_machine_that_others_use_is_not_waited_for(deep: DeepPlatform) -> None:
    deep.cluster.plays.append(story(leaves=None))
    neighbour(deep.cluster, "StatefulSet")
    *_, told = found(deep)
    assert told.level is Level.NOTE
    assert told.sentence.endswith("stays for now, because bob/mine-0 runs on it")
    assert deep.cluster.now < 200


@pytest.mark.parametrize(
    ("kind", "reason", "message", "told"),
    [
        (
            "NodePool",
            "DisruptionBlocked",
            "No allowed disruptions for disruption reason Empty due to blocking budget",
            "of NodePool gpu; the budgets of the NodePool and pods with karpenter.sh/do-not-dis",
        ),
        (
            "Node",
            "Unconsolidatable",
            'Pod has "karpenter.sh/do-not-disrupt" annotation (Pod=bob/mine-0)',
            f"of Node {NODE}",
        ),
    ],
)
def test_a_machine_that_stays_is_told_with_karpenters_reason(
    deep: DeepPlatform, kind: str, reason: str, message: str, told: str
) -> None:
    deep.cluster.plays.append(story(leaves=None))
    neighbour(deep.cluster, "DaemonSet")
    names = {"NodePool": "gpu", "Node": NODE}
    deep.cluster.put(EVENTS, event(reason, message, kind, names[kind]))
    deep.cluster.put(EVENTS, event(reason, "of another", kind, "other"))
    said = problem_of(deep)
    assert "is still there " in said
    assert f"Karpenter says {message!r} {told}" in said


def test_a_machine_that_does_not_end_is_told_with_its_own_conditions(deep: DeepPlatform) -> None:
    deep.cluster.plays.append(story(leaves=None))

    def drains(cluster: Cluster) -> None:
        claim = cluster.objects.get(f"{CLAIMS}/gpu-x7k2p")
        if claim and cluster.now > 400:
            claim["metadata"]["deletionTimestamp"] = "2026-11-29T12:07:00Z"
            drained = {"type": "Drained", "status": "Unknown", "message": "Draining"}
            claim["status"]["conditions"] = [drained]

    deep.cluster.plays.append(drains)
    said = problem_of(deep)
    assert "it is being deleted since 2026-11-29T12:07:00Z (Draining): `kubectl describe" in said


def test_a_machine_that_nobody_explains_leads_to_karpenters_log(deep: DeepPlatform) -> None:
    deep.cluster.plays.append(story(leaves=None))
    assert "Karpenter gives no reason: look at its log" in problem_of(deep)


def test_a_pool_that_never_consolidates_is_not_waited_for(deep: DeepPlatform) -> None:
    deep.cluster.plays.append(story(leaves=None))
    disruption = deep.cluster.objects[f"{POOLS}/gpu"]["spec"]["disruption"]
    disruption["consolidateAfter"] = "Never"
    *_, told = found(deep)
    assert told.level is Level.NOTE
    assert "stays, because its NodePool has consolidateAfter Never" in told.sentence


@pytest.mark.parametrize(
    ("text", "seconds"), [("5m", 300), ("1h30m", 5400), ("90s", 90), ("Never", None), ("", None)]
)
def test_durations_are_those_of_go(text: str, seconds: float | None) -> None:
    assert seconds_of(text) == seconds
