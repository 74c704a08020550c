"""Karpenter's Helm chart as data: where it and its image come from, and its values.

Pure. Values and defaults: aws/karpenter-provider-aws 1d92708, charts/karpenter/values.yaml. Where
an argument is typed ``Any`` it is a string or a Pulumi output of one: a value that exists only
after creation passes through untouched.
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
    return next((found.digest for found in references if found.name == CONTROLLER), None)


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
    role_arn: Any | None,
    repository: Any,
    digest: str | None,
    asks_for_prices: bool,
    node_overlays: bool,
) -> dict[str, Any]:
    """Values of the chart ``karpenter`` at ``version``.

    Args:
        region: where it runs.
        version: of the chart, and the tag of the controller.
        cluster_name: whose nodes it makes.
        cluster_endpoint: URL of the API server.
        queue_name: of the interruption queue.
        role_arn: role of the service account; None: an EKS Pod Identity association says it.
        repository: of the controller's image.
        digest: of that image; None: the one its chart has.
        asks_for_prices: False sets ``isolatedVPC``. Without a price API Karpenter works with the
            prices of its release (pkg/providers/pricing/pricing.go, UpdateOnDemandPricing), and
            with those of NodeOverlays; the flag also ends its search in IAM for instance profiles
            it does not own. In China it needs such NodeOverlays: the release's prices there are of
            2024, and what has no price is never launched.
        node_overlays: turns the alpha feature on, for prices of our own and for slices of GPUs.
    """
    image = {"repository": repository, "tag": version}
    if digest is not None:
        image["digest"] = digest
    return {
        # Two, so that one can fail. The chart wants them on two hosts and spread over the zones.
        "replicas": 2,
        "serviceAccount": {
            "name": SERVICE_ACCOUNT,
            "annotations": {} if role_arn is None else {"eks.amazonaws.com/role-arn": role_arn},
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
            "isolatedVPC": not asks_for_prices,
            # Karpenter gathers pods that arrive together, to pack them on few machines; by default
            # for up to ten seconds as long as more arrive. GPU machines hold one pod each (see
            # ``node_pools.cheapest_counts``), so that waiting longer packs nothing better.
            "batchIdleDuration": "1s",
            "batchMaxDuration": "1500ms",
            # Said in full, so that a new default of a later chart shows as a difference here.
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
