"""The add-ons that come as manifests: Karpenter's CRDs and NVIDIA's device plugin."""

from __future__ import annotations

from tests.rendering.beijing import (
    REGISTRY,
    rendered,
)


def test_karpenters_resources_are_crds_only() -> None:
    crds_only = rendered("addons/karpenter-crds")
    assert crds_only.objects == ()
    assert sorted(crd["metadata"]["name"] for crd in crds_only.crds) == [
        "capacitybuffers.autoscaling.x-k8s.io",
        "ec2nodeclasses.karpenter.k8s.aws",
        "nodeclaims.karpenter.sh",
        "nodeoverlays.karpenter.sh",
        "nodepools.karpenter.sh",
    ]


def test_the_device_plugin_runs_on_gpu_nodes_and_tolerates_their_taint() -> None:
    (plugin,) = rendered("addons/nvidia-device-plugin").objects
    pod = plugin["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
    assert pod["tolerations"] == [
        {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    ]
    assert pod["priorityClassName"] == "system-node-critical"
    assert pod["containers"][0]["image"] == f"{REGISTRY}/nvcr.io/nvidia/k8s-device-plugin:v0.20.0"
