"""Why a pod that asks for GPUs waits: each cause has its sentence, with the way out."""

from __future__ import annotations

from typing import Any

import pytest

from components.gpu.karpenter_objects import GPU_LABEL
from ops.karpenter_status import ClusterState
from ops.pending_pods import Cause, explain
from tests.ops import waiting_pods as these
from tests.ops.waiting_pods import (
    affinity,
    cpu_pool,
    expression,
    pod,
    pool,
    why,
)

FAMILY = "karpenter.k8s.aws/instance-family"
GPU_NAME = "karpenter.k8s.aws/instance-gpu-name"
INSTANCE_TYPE = "node.kubernetes.io/instance-type"


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
    assert explain(ClusterState(pods=[other], node_pools=[])) == {}


def test_every_waiting_pod_gets_one_sentence() -> None:
    seen = ClusterState(pods=[pod(), pod(99, name="wide")], node_pools=[pool()])
    assert list(explain(seen)) == ["alice/train", "alice/wide"]


def test_a_pod_that_somebody_holds_back_is_no_matter_of_nodes() -> None:
    cause, sentence = why(pod(schedulingGates=[{"name": "kueue.x-k8s.io/admission"}]))
    assert cause is Cause.HELD
    assert "the scheduling gate kueue.x-k8s.io/admission holds it" in sentence


# -- no pool --------------------------------------------------------------------------------------


def test_without_any_node_pool_the_setting_that_makes_one_is_named() -> None:
    cause, sentence = explain(ClusterState(pods=[pod()], node_pools=[]))["alice/train"]
    assert cause is Cause.NO_POOL
    assert "kubeflow:gpuPool.enabled" in sentence


def test_pools_without_gpus_are_named_as_such() -> None:
    cause, sentence = why(pod(), cpu_pool(), cpu_pool("spot"))
    assert cause is Cause.NO_POOL
    assert "no NodePool has machines with GPUs (the cluster has cpu and spot): set" in sentence


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
    "a label like a well-known one": {"nodeSelector": {"topology.kubernetes.io/zone-x": "a"}},
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
