"""Karpenter as data: the chart's values, the EC2NodeClass and NodePool, the device plugin's object.

Pure. Field names and rules: the CRDs of Karpenter 1.14.1 (karpenter.k8s.aws/v1, karpenter.sh/v1).
Where an argument is typed ``Any`` it is a string or a Pulumi output of one: a value that exists
only after creation passes through untouched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from components.region import Feature, Region
from webhook.reference import parse

Object = dict[str, Any]

NAMESPACE = "kube-system"
"""Karpenter's namespace: the API server gives its requests priority there (its docs, settings)."""
SERVICE_ACCOUNT = "karpenter"
POOL_NAME = "gpu"
"""Name of the NodePool and of its EC2NodeClass."""
DISCOVERY_TAG = "karpenter.sh/discovery"
"""Tag of the subnets, security groups and capacity reservations a cluster's nodes may use."""
GPU_RESOURCE = "nvidia.com/gpu"
GPU_LABEL = "nvidia.com/gpu.present"
"""The device plugin's node selector. AL2023 nodes set it themselves from Kubernetes 1.35 on only;
in the pool's template Karpenter knows it beforehand and counts the plugin's pod."""

DRAIN_MINUTES = 30
"""The longest a node waits for its pods once it must go, so that a destroy comes to an end."""

CHART = "public.ecr.aws/karpenter/karpenter"
CONTROLLER = "public.ecr.aws/karpenter/controller"
# charts/karpenter/values.yaml of each version. A version that is not here is pulled by the digest
# its own chart holds.
_DIGESTS = {"1.14.1": "sha256:723130949e4cab989461ff07d1be4cd781d63515432494641b33c235f300ae23"}


def controller_image(version: str) -> str:
    """The controller's image as its publisher names it; with digest where it is known here."""
    digest = _DIGESTS.get(version)
    return f"{CONTROLLER}:{version}" + (f"@{digest}" if digest else "")


def artifacts(version: str) -> tuple[str, ...]:
    """What the inventory must hold for this component: the controller's image and the OCI chart."""
    return (controller_image(version), f"{CHART}:{version}")


def chart_location(registry: str | None) -> str:
    """Where the chart is pulled from: its publisher, or its copy under ``registry``.

    The machine that runs Pulumi pulls it, with the login of ``helm registry login`` or of Docker:
    the provider has none of its own for OCI registries (pulumi-kubernetes #1914).
    """
    return f"oci://{_mirrored(CHART, registry)}"


def controller_repository(registry: str | None) -> str:
    """The image repository of the controller, without tag."""
    return _mirrored(CONTROLLER, registry)


def _mirrored(name: str, registry: str | None) -> str:
    reference = parse(name)
    if registry is None:
        return reference.name
    return f"{registry.rstrip('/')}/{reference.mirrored_repository}"


def helm_values(
    *,
    region: Region,
    version: str,
    cluster_name: Any,
    cluster_endpoint: Any,
    queue_name: Any,
    role_arn: Any,
    repository: Any,
) -> dict[str, Any]:
    """Values of the chart ``karpenter`` at ``version``.

    ``isolatedVPC`` is set exactly where no price API can be called. In GovCloud Karpenter never
    asks for on-demand prices and works with those of its release (pkg/providers/pricing/pricing.go,
    UpdateOnDemandPricing); the flag says so, and also ends its search in IAM for instance profiles
    it does not own. It must stay off in China: there it would freeze the prices of 2024, and what
    has no price is never launched.
    """
    image = {"repository": repository, "tag": version}
    if version in _DIGESTS:
        image["digest"] = _DIGESTS[version]
    return {
        # Two, so that one can fail. The chart wants them on two hosts and spread over the zones.
        "replicas": 2,
        "serviceAccount": {
            "name": SERVICE_ACCOUNT,
            "annotations": {"eks.amazonaws.com/role-arn": role_arn},
        },
        "controller": {
            "image": image,
            # Pods reach no instance metadata (hop limit 1), and without a region the SDK would ask
            # the global STS, which does not know an identity of China (karpenter #4658).
            "env": [{"name": "AWS_REGION", "value": region.name}],
            # No CPU limit: throttled while it simulates scheduling, it launches late.
            "resources": {
                "requests": {"cpu": "500m", "memory": "1Gi"},
                "limits": {"memory": "1Gi"},
            },
        },
        "settings": {
            "clusterName": cluster_name,
            "clusterEndpoint": cluster_endpoint,
            "interruptionQueue": queue_name,
            "isolatedVPC": not region.has(Feature.PRICE_API),
            # Said in full, so that a new default of a later chart shows as a difference here.
            "featureGates": {
                "capacityBuffer": False,
                "nodeOverlay": False,
                "nodeRepair": False,
                "reservedCapacity": True,
                "spotToSpotConsolidation": False,
                "staticCapacity": False,
            },
        },
    }


def ec2_node_class(
    *,
    cluster_name: str,
    instance_profile: Any,
    ami_alias: str,
    tags: Mapping[str, str],
    reserved: bool,
) -> Object:
    """The EC2NodeClass: image, network, disk and identity of the GPU nodes.

    Args:
        cluster_name: value of the discovery tag.
        instance_profile: name of the profile; Karpenter then manages none (see
            karpenter_policies).
        ami_alias: ``al2023@v<date>``; resolves to the NVIDIA build for instances with GPUs. Pinned,
            because a newer one replaces nodes.
        tags: for instances, volumes and launch templates; the provider's default tags do not reach
            what Karpenter makes.
        reserved: also use capacity reservations that carry the discovery tag.
    """
    discovered = [{"tags": {DISCOVERY_TAG: cluster_name}}]
    reservations = {"capacityReservationSelectorTerms": discovered} if reserved else {}
    return {
        "apiVersion": "karpenter.k8s.aws/v1",
        "kind": "EC2NodeClass",
        "metadata": {"name": POOL_NAME},
        "spec": {
            "amiSelectorTerms": [{"alias": ami_alias}],
            "subnetSelectorTerms": discovered,
            "securityGroupSelectorTerms": discovered,
            **reservations,
            "instanceProfile": instance_profile,
            "blockDeviceMappings": [
                {
                    "deviceName": "/dev/xvda",
                    "ebs": {
                        # Images with CUDA and a framework are 10 GB each, unpacked twice that.
                        "volumeSize": "200Gi",
                        "volumeType": "gp3",
                        "encrypted": True,
                        "deleteOnTermination": True,
                    },
                }
            ],
            "metadataOptions": {
                "httpEndpoint": "enabled",
                "httpProtocolIPv6": "disabled",
                # A pod is one hop further away: it has its own identity and never the node's.
                "httpPutResponseHopLimit": 1,
                "httpTokens": "required",
            },
            "tags": dict(tags),
        },
    }


def gpu_node_pool(
    *,
    families: Sequence[str],
    capacity_types: Sequence[str],
    max_gpus: int,
    consolidate_after: str,
) -> Object:
    """The NodePool of GPU nodes: none until a pod asks for one, none again when the last is done.

    One pool for all families, not one per family with weights: the limit of a NodePool is the only
    cap Karpenter has, and with one pool per family demand beyond ``max_gpus`` would spill into the
    next dearer family, up to ``max_gpus`` again in each. Karpenter itself takes the cheapest type
    that fits, by live prices where there is a price API (for both China regions it is asked in
    Ningxia) and by the tables of its release elsewhere; each of these orders the default families
    as ``Region.gpu_families`` does. It also keeps Spot free to choose among all families. The order
    of ``families`` has no meaning to Karpenter.

    Args:
        families: EC2 instance families with NVIDIA GPUs.
        capacity_types: any of ``reserved``, ``spot``, ``on-demand``; Karpenter prefers them in this
            order.
        max_gpus: GPUs of all nodes together; Karpenter may pass it for a moment.
        consolidate_after: how long a node stays empty before it goes, ``5m``.
    """
    return {
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodePool",
        "metadata": {"name": POOL_NAME},
        "spec": {
            "template": {
                "metadata": {"labels": {GPU_LABEL: "true"}},
                "spec": {
                    "nodeClassRef": {
                        "group": "karpenter.k8s.aws",
                        "kind": "EC2NodeClass",
                        "name": POOL_NAME,
                    },
                    "taints": [{"key": GPU_RESOURCE, "value": "true", "effect": "NoSchedule"}],
                    "requirements": [
                        _one_of("kubernetes.io/arch", ["amd64"]),
                        _one_of("kubernetes.io/os", ["linux"]),
                        _one_of("karpenter.sh/capacity-type", capacity_types),
                        _one_of("karpenter.k8s.aws/instance-family", families),
                        # A pod that only tolerates the taint must not start a machine without GPU.
                        _one_of("karpenter.k8s.aws/instance-gpu-manufacturer", ["nvidia"]),
                    ],
                    # Since v1 expiry drains before there is a replacement: it would end training.
                    "expireAfter": "Never",
                    "terminationGracePeriod": f"{DRAIN_MINUTES}m",
                },
            },
            "limits": {GPU_RESOURCE: str(max_gpus)},
            "disruption": {
                "consolidationPolicy": "WhenEmpty",
                "consolidateAfter": consolidate_after,
                "budgets": [
                    # The default, a tenth at a time, keeps most empty machines on the bill.
                    {"nodes": "100%", "reasons": ["Empty"]},
                    # With a grace period set, drift would end even pods that ask not to be
                    # disrupted (Karpenter's disruption.md): a new AMI comes with the next fresh
                    # node instead.
                    {"nodes": "0", "reasons": ["Drifted"]},
                ],
            },
        },
    }


def _one_of(key: str, values: Sequence[str]) -> dict[str, Any]:
    return {"key": key, "operator": "In", "values": list(values)}


def unawaited(obj: Object) -> Object:
    """A device plugin object; its DaemonSet is one that nobody waits for.

    Its first pod can run only on the first GPU node, and that comes with the first pod that wants
    one. Which nodes it runs on is the overlay's business (manifests/addons/nvidia-device-plugin).
    """
    if obj.get("kind") != "DaemonSet":
        return obj
    metadata = cast(dict[str, Any], obj["metadata"])
    annotations = {**metadata.get("annotations", {}), "pulumi.com/skipAwait": "true"}
    return {**obj, "metadata": {**metadata, "annotations": annotations}}
