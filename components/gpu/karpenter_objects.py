"""Karpenter's own objects as data: EC2NodeClasses, NodePools and their parts.

Pure. Field names and rules: the CRDs of Karpenter 1.14.1 (karpenter.k8s.aws/v1, karpenter.sh/v1).
An argument of type ``Any`` is a string or a Pulumi output of one, which passes through untouched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from components.gpu.node_pools import CPU_CATEGORIES, GPU_RESOURCE, SLICE_RESOURCE, Pool
from settings.node_pools import DISCOVERY_TAG, Taint
from settings.nodes import POOL_ARCHITECTURES

Object = dict[str, Any]

NAMESPACE = "kube-system"
"""Karpenter's namespace: the API server gives its requests priority there (its docs, settings)."""
SERVICE_ACCOUNT = "karpenter"
GPU_LABEL = "nvidia.com/gpu.present"
"""The device plugin's node selector. AL2023 nodes set it themselves only from Kubernetes 1.35 on;
in the pool's template it is known before the node exists, and Karpenter counts the plugin's pod."""
SLICING_LABEL = "nvidia.com/device-plugin.config"
"""The configuration of the device plugin on a node (k8s-device-plugin, README); none: GPUs are
whole."""
OWN_PLUGIN_LABEL = "nvidia.com/gpu.deploy.device-plugin"
"""``false`` on nodes whose AMI has a device plugin (the GPU operator's label to exclude a node)."""

SLICED_COUNTS = (1, 2, 4, 8, 16)
"""GPUs one EC2 machine can have. A sliced pool uses no other machines, because each number needs a
NodeOverlay (``overlays``)."""


def slicing_config(slices: int) -> str:
    """The value of ``SLICING_LABEL`` for nodes whose GPUs have so many slices."""
    return f"slices-{slices}"


def ec2_node_class(
    pool: Pool,
    *,
    cluster_name: str,
    subnets: Any,
    security_group: Any,
    instance_profile: Any,
    tags: Mapping[str, str],
) -> Object:
    """The EC2NodeClass of one pool: image, network, disk and identity of its nodes.

    Args:
        pool: the AMI of its alias is the NVIDIA build on instances with GPUs.
        cluster_name: value of the discovery tag of reservations.
        subnets: of the nodes, each as ``{"id": ...}``: clusters may share a subnet, and its tag has
            one value.
        security_group: ID of the group of the nodes.
        instance_profile: name of the profile; Karpenter then manages none (see ``policies``).
        tags: for instances, volumes and launch templates; the provider's default tags do not reach
            what Karpenter makes.
    """
    disks = {"/dev/xvda": pool.disk_gib}
    optional: dict[str, Any] = {}
    if pool.reserved:
        reserved = {"tags": {DISCOVERY_TAG: cluster_name}}
        optional["capacityReservationSelectorTerms"] = [reserved]
    if pool.bottlerocket:  # the system has a disk of its own (Karpenter pkg/providers/amifamily)
        disks = {"/dev/xvda": 4, "/dev/xvdb": pool.disk_gib}
        if pool.sliced:
            optional["userData"] = _slicing_toml(pool.slices)
    return {
        "apiVersion": "karpenter.k8s.aws/v1",
        "kind": "EC2NodeClass",
        "metadata": {"name": pool.name},
        "spec": {
            "amiSelectorTerms": [{"alias": pool.ami_alias}],
            "subnetSelectorTerms": subnets,
            "securityGroupSelectorTerms": [{"id": security_group}],
            "instanceProfile": instance_profile,
            "blockDeviceMappings": [
                {
                    "deviceName": device,
                    "ebs": {
                        "volumeSize": f"{size}Gi",
                        "volumeType": "gp3",
                        "encrypted": True,
                        "deleteOnTermination": True,
                    },
                }
                for device, size in disks.items()
            ],
            # Images and the pods' files are on the machine's own disks; on a machine without, they
            # are on the volume above (Karpenter nodeclasses.md).
            "instanceStorePolicy": "RAID0",
            "metadataOptions": {
                "httpEndpoint": "enabled",
                "httpProtocolIPv6": "disabled",
                # A pod is one hop further away and cannot use the node's identity.
                "httpPutResponseHopLimit": 1,
                "httpTokens": "required",
            },
            "tags": dict(tags),
            **optional,
        },
    }


def _slicing_toml(slices: int) -> str:
    # bottlerocket.dev, 1.54.x, settings.kubelet-device-plugins; Karpenter merges it with its own.
    return (
        "[settings.kubelet-device-plugins.nvidia]\n"
        'device-sharing-strategy = "time-slicing"\n'
        "\n"
        "[settings.kubelet-device-plugins.nvidia.time-slicing]\n"
        f"replicas = {slices}\n"
        "rename-by-default = true\n"
        "fail-requests-greater-than-one = true\n"
    )


def node_pool(pool: Pool) -> Object:
    """The NodePool: no node before a pod requests one, and none after the last pod.

    One pool for all families: the limit of a NodePool is Karpenter's only cap, and with one pool
    per family, demand beyond ``max_gpus`` would move on to the next dearer family, up to
    ``max_gpus`` again in each. Karpenter launches the cheapest type that fits, by live prices where
    it can call a price API (for both China regions, Ningxia's) and by tables elsewhere; both order
    the default families as ``Region.gpu_families`` does. Spot can also use all families. The order
    of ``families`` has no effect on Karpenter.
    """
    template = {
        "nodeClassRef": {
            "group": "karpenter.k8s.aws",
            "kind": "EC2NodeClass",
            "name": pool.name,
        },
        **({"taints": [_taint(taint) for taint in pool.taints]} if pool.taints else {}),
        "requirements": _requirements(pool),
        "expireAfter": pool.expire_after,
        "terminationGracePeriod": f"{pool.termination_minutes}m",
    }
    labels = _labels(pool)
    return {
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodePool",
        "metadata": {"name": pool.name},
        "spec": {
            "template": {**({"metadata": {"labels": labels}} if labels else {}), "spec": template},
            "limits": _limits(pool),
            "disruption": {
                "consolidationPolicy": pool.consolidation_policy,
                "consolidateAfter": pool.consolidate_after,
                "budgets": [budget.model_dump(exclude_defaults=True) for budget in pool.budgets],
            },
            **({} if pool.weight is None else {"weight": pool.weight}),
        },
    }


def _labels(pool: Pool) -> dict[str, str]:
    labels = dict(pool.labels)
    if pool.has_gpus:
        labels[GPU_LABEL] = "true"
        if pool.bottlerocket:
            labels[OWN_PLUGIN_LABEL] = "false"
        elif pool.sliced:
            labels[SLICING_LABEL] = slicing_config(pool.slices)
    return labels


def _limits(pool: Pool) -> dict[str, str]:
    if pool.max_gpus is None:
        return {"cpu": str(pool.max_cpus)}
    # A sliced node registers slices and no whole GPU, as its NodeOverlay states.
    if pool.sliced:
        return {SLICE_RESOURCE: str(pool.max_gpus * pool.slices)}
    return {GPU_RESOURCE: str(pool.max_gpus)}


def _requirements(pool: Pool) -> list[dict[str, Any]]:
    requirements = [
        one_of("kubernetes.io/arch", list(POOL_ARCHITECTURES)),
        one_of("kubernetes.io/os", ["linux"]),
        one_of("karpenter.sh/capacity-type", pool.capacity_types),
    ]
    if pool.families:
        requirements.append(one_of("karpenter.k8s.aws/instance-family", pool.families))
    else:
        requirements.append(one_of("karpenter.k8s.aws/instance-category", CPU_CATEGORIES))
        # Generations before the fifth are Xen-based, slower and no cheaper.
        requirements.append(_above("karpenter.k8s.aws/instance-generation", 4))
    manufacturer = "karpenter.k8s.aws/instance-gpu-manufacturer"
    if not pool.has_gpus:
        # A pod that requests no GPU must not start a machine with one.
        return [*requirements, {"key": manufacturer, "operator": "DoesNotExist"}]
    # A pod that only tolerates the taint must not start a machine without GPU.
    requirements.append(one_of(manufacturer, ["nvidia"]))
    if pool.gpu_names:
        requirements.append(one_of("karpenter.k8s.aws/instance-gpu-name", pool.gpu_names))
    counts = pool.gpu_counts or (SLICED_COUNTS if pool.sliced else ())
    if counts:
        requirements.append(
            one_of("karpenter.k8s.aws/instance-gpu-count", [str(n) for n in counts])
        )
    if pool.min_gpu_memory_gb is not None:
        # In MiB from EC2: 22888 for the 24 GB of an A10G.
        least = pool.min_gpu_memory_gb * 10**9 // 2**20
        requirements.append(_above("karpenter.k8s.aws/instance-gpu-memory", least - 1))
    return requirements


def one_of(key: str, values: Sequence[str]) -> dict[str, Any]:
    """A requirement: the label has one of these values."""
    return {"key": key, "operator": "In", "values": list(values)}


def _above(key: str, value: int) -> dict[str, Any]:
    return {"key": key, "operator": "Gt", "values": [str(value)]}


def _taint(taint: Taint) -> dict[str, str]:
    value = {"value": taint.value} if taint.value else {}
    return {"key": taint.key, **value, "effect": taint.effect}
