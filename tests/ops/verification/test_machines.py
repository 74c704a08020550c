"""Nodes and Karpenter's pools of a platform that is right, and broken."""

from __future__ import annotations

import pytest

from ops.findings import Level
from tests.ops.verification.played.eks import node_comes, node_leaves
from tests.ops.verification.played.live import Change, Live, condition
from tests.ops.verification.played.platforms import CN, examined, live_of
from tests.ops.verification.told import assert_broken, assert_of_others, assert_right


@pytest.mark.parametrize(
    ("name", "about", "sentence"),
    [
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
    ],
)
def test_a_right_platform_is_good_and_the_sentence_has_numbers(
    name: str, about: str, sentence: str
) -> None:
    assert_right(name, about, sentence)


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


@pytest.mark.parametrize(
    ("name", "change", "about", "sentence"),
    [
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
    ],
)
def test_a_broken_platform_gets_the_true_reason(
    name: str, change: Change, about: str, sentence: str
) -> None:
    assert_broken(name, change, about, sentence)


@pytest.mark.parametrize(
    ("name", "change", "notes"),
    [
        ("nodes", node_comes, 0),
        ("nodes", node_leaves, 1),
        ("node-pools", pool_of_auto_mode, 1),
    ],
)
def test_what_passes_and_what_is_of_others_is_no_problem(
    name: str, change: Change, notes: int
) -> None:
    assert_of_others(name, change, notes)


def test_the_use_of_a_pool_is_counted() -> None:
    live = live_of(CN).changed()
    pool_uses(3)(live)
    sentences = [each.sentence for each in examined("node-pools", live)]
    assert "ready; 3 of 8 nvidia.com/gpu in use" in sentences


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
