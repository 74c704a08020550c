"""Whether a node group holds the platform's pods, by the real render."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import Mock

import pulumi
import pytest
import yaml

from ops import node_group_fit
from ops.findings import Level
from ops.node_group_fit import Pods, capacity, node_group_findings, pods_of
from program import render_stack
from tests.ops.account import notes, problems, subject

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("group", "level"),
    [
        ({}, Level.GOOD),
        ({"instanceType": "t3.large", "desired": 2, "min": 2, "max": 2}, Level.PROBLEM),
        ({"instanceType": "m5.large", "desired": 3, "min": 3}, Level.PROBLEM),
        ({"instanceType": "c5.2xlarge", "desired": 2, "min": 2}, Level.GOOD),
    ],
)
def test_nodes_are_compared_with_the_pods(group: dict[str, object], level: Level) -> None:
    (found,) = node_group_findings(subject("cn-north-1", nodeGroup=group))
    assert found.level is level
    assert found.sentence.startswith("the platform's own pods take ")


def test_what_is_short_is_told_with_the_numbers_and_the_settings() -> None:
    small = {"instanceType": "t3.large", "desired": 2, "min": 2}
    (sentence,) = problems(node_group_findings(subject("cn-north-1", nodeGroup=small)))
    assert "of 2 t3.large (kubeflow:nodeGroup.desired): use more or larger ones" in sentence


def test_a_pod_that_no_node_holds_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    huge = Pods("huge", 1, 3.9, 2**30), Pods("wide", 1, 4, 2**30)
    for pods, expected in ((huge[:1], []), (huge[1:], ["no m5.xlarge holds a pod of wide: use "])):
        monkeypatch.setattr(node_group_fit, "pods_of", Mock(return_value=pods))
        found = problems(node_group_findings(subject("cn-north-1")))
        assert [sentence[:38] for sentence in found] == expected


def test_a_machine_that_the_table_lacks_is_a_note() -> None:
    (sentence,) = notes(node_group_findings(subject(nodeGroup={"instanceType": "z1d.xlarge"})))
    assert "is z1d.xlarge, whose size is not in the table" in sentence


def test_absent_sources_are_reported_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: object) -> None:
        raise pulumi.RunError("no sources")

    monkeypatch.setattr(node_group_fit, "render_stack", absent)
    assert list(node_group_findings(subject())) == []


def test_a_node_offers_what_the_kubelet_leaves() -> None:
    node = capacity("m5.xlarge")
    assert node is not None
    # EKS: 3,920 m of 4 CPUs and about 14.3 GiB of 16, before the hypervisor's share is certain.
    assert (round(node.cpus, 2), node.pods) == (3.92, 58)
    # 58 pods with 11 MiB each; 100 MiB are left when the kubelet begins to evict.
    assert node.memory == 16 * 2**30 * 0.925 - (255 + 58 * 11 + 100) * 2**20
    burstable = capacity("t3.medium")
    assert burstable is not None
    assert 3.0 < burstable.memory / 2**30 < 3.6


def test_every_pod_is_counted_with_its_sidecar_and_its_replicas() -> None:
    stack = subject("cn-north-1")
    pods = {each.name: each for each in pods_of(render_stack(stack.settings, stack.region))}
    assert pods["istiod"].count == 2
    assert pods["istio-cni-node"].count is None
    assert "nvidia-device-plugin-daemonset" not in pods
    assert pods["dex"].cpus == 0
    sidecar = pods["dashboard"].cpus
    assert 0 < sidecar < 0.2
    assert round(pods["ml-pipeline"].cpus - sidecar, 3) == 0.25
    assert pods["karpenter"].count == 2
    without = subject("cn-north-1", gpuPool={"enabled": False})
    names = {each.name for each in pods_of(render_stack(without.settings, without.region))}
    assert "karpenter" not in names
    assert {"coredns", "ebs-csi-controller", "aws-node"} <= names


def test_karpenters_requests_are_those_of_its_chart() -> None:
    chart = yaml.safe_load((ROOT / "components/gpu/chart.yaml").read_text())
    own = yaml.safe_load((ROOT / "ops/node_group_fit.yaml").read_text())["karpenter"]
    asked = chart["controller"]["resources"]["requests"]
    assert (own["replicas"], own["cpu"], own["memory"]) == (
        chart["replicas"],
        asked["cpu"],
        asked["memory"],
    )
