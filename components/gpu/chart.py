"""Karpenter's Helm chart as data: the sources of chart and image, and the chart's values.

Pure. Values and defaults: aws/karpenter-provider-aws 1d92708, charts/karpenter/values.yaml. An
argument of type ``Any`` is a string or a Pulumi output of one, which passes through untouched.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from components.gpu.karpenter_objects import SERVICE_ACCOUNT
from images.reference import parse
from regions.region import Region

CHART = "public.ecr.aws/karpenter/karpenter"
CONTROLLER = "public.ecr.aws/karpenter/controller"


def controller_digest(images: Iterable[str]) -> str | None:
    """The digest of the controller's image among the images of a version's folder; None: none."""
    references = [parse(image) for image in images]
    return next((image.digest for image in references if image.name == CONTROLLER), None)


def location(name: str, registry: str | None) -> str:
    """The source of ``CHART`` or ``CONTROLLER``: its publisher, or its copy in ``registry``.

    The machine that runs Pulumi pulls the chart, with the login of ``helm registry login`` or of
    Docker: the provider cannot log in to OCI registries (pulumi-kubernetes #1914).
    """
    return name if registry is None else f"{registry}/{parse(name).mirrored_repository}"


def helm_values(
    *,
    region: Region,
    version: str,
    cluster_name: Any,
    cluster_endpoint: Any,
    queue_name: Any,
    role_arn: Any | None,
    repository: Any,
    digest: str | None,
    asks_for_prices: bool,
    node_overlays: bool,
) -> dict[str, Any]:
    """Values of the chart ``karpenter`` at ``version``.

    Args:
        region: of the cluster.
        version: of the chart, and the tag of the controller.
        cluster_name: of the nodes that Karpenter makes.
        cluster_endpoint: URL of the API server.
        queue_name: of the interruption queue.
        role_arn: role of the service account; None: an EKS Pod Identity association has it.
        repository: of the controller's image.
        digest: of that image; None: the chart's.
        asks_for_prices: False sets ``isolatedVPC``. Without a price API Karpenter uses the prices
            of its release (pkg/providers/pricing/pricing.go, UpdateOnDemandPricing) and of
            NodeOverlays; the flag also ends its search in IAM for instance profiles of others.
            China needs such NodeOverlays: the release's prices there are of 2024, and a type
            without a price is never launched.
        node_overlays: enables the alpha feature, for prices from a table and for slices of GPUs.
    """
    image = {"repository": repository, "tag": version}
    if digest is not None:
        image["digest"] = digest
    return {
        # Two, so that one can fail. The chart spreads them over hosts and zones.
        "replicas": 2,
        "serviceAccount": {
            "name": SERVICE_ACCOUNT,
            "annotations": {} if role_arn is None else {"eks.amazonaws.com/role-arn": role_arn},
        },
        "controller": {
            "image": image,
            # Pods reach no instance metadata (hop limit 1), and without a region the SDK calls the
            # global STS, which has no identities of China (karpenter #4658).
            "env": [{"name": "AWS_REGION", "value": region.name}],
            # No CPU limit: throttling of its scheduling simulation would delay launches.
            "resources": {
                "requests": {"cpu": "500m", "memory": "1Gi"},
                "limits": {"memory": "1Gi"},
            },
        },
        "settings": {
            "clusterName": cluster_name,
            "clusterEndpoint": cluster_endpoint,
            "interruptionQueue": queue_name,
            "isolatedVPC": not asks_for_prices,
            # Karpenter collects pods before it packs them on few machines; by default for up to ten
            # seconds while more arrive. GPU machines run one pod each (see
            # ``node_pools.cheapest_counts``), so that a longer wait saves no machine.
            "batchIdleDuration": "1s",
            "batchMaxDuration": "1500ms",
            # Complete, so that a new default of a later chart is a difference here.
            "featureGates": {
                "capacityBuffer": False,
                "nodeOverlay": node_overlays,
                "nodeRepair": False,
                "reservedCapacity": True,
                "spotToSpotConsolidation": False,
                "staticCapacity": False,
            },
        },
    }
