"""Our NodePool as the Beijing stack renders it, for the kwok provider's nodes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from components.gpu.chart import helm_values
from components.gpu.karpenter_objects import node_pool
from components.gpu.node_pools import Pool, pools_of
from regions.region import Region
from rendering import Object
from settings import Settings, from_stack_file
from settings.node_pools import GPU_POOL
from tests.test_program import ROOT

STACK = "cn-north-1"
NODE_CLASS: Object = {
    "apiVersion": "karpenter.kwok.sh/v1alpha1",
    "kind": "KWOKNodeClass",
    "metadata": {"name": GPU_POOL},
    # A GPU machine takes a minute or more from its launch to its node; it is the same minute for
    # everything measured here, and would only be waited for.
    "spec": {"nodeRegistrationDelay": "1s"},
}


def settings() -> Settings:
    return from_stack_file(ROOT / f"Pulumi.{STACK}.yaml")


def gpu_pool(**changed: Any) -> Pool:
    """The stack's GPU pool, with some of its fields replaced."""
    stack = settings()
    (pool,) = pools_of(stack, Region.of(stack.region))
    return replace(pool, **changed)


def rendered(**changed: Any) -> Object:
    """The NodePool of ``gpu_pool``."""
    return node_pool(gpu_pool(**changed))


def consolidating(pool: Object) -> Object:
    """The same NodePool with the policy that also moves pods, at any time."""
    disruption = {
        **pool["spec"]["disruption"],
        "consolidationPolicy": "WhenEmptyOrUnderutilized",
        "budgets": [{"nodes": "100%"}],
    }
    return {**pool, "spec": {**pool["spec"], "disruption": disruption}}


def on_kwok(pool: Object) -> Object:
    """The same NodePool; only the kind of its node class differs."""
    spec = pool["spec"]
    template = spec["template"]
    reference = {"group": "karpenter.kwok.sh", "kind": NODE_CLASS["kind"], "name": GPU_POOL}
    changed: dict[str, Any] = {**template["spec"], "nodeClassRef": reference}
    return {**pool, "spec": {**spec, "template": {**template, "spec": changed}}}


def chart_settings() -> dict[str, Any]:
    """What the stack's chart values tell Karpenter."""
    stack = settings()
    values = helm_values(
        region=Region.of(stack.region),
        version=stack.gpu_pool.karpenter_version,
        cluster_name="",
        cluster_endpoint="",
        queue_name="",
        role_arn="",
        registry=None,
        digest=None,
        asks_for_prices=True,
        node_overlays=False,
    )
    return values["settings"]
