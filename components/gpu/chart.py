"""Karpenter's Helm chart as data: the sources of chart and image, and its values (``chart.yaml``).

An argument of type ``Any`` is a string or a Pulumi output of one.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from components.gpu.karpenter_objects import SERVICE_ACCOUNT
from components.objects.kubernetes_objects import bind
from images.reference import parse
from regions.region import Region

CONTROLLER = "public.ecr.aws/karpenter/controller"
_VALUES = Path(__file__).with_suffix(".yaml")


def controller_digest(images: Iterable[str]) -> str | None:
    """The digest of the controller's image among the images of a version's folder; None: none."""
    references = [parse(image) for image in images]
    return next((image.digest for image in references if image.name == CONTROLLER), None)


def helm_values(
    *,
    region: Region,
    version: str,
    cluster_name: Any,
    cluster_endpoint: Any,
    queue_name: Any,
    role_arn: Any | None,
    registry: str | None,
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
        registry: of the copy of the controller's image; None: its publisher's.
        digest: of that image; None: the chart's.
        asks_for_prices: False sets ``isolatedVPC``. Without a price API Karpenter uses the prices
            of its release (pkg/providers/pricing/pricing.go, UpdateOnDemandPricing) and of
            NodeOverlays; the flag also ends its search in IAM for instance profiles of others.
            China needs such NodeOverlays: the release's prices there are of 2024, and a type
            without a price is never launched.
        node_overlays: enables the alpha feature, for prices from a table and for slices of GPUs.
    """
    copy = parse(CONTROLLER).mirrored_repository
    inserted = {
        "service-account": SERVICE_ACCOUNT,
        "repository": CONTROLLER if registry is None else f"{registry}/{copy}",
        "version": version,
        "region": region.name,
        "cluster": cluster_name,
        "endpoint": cluster_endpoint,
        "queue": queue_name,
    }
    values = bind(yaml.safe_load(_VALUES.read_text("utf-8")), inserted)
    if role_arn is not None:
        values["serviceAccount"]["annotations"]["eks.amazonaws.com/role-arn"] = role_arn
    if digest is not None:
        values["controller"]["image"]["digest"] = digest
    values["settings"]["isolatedVPC"] = not asks_for_prices
    values["settings"]["featureGates"]["nodeOverlay"] = node_overlays
    return values
