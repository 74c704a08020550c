"""What EKS and Karpenter make of a cluster.

Nodes, ``kube-system`` and its add-ons: aws/amazon-vpc-cni-k8s charts/aws-vpc-cni,
kubernetes-sigs/aws-ebs-csi-driver charts/aws-ebs-csi-driver. Conditions: kubernetes-sigs/karpenter
v1.14.1 pkg/apis/v1/nodepool_status.go, aws/karpenter-provider-aws v1.14.1
pkg/apis/v1/ec2nodeclass_status.go.
"""

from __future__ import annotations

import copy
from typing import Any

from regions.region import Feature
from rendering import Object
from rendering.objects import labels_of
from tests.ops.verification.played.live import CREATED, Live, binding, condition, just_now

ZONES = ("a", "b", "c")
_SYSTEM = ("default", "kube-system", "kube-public", "kube-node-lease")


def namespaces(live: Live) -> None:
    for name in _SYSTEM:
        live.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    for obj in live.all("Namespace"):
        name = obj["metadata"]["name"]
        obj["metadata"]["labels"] = {**labels_of(obj), "kubernetes.io/metadata.name": name}
        obj["status"] = {"phase": "Active"}


def eks_objects(live: Live) -> None:
    version = live.settings.cluster.version
    group = live.settings.node_group
    for number in range(group.desired):
        zone = f"{live.context.region.name}{ZONES[number % len(ZONES)]}"
        live.put(_node(f"ip-10-64-0-{number + 4}", zone, group.name, version))
    build = "eksbuild.1"
    for name, image, args in (
        ("aws-node", "amazon-k8s-cni:v1.22.1", ["--enable-network-policy=true"]),
        ("kube-proxy", f"eks/kube-proxy:v{version}.1-{build}", []),
        ("ebs-csi-node", "eks/aws-ebs-csi-driver:v1.61.0", ["--endpoint=$(CSI_ENDPOINT)"]),
    ):
        live.put(_system("DaemonSet", name, f"{live.addons}/{image}", args))
    for name, image in (
        ("coredns", f"eks/coredns:v1.14.2-{build}"),
        ("ebs-csi-controller", "eks/aws-ebs-csi-driver:v1.61.0"),
    ):
        live.put(_system("Deployment", name, f"{live.addons}/{image}", []))
    if live.context.region.has(Feature.POD_IDENTITY):
        image = f"{live.addons}/eks/eks-pod-identity-agent:v0.1.36"
        live.put(_system("DaemonSet", "eks-pod-identity-agent", image, []))
    drivers = [
        "ebs.csi.aws.com",
        *(["efs.csi.aws.com"] if live.settings.shared_files.enabled else []),
    ]
    for driver in drivers:
        live.put(
            {
                "apiVersion": "storage.k8s.io/v1",
                "kind": "CSIDriver",
                "metadata": {"name": driver},
                "spec": {},
            }
        )
    live.put(
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": "gp2"},
            "provisioner": "kubernetes.io/aws-ebs",
            "volumeBindingMode": "WaitForFirstConsumer",
        }
    )
    for obj in live.all("APIService"):
        obj["status"] = {"conditions": [condition("Available", reason="Passed")]}
    defaults = {"system:basic-user": "selfsubjectaccessreviews", "system:discovery": ""}
    for name, resource in defaults.items():
        rule = {"apiGroups": ["authorization.k8s.io"], "resources": [resource], "verbs": ["create"]}
        live.put(_cluster_role(name, [rule] if resource else []))
        live.put(binding("ClusterRoleBinding", name, name, _group("system:authenticated")))
    everything = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
    live.put(_cluster_role("cluster-admin", [everything]))
    live.put(
        binding("ClusterRoleBinding", "cluster-admin", "cluster-admin", _group("system:masters"))
    )


def _group(name: str) -> dict[str, str]:
    return {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": name}


def _cluster_role(name: str, rules: list[dict[str, list[str]]]) -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": rules,
    }


def _node(name: str, zone: str, group: str, version: str) -> Object:
    conditions = [
        condition("MemoryPressure", "False", reason="KubeletHasSufficientMemory"),
        condition("DiskPressure", "False", reason="KubeletHasNoDiskPressure"),
        condition("PIDPressure", "False", reason="KubeletHasSufficientPID"),
        condition("Ready", reason="KubeletReady"),
    ]
    labels = {"topology.kubernetes.io/zone": zone, "eks.amazonaws.com/nodegroup": group}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": {},
        "status": {
            "conditions": conditions,
            "nodeInfo": {"kubeletVersion": f"v{version}.1-eks-1234567"},
        },
    }


def _system(kind: str, name: str, image: str, args: list[str]) -> Object:
    labels = {"app": name}
    variables = [{"name": "CSI_ENDPOINT", "value": "unix:/csi/csi.sock"}]
    container = {"name": name, "image": image, "args": args, "env": variables}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "kube-system", "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def karpenter_objects(live: Live) -> None:
    version = live.settings.gpu_pool.karpenter_version
    image = f"{live.copy_of}public.ecr.aws/karpenter/controller:{version}"
    live.put(_system("Deployment", "karpenter", image, []))
    for obj in live.all("EC2NodeClass"):
        kinds = (
            "SubnetsReady",
            "SecurityGroupsReady",
            "InstanceProfileReady",
            "AMIsReady",
            "ValidationSucceeded",
            "Ready",
        )
        obj["status"] = {"conditions": [condition(kind, reason=kind) for kind in kinds]}
    for obj in live.all("NodePool"):
        kinds = ("ValidationSucceeded", "NodeClassReady", "Ready")
        unknown = condition("NodeRegistrationHealthy", "Unknown", reason="AwaitingReconciliation")
        conditions = [*(condition(kind, reason=kind) for kind in kinds), unknown]
        obj["status"] = {"conditions": conditions, "resources": {"nodes": "0"}}


def node_comes(live: Live) -> None:
    """A node that has no pods yet."""
    node = copy.deepcopy(live.all("Node")[0])
    node["metadata"] |= {"name": "ip-10-64-9-9", "creationTimestamp": just_now(), "labels": {}}
    live.put(node)
    for each in live.all("DaemonSet"):
        each["status"]["desiredNumberScheduled"] += 1


def node_leaves(live: Live) -> None:
    """A node that is being deleted."""
    node_comes(live)
    node = live.get("Node", "ip-10-64-9-9")
    node["metadata"] |= {"creationTimestamp": CREATED, "deletionTimestamp": just_now()}
    node["status"]["conditions"] = [condition("Ready", "Unknown", reason="NodeStatusUnknown")]
