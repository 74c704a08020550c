"""Karpenter's own objects as data: what a node is made of, and the pools that make nodes.

Pure. Field names and rules: the CRDs of Karpenter 1.14.1 (karpenter.k8s.aws/v1, karpenter.sh/v1).
Where an argument is typed ``Any`` it is a string or a Pulumi output of one: a value that exists
only after creation passes through untouched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from components.gpu.node_pools import CPU_CATEGORIES, GPU_POOL, GPU_RESOURCE, SLICE_RESOURCE, Pool
from settings.node_pools import BOTTLEROCKET, Budget, Taint

Object = dict[str, Any]

NAMESPACE = "kube-system"
"""Karpenter's namespace: the API server gives its requests priority there (its docs, settings)."""
SERVICE_ACCOUNT = "karpenter"
POOL_NAME = GPU_POOL
"""Name of the GPU NodePool and of its EC2NodeClass."""
DISCOVERY_TAG = "karpenter.sh/discovery"
"""Tag of the subnets, security groups and capacity reservations a cluster's nodes may use."""
GPU_LABEL = "nvidia.com/gpu.present"
"""The device plugin's node selector. AL2023 nodes set it themselves from Kubernetes 1.35 on only;
in the pool's template Karpenter knows it beforehand and counts the plugin's pod."""
SLICING_LABEL = "nvidia.com/device-plugin.config"
"""Which configuration of the device plugin a node gets (k8s-device-plugin, README); none: GPUs are
whole."""
OWN_PLUGIN_LABEL = "nvidia.com/gpu.deploy.device-plugin"
"""``false`` on nodes that bring a device plugin (the GPU operator's word for leaving one out)."""

SLICED_COUNTS = (1, 2, 4, 8, 16)
"""GPUs one EC2 machine can have. A sliced pool takes no other machines, because each number needs
its own NodeOverlay (``overlays``)."""


def slicing_config(slices: int) -> str:
    """The value of ``SLICING_LABEL`` for nodes whose GPUs have so many slices."""
    return f"slices-{slices}"


def ec2_node_class(
    *,
    cluster_name: str,
    instance_profile: Any,
    ami_alias: str,
    tags: Mapping[str, str],
    reserved: bool,
    name: str = POOL_NAME,
    disk_gib: int = 200,
    slices: int = 1,
) -> Object:
    """The EC2NodeClass of one pool: image, network, disk and identity of its nodes.

    Args:
        cluster_name: value of the discovery tag.
        instance_profile: name of the profile; Karpenter then manages none (see
            ``policies``).
        ami_alias: ``al2023@v<date>`` or ``bottlerocket@v<version>``; resolves to the NVIDIA build
            for instances with GPUs. Pinned, because a newer one replaces nodes.
        tags: for instances, volumes and launch templates; the provider's default tags do not reach
            what Karpenter makes.
        reserved: also use capacity reservations that carry the discovery tag.
        name: of the pool.
        disk_gib: for images and the pods' files, where the machine has no disks of its own.
        slices: of each GPU; only Bottlerocket is told here, AL2023 by the device plugin.
    """
    discovered = [{"tags": {DISCOVERY_TAG: cluster_name}}]
    reservations = {"capacityReservationSelectorTerms": discovered} if reserved else {}
    bottlerocket = ami_alias.startswith(BOTTLEROCKET)
    disks = {"/dev/xvda": disk_gib}
    if bottlerocket:  # the system has a disk of its own (Karpenter pkg/providers/amifamily)
        disks = {"/dev/xvda": 4, "/dev/xvdb": disk_gib}
    own = {"userData": _slicing_toml(slices)} if bottlerocket and slices > 1 else {}
    return {
        "apiVersion": "karpenter.k8s.aws/v1",
        "kind": "EC2NodeClass",
        "metadata": {"name": name},
        "spec": {
            "amiSelectorTerms": [{"alias": ami_alias}],
            "subnetSelectorTerms": discovered,
            "securityGroupSelectorTerms": discovered,
            **reservations,
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
            # Disks of the machine itself, where it has any, hold images and the pods' files; the
            # machine without keeps them on the volume above (Karpenter nodeclasses.md).
            "instanceStorePolicy": "RAID0",
            "metadataOptions": {
                "httpEndpoint": "enabled",
                "httpProtocolIPv6": "disabled",
                # A pod is one hop further away: it has its own identity and never the node's.
                "httpPutResponseHopLimit": 1,
                "httpTokens": "required",
            },
            "tags": dict(tags),
            **own,
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
    """The NodePool: none of its nodes until a pod asks for one, none when the last is done.

    One pool for all families, not one per family with weights: the limit of a NodePool is the only
    cap Karpenter has, and with one pool per family demand beyond ``max_gpus`` would spill into the
    next dearer family, up to ``max_gpus`` again in each. Karpenter itself takes the cheapest type
    that fits, by live prices where there is a price API (for both China regions it is asked in
    Ningxia) and by tables elsewhere; each of these orders the default families as
    ``Region.gpu_families`` does. It also keeps Spot free to choose among all families. The order of
    ``families`` has no meaning to Karpenter.
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
                "budgets": [_budget(budget) for budget in pool.budgets],
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
    # What a sliced node registers, and what its NodeOverlay promises: slices, and no whole GPU.
    if pool.sliced:
        return {SLICE_RESOURCE: str(pool.max_gpus * pool.slices)}
    return {GPU_RESOURCE: str(pool.max_gpus)}


def _requirements(pool: Pool) -> list[dict[str, Any]]:
    found = [
        _one_of("kubernetes.io/arch", ["amd64"]),
        _one_of("kubernetes.io/os", ["linux"]),
        _one_of("karpenter.sh/capacity-type", pool.capacity_types),
    ]
    if pool.families:
        found.append(_one_of("karpenter.k8s.aws/instance-family", pool.families))
    else:
        found.append(_one_of("karpenter.k8s.aws/instance-category", CPU_CATEGORIES))
        # Before the fifth come machines of the Xen age, slower and no cheaper.
        found.append(_above("karpenter.k8s.aws/instance-generation", 4))
    manufacturer = "karpenter.k8s.aws/instance-gpu-manufacturer"
    if not pool.has_gpus:
        # A pod that wants no GPU must not start a machine with one.
        return [*found, {"key": manufacturer, "operator": "DoesNotExist"}]
    # A pod that only tolerates the taint must not start a machine without GPU.
    found.append(_one_of(manufacturer, ["nvidia"]))
    if pool.gpu_names:
        found.append(_one_of("karpenter.k8s.aws/instance-gpu-name", pool.gpu_names))
    counts = pool.gpu_counts or (SLICED_COUNTS if pool.sliced else ())
    if counts:
        found.append(_one_of("karpenter.k8s.aws/instance-gpu-count", [str(n) for n in counts]))
    if pool.min_gpu_memory_gb is not None:
        # EC2 tells MiB: 22888 for the 24 GB of an A10G.
        least = pool.min_gpu_memory_gb * 10**9 // 2**20
        found.append(_above("karpenter.k8s.aws/instance-gpu-memory", least - 1))
    return found


def _one_of(key: str, values: Sequence[str]) -> dict[str, Any]:
    return {"key": key, "operator": "In", "values": list(values)}


def _above(key: str, value: int) -> dict[str, Any]:
    return {"key": key, "operator": "Gt", "values": [str(value)]}


def _taint(taint: Taint) -> dict[str, str]:
    value = {"value": taint.value} if taint.value else {}
    return {"key": taint.key, **value, "effect": taint.effect}


def _budget(budget: Budget) -> dict[str, Any]:
    return budget.model_dump(exclude_defaults=True)
