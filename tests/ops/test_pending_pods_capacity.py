"""Sizes, limits, EC2's answers and machines on their way: the rest of why a pod waits."""

from __future__ import annotations

from typing import Any

import pytest

from ops.pending_pods import Cause
from tests.ops import waiting_pods as these
from tests.ops.waiting_pods import cpu_pool, expression, no_capacity, node_claim, pod, pool, why

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


def test_a_pool_of_small_machines_is_told_to_allow_larger_ones() -> None:
    cause, sentence = why(pod(4), pool("g4dn", "g5", gpu_counts=(1,)))
    assert cause is Cause.TOO_MANY_GPUS
    assert "(NodePool gpu) has 1" in sentence
    assert "allow larger ones in kubeflow:gpuPool.gpuCounts" in sentence


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
    assert "EC2 has no capacity of g4dn and g5" in sentence
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


def test_a_machine_that_is_ready_is_not_on_its_way() -> None:
    claim = node_claim(Launched="True", Registered="True", Initialized="True")
    assert why(pod(), node_claims=[claim])[0] is Cause.UNKNOWN


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
        (
            {"Initialized": ("Unknown", "ResourceNotRegistered", "vpc.amazonaws.com/efa is not")},
            "without its EFA devices (vpc.amazonaws.com/efa is not): the platform has no EFA",
        ),
    ],
    ids=["not launched", "no device plugin", "no EFA device plugin"],
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


def test_the_scheduler_is_quoted_with_its_newest_words() -> None:
    events = [
        these.event("FailedScheduling", text, kind="Pod", name="train", at=at)
        for text, at in (("older", these.BEFORE), ("newer", these.LATER))
    ]
    assert why(pod(), events=events)[1] == "message of the scheduler: newer"


def test_what_nothing_here_explains_is_told_in_the_schedulers_words() -> None:
    waiting = pod()
    waiting["status"]["conditions"] = [
        {"type": "PodScheduled", "status": "False", "message": "0/4 nodes are available"}
    ]
    assert why(waiting) == (Cause.UNKNOWN, "message of the scheduler: 0/4 nodes are available")


def test_without_a_word_from_anybody_karpenters_log_is_the_place_to_look() -> None:
    assert "logs deployment/karpenter" in why(pod())[1]
