"""Which pods hold GPUs, whose they are and since when."""

from __future__ import annotations

from typing import Any

import pytest

from ops.gpu_holders import holders, nodes_of_holders
from ops.pending_pods import Object
from tests.ops import waiting_pods as these


def held(phase: str = "Running", labels: dict[str, str] | None = None, **more: Any) -> Object:
    pod = these.pod(nodeName="node")
    pod["metadata"] |= {"labels": labels or {}, **more}
    pod["status"] = {"phase": phase}
    return pod


def sentence(pod: Object) -> str:
    (only,) = holders([pod], [])
    return only.sentence


@pytest.mark.parametrize(
    ("labels", "owner"),
    [
        ({"notebook-name": "mine", "app": "x"}, "notebook mine"),
        ({"katib.kubeflow.org/experiment": "random"}, "experiment random"),
        ({"workflows.argoproj.io/workflow": "line-x7k2p"}, "workflow line-x7k2p"),
        ({"serving.kserve.io/inferenceservice": "iris"}, "InferenceService iris"),
        ({"jobset.sigs.k8s.io/jobset-name": "bert"}, "training bert"),
        ({}, "Job train"),
    ],
)
def test_a_pod_is_told_by_what_its_user_made(labels: dict[str, str], owner: str) -> None:
    owners = [{"kind": "Job", "name": "train"}]
    assert sentence(held(labels=labels, ownerReferences=owners)).startswith(f"{owner} holds 1 ")


def test_a_pod_without_owner_is_told_too() -> None:
    told = sentence(held())
    assert told.startswith("a pod of its own holds 1 nvidia.com/gpu on node (type unknown) since")


def test_a_gpu_is_held_from_the_moment_its_node_is_chosen() -> None:
    pod = {**held()}
    chosen = {"type": "PodScheduled", "status": "True", "lastTransitionTime": these.LATER}
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-28T00:00:00Z"}
    pod["status"] = {"phase": "Pending", "conditions": [ready, chosen]}
    assert sentence(pod).endswith(f"since {these.LATER}")
    assert nodes_of_holders([pod]) == {"node"}


@pytest.mark.parametrize(
    "pod", [held("Succeeded"), held("Failed"), these.pod(), these.pod(0, nodeName="node")]
)
def test_who_has_ended_or_waits_or_needs_none_holds_none(pod: Object) -> None:
    assert list(holders([pod], [])) == []
    assert nodes_of_holders([pod]) == set()


def test_the_longest_holder_comes_first() -> None:
    young = held(name="young", creationTimestamp=these.LATER)
    old = held(name="old", creationTimestamp=these.BEFORE)
    assert [each.name for each in holders([young, old], [])] == ["alice/old", "alice/young"]


def test_slices_are_held_like_gpus() -> None:
    pod = these.pod(2, resource="nvidia.com/gpu.shared", nodeName="node")
    assert "holds 2 nvidia.com/gpu.shared on node" in sentence(pod)
