"""Why a pod that asks for GPUs waits: each cause has its sentence, with the way out."""

from __future__ import annotations

from typing import Any

import pytest

from components.karpenter_objects import GPU_LABEL
from ops.karpenter_word import Seen
from ops.pending_pods import Cause, explain
from tests.ops import waiting_pods as these
from tests.ops.waiting_pods import (
    affinity,
    cpu_pool,
    expression,
    no_capacity,
    node_claim,
    pod,
    pool,
)

FAMILY = "karpenter.k8s.aws/instance-family"
GPU_NAME = "karpenter.k8s.aws/instance-gpu-name"
INSTANCE_TYPE = "node.kubernetes.io/instance-type"


def why(waiting: dict[str, Any], *pools: dict[str, Any], **seen: Any) -> tuple[Cause, str]:
    """The cause and sentence of one pod, with the usual pool where none is given."""
    (found,) = explain(Seen(pods=[waiting], node_pools=pools or (pool(),), **seen))
    assert found.pod == "alice/train"
    return found.cause, found.sentence


# -- who is told of -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "other",
    [
        pod(0),
        {**pod(), "status": {"phase": "Running"}},
        pod(nodeName="ip-10-0-0-1"),
        pod(resource="amd.com/gpu"),
    ],
    ids=["no GPU", "running", "placed", "not NVIDIA's"],
)
def test_only_pods_that_wait_for_a_gpu_are_told_of(other: dict[str, Any]) -> None:
    assert explain(Seen(pods=[other], node_pools=[])) == []


def test_every_waiting_pod_gets_one_sentence() -> None:
    seen = Seen(pods=[pod(), pod(99, name="wide")], node_pools=[pool()])
    assert [each.pod for each in explain(seen)] == ["alice/train", "alice/wide"]


def test_a_pod_that_somebody_holds_back_is_no_matter_of_nodes() -> None:
    cause, sentence = why(pod(schedulingGates=[{"name": "kueue.x-k8s.io/admission"}]))
    assert cause is Cause.HELD
    assert "held back by kueue.x-k8s.io/admission" in sentence


# -- no pool --------------------------------------------------------------------------------------


def test_without_any_node_pool_the_setting_that_makes_one_is_named() -> None:
    (found,) = explain(Seen(pods=[pod()], node_pools=[]))
    assert found.cause is Cause.NO_POOL
    assert "kubeflow:gpuPool.enabled" in found.sentence


def test_pools_without_gpus_are_named_as_such() -> None:
    cause, sentence = why(pod(), cpu_pool(), cpu_pool("spot"))
    assert cause is Cause.NO_POOL
    assert "(there is cpu and spot)" in sentence


# -- taints ---------------------------------------------------------------------------------------


def test_a_missing_toleration_is_told_with_the_taint_and_the_toleration_to_write() -> None:
    cause, sentence = why(pod(tolerations=[]))
    assert cause is Cause.TAINT
    assert "no toleration for the taint nvidia.com/gpu=true:NoSchedule of NodePool gpu" in sentence
    assert "{key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}" in sentence


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": "nvidia.com/gpu", "operator": "Equal", "value": "yes", "effect": "NoSchedule"},
        {"key": "nvidia.com/gpu", "value": "present"},
        {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoExecute"},
    ],
)
def test_a_wrong_toleration_is_shown_as_it_is_written(wrong: dict[str, str]) -> None:
    cause, sentence = why(pod(tolerations=[wrong]))
    assert cause is Cause.TAINT
    shown = ", ".join(f"{key}: {value}" for key, value in wrong.items())
    assert f"its toleration {{{shown}}} does not match the taint nvidia.com/gpu=true" in sentence


@pytest.mark.parametrize(
    "right",
    [
        these.TOLERATION,
        {"key": "nvidia.com/gpu", "operator": "Equal", "value": "true", "effect": "NoSchedule"},
        {"key": "nvidia.com/gpu", "operator": "Exists"},
        {"operator": "Exists"},
    ],
)
def test_any_toleration_that_kubernetes_accepts_is_right(right: dict[str, str]) -> None:
    assert why(pod(tolerations=[right]))[0] is not Cause.TAINT


def test_a_taint_that_only_asks_keeps_nobody_off() -> None:
    made = pool()
    made["spec"]["template"]["spec"]["taints"] = [{"key": "a", "effect": "PreferNoSchedule"}]
    assert why(pod(tolerations=[]), made)[0] is not Cause.TAINT


# -- selectors ------------------------------------------------------------------------------------

CANNOT = {
    "a family the pool has not": {"nodeSelector": {FAMILY: "p4d"}},
    "a type of another family": {"nodeSelector": {INSTANCE_TYPE: "p3.2xlarge"}},
    "a GPU its families have not": {"nodeSelector": {GPU_NAME: "a100"}},
    "a label nobody sets": {"nodeSelector": {"team": "vision"}},
    "a node by its name": {"nodeSelector": {"kubernetes.io/hostname": "ip-10-0-0-1"}},
    "another architecture": {"nodeSelector": {"kubernetes.io/arch": "arm64"}},
    "another pool": {"nodeSelector": {"karpenter.sh/nodepool": "training"}},
    "spot": {"affinity": affinity([expression("karpenter.sh/capacity-type", "In", "spot")])},
    "none of the families": {"affinity": affinity([expression(FAMILY, "NotIn", "g4dn", "g5")])},
    "no GPU node": {"affinity": affinity([expression(GPU_LABEL, "DoesNotExist")])},
    "each of two terms": {
        "affinity": affinity([expression(FAMILY, "In", "p3")], [expression("team", "Exists")])
    },
}
CAN = {
    "nothing": {},
    "the pool's label": {"nodeSelector": {GPU_LABEL: "true"}},
    "one of its families": {"nodeSelector": {FAMILY: "g5"}},
    "a type of its families": {"nodeSelector": {INSTANCE_TYPE: "g5.12xlarge"}},
    "a GPU it has": {"nodeSelector": {GPU_NAME: "t4"}},
    "a zone": {"nodeSelector": {"topology.kubernetes.io/zone": "cn-north-1a"}},
    "much memory": {
        "affinity": affinity([expression("karpenter.k8s.aws/instance-gpu-memory", "Gt", "20000")])
    },
    "not another team's": {"affinity": affinity([expression("team", "NotIn", "vision")])},
    "one of two terms": {
        "affinity": affinity([expression(FAMILY, "In", "p3")], [expression(FAMILY, "In", "g5")])
    },
}


@pytest.mark.parametrize("spec", CANNOT.values(), ids=CANNOT)
def test_conditions_that_no_node_of_the_pool_can_meet_are_told(spec: dict[str, Any]) -> None:
    assert why(pod(**spec))[0] is Cause.SELECTOR


@pytest.mark.parametrize("spec", CAN.values(), ids=CAN)
def test_conditions_that_a_node_of_the_pool_can_meet_are_not(spec: dict[str, Any]) -> None:
    assert why(pod(**spec))[0] is Cause.UNKNOWN


def test_a_condition_is_told_beside_what_the_pool_has_instead() -> None:
    _, sentence = why(pod(nodeSelector={FAMILY: "p4d"}))
    assert f"asks for a node with {FAMILY} of p4d, and NodePool gpu has g4dn, g5" in sentence
    assert "kubeflow:gpuPool.instanceFamilies" in sentence


# -- sizes and limits -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("families", "most"),
    [(("g4dn", "g5"), 8), (("g3s", "gr6"), 1), (("g3",), 4), (("p2", "p3"), 16)],
)
def test_more_gpus_than_any_machine_has_are_told_with_the_most_there_can_be(
    families: tuple[str, ...], most: int
) -> None:
    cause, sentence = why(pod(most + 1), pool(*families, max_gpus=64))
    assert cause is Cause.TOO_MANY_GPUS
    assert f"(NodePool gpu) has {most}" in sentence
    assert why(pod(most), pool(*families, max_gpus=64))[0] is Cause.UNKNOWN


def test_a_pool_that_narrows_its_machines_is_measured_by_that() -> None:
    narrow = pool()
    count = expression("karpenter.k8s.aws/instance-gpu-count", "Lt", "8")
    narrow["spec"]["template"]["spec"]["requirements"].append(count)
    assert "has 4" in why(pod(8), narrow)[1]


def test_of_a_family_nobody_knows_nothing_is_claimed() -> None:
    assert why(pod(64), pool("g99", max_gpus=64))[0] is Cause.UNKNOWN


def test_containers_count_together_and_init_containers_by_the_largest() -> None:
    asks = pod(5)
    asks["spec"]["containers"] *= 2
    asks["spec"]["initContainers"] = pod(9)["spec"]["containers"]
    assert "asks for 10 GPUs" in why(asks)[1]


def test_a_pool_at_its_limit_is_told_with_its_numbers_and_the_setting() -> None:
    cause, sentence = why(pod(), pool(max_gpus=8, used=8))
    assert cause is Cause.LIMIT
    assert "NodePool gpu has 8 of at most 8" in sentence
    assert "raise kubeflow:gpuPool.maxGpus" in sentence


def test_a_machine_counts_as_a_whole_against_the_limit() -> None:
    """Two GPUs come on a machine of four, and that is one too many."""
    cause, sentence = why(pod(2), pool(max_gpus=8, used=5))
    assert cause is Cause.LIMIT
    assert "(its smallest machine has 4)" in sentence
    assert why(pod(1), pool(max_gpus=8, used=5))[0] is Cause.UNKNOWN


def test_a_limit_is_read_as_kubernetes_writes_it() -> None:
    large = pool(used=999)
    large["spec"]["limits"] = {"nvidia.com/gpu": "1k"}
    assert why(pod(1), large)[0] is Cause.UNKNOWN
    assert why(pod(4), large)[0] is Cause.LIMIT


# -- capacity -------------------------------------------------------------------------------------

ICE = "creating instance, insufficient capacity, InsufficientInstanceCapacity"


def test_no_capacity_is_told_in_ec2s_words_and_with_the_choices() -> None:
    cause, sentence = why(pod(), events=[no_capacity(ICE)])
    assert cause is Cause.CAPACITY
    assert ICE in sentence
    assert "EC2 has none of g4dn and g5" in sentence
    assert "kubeflow:gpuPool.capacityTypes" in sentence


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("VcpuLimitExceeded", "Service Quotas"),
        ("MaxSpotInstanceCountExceeded", "Service Quotas"),
        ("InsufficientFreeAddressesInSubnet", "more subnets"),
    ],
)
def test_what_waiting_does_not_cure_is_told_apart(code: str, told: str) -> None:
    cause, sentence = why(pod(), events=[no_capacity(f"creating instance, {code}")])
    assert cause is Cause.CAPACITY
    assert told in sentence
    assert "wait" not in sentence


@pytest.mark.parametrize(
    "other", [no_capacity(ICE, at=these.BEFORE), no_capacity(ICE, claim="training-a1b2c")]
)
def test_what_happened_before_the_pod_or_in_another_pool_is_not_its_reason(
    other: dict[str, Any],
) -> None:
    assert why(pod(), events=[other])[0] is Cause.UNKNOWN


def test_families_that_the_region_lacks_are_told() -> None:
    lacking = these.event("NoCompatibleInstanceTypes", "filtered", kind="NodePool", name="gpu")
    cause, sentence = why(pod(), events=[lacking])
    assert cause is Cause.CAPACITY
    assert "kubeflow:gpuPool.instanceFamilies" in sentence


# -- machines on their way ------------------------------------------------------------------------


def test_a_machine_that_is_starting_is_named_with_how_far_it_is() -> None:
    claim = node_claim(Launched="True", Registered="Unknown", Initialized="Unknown")
    nominated = "Pod should schedule on: nodeclaim/gpu-x7k2p"
    events = [these.event("Nominated", nominated, kind="Pod", name="train"), no_capacity(ICE)]
    cause, sentence = why(pod(), pool(used=8), node_claims=[claim], events=events)
    assert cause is Cause.NODE_IS_COMING
    assert "NodeClaim gpu-x7k2p of 2026-11-27T10:01:00Z is Launched" in sentence


def test_a_machine_that_was_just_asked_for_is_no_trouble() -> None:
    claim = node_claim(Launched=("Unknown", "AwaitingReconciliation", "object is awaiting"))
    assert why(pod(), node_claims=[claim])[0] is Cause.NODE_IS_COMING


@pytest.mark.parametrize(
    ("conditions", "told"),
    [
        (
            {"Launched": ("Unknown", "UnauthorizedOperation", "not authorized to RunInstances")},
            "was not launched (UnauthorizedOperation: not authorized to RunInstances)",
        ),
        (
            {
                "Launched": "True",
                "Registered": "True",
                "Initialized": ("Unknown", "ResourceNotRegistered", 'Resource "nvidia.com/gpu"'),
            },
            'has joined without its GPUs (Resource "nvidia.com/gpu")',
        ),
    ],
    ids=["not launched", "no device plugin"],
)
def test_a_machine_that_does_not_come_up_is_told_with_what_it_says(
    conditions: dict[str, Any], told: str
) -> None:
    cause, sentence = why(pod(), node_claims=[node_claim(**conditions)])
    assert cause is Cause.NODE_IN_TROUBLE
    assert told in sentence


def test_a_pool_whose_node_class_is_not_ready_says_so() -> None:
    broken = pool()
    broken["status"]["conditions"] = [
        {"type": "Ready", "status": "False", "message": "NodeClassReady=False"}
    ]
    cause, sentence = why(pod(), broken)
    assert cause is Cause.POOL_NOT_READY
    assert "NodeClassReady=False" in sentence


# -- several pools, and the last word -------------------------------------------------------------


def test_of_several_pools_the_one_that_comes_closest_is_told_of() -> None:
    reserved = pool(name="reserved")
    reserved["spec"]["template"]["spec"]["taints"].append(
        {"key": "team", "value": "vision", "effect": "NoSchedule"}
    )
    cause, sentence = why(pod(), reserved, pool(used=8), cpu_pool())
    assert cause is Cause.LIMIT
    assert "NodePool gpu " in sentence


def test_what_nothing_here_explains_is_told_in_the_schedulers_words() -> None:
    waiting = pod()
    waiting["status"]["conditions"] = [
        {"type": "PodScheduled", "status": "False", "message": "0/4 nodes are available"}
    ]
    assert why(waiting) == (Cause.UNKNOWN, "the scheduler says: 0/4 nodes are available")


def test_without_a_word_from_anybody_karpenters_log_is_the_place_to_look() -> None:
    assert "logs deployment/karpenter" in why(pod())[1]
