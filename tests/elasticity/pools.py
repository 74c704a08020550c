"""Our NodePool as the Beijing stack renders it, for the kwok provider's nodes."""

from __future__ import annotations

from typing import Any, Literal

from components.karpenter_objects import POOL_NAME, gpu_node_pool, helm_values
from components.region import Region
from components.settings import Settings, from_stack_file
from rendering import Object
from tests.test_program import ROOT

STACK = "cn-north-1"
NODE_CLASS: Object = {
    "apiVersion": "karpenter.kwok.sh/v1alpha1",
    "kind": "KWOKNodeClass",
    "metadata": {"name": POOL_NAME},
    # A GPU machine takes a minute or more from its launch to its node; it is the same minute for
    # everything measured here, and would only be waited for.
    "spec": {"nodeRegistrationDelay": "1s"},
}

CapacityType = Literal["on-demand", "spot", "reserved"]


def settings() -> Settings:
    return from_stack_file(ROOT / f"Pulumi.{STACK}.yaml")


def rendered(
    *,
    max_gpus: int | None = None,
    consolidate_after: str | None = None,
    capacity_types: list[CapacityType] | None = None,
) -> Object:
    """The stack's NodePool, with some of its settings replaced."""
    stack = settings()
    wanted = stack.gpu_pool
    return gpu_node_pool(
        families=wanted.families(Region.of(stack.region)),
        capacity_types=capacity_types or wanted.capacity_types,
        max_gpus=max_gpus or wanted.max_gpus,
        consolidate_after=consolidate_after or wanted.consolidate_after,
    )


def on_kwok(pool: Object) -> Object:
    """The same NodePool; only the kind of its node class differs."""
    spec = pool["spec"]
    template = spec["template"]
    reference = {"group": "karpenter.kwok.sh", "kind": NODE_CLASS["kind"], "name": POOL_NAME}
    changed: dict[str, Any] = {**template["spec"], "nodeClassRef": reference}
    return {**pool, "spec": {**spec, "template": {**template, "spec": changed}}}


def gates() -> dict[str, bool]:
    """Karpenter's feature gates as the stack's chart values have them."""
    stack = settings()
    values = helm_values(
        region=Region.of(stack.region),
        version=stack.gpu_pool.karpenter_version,
        cluster_name="",
        cluster_endpoint="",
        queue_name="",
        role_arn="",
        repository="",
    )
    return values["settings"]["featureGates"]
