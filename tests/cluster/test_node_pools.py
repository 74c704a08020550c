"""Every kind of pool a stack file can ask for, judged by Karpenter's own CRDs and their rules."""

from __future__ import annotations

from typing import Any

import pytest

from components.gpu.karpenter_objects import node_pool
from components.gpu.karpenter_pools import overlays_of
from components.gpu.node_pools import pools_of
from components.gpu.software import device_plugin, on_gpu_pools
from regions.region import Region
from settings import from_mapping
from tests.cluster.client import Refused
from tests.cluster.conftest import CURRENT, NewCluster
from tests.cluster.node_classes import node_class_of
from tests.rendering.beijing import rendered

pytestmark = pytest.mark.parametrize("version", CURRENT, indirect=True, scope="session")

POOLS: dict[str, Any] = {
    "steps": {"maxCpus": 64, "capacityTypes": ["spot"], "instanceFamilies": ["m5", "c5"]},
    "shared": {"maxGpus": 2, "instanceFamilies": ["g4dn"], "slices": 4},
    "rocket": {"maxGpus": 2, "slices": 2, "gpuCounts": [1], "amiAlias": "bottlerocket@v1.54.0"},
    "kept": {
        "maxGpus": 8,
        "gpuNames": ["v100"],
        "minGpuMemoryGb": 16,
        "capacityTypes": ["reserved", "on-demand"],
        "taints": [{"key": "team", "effect": "NoExecute"}],
        "labels": {"example.com/team": "a"},
        "consolidationPolicy": "Balanced",
        "budgets": [
            {"nodes": "1"},
            {"nodes": "0", "reasons": ["Drifted"], "schedule": "0 1 * * 1-5", "duration": "10h"},
        ],
        "expireAfter": "720h",
        "terminationMinutes": 5,
        "weight": 10,
        "diskGib": 500,
    },
}


def test_every_kind_of_pool_is_accepted_and_a_misspelt_field_is_not(
    new_cluster: NewCluster,
) -> None:
    region = Region.of("cn-north-1")
    settings = from_mapping(
        {"region": region.name, "gpuPool": {"prices": "table"}, "nodePools": POOLS}
    )
    pools = pools_of(settings, region)
    classes = [node_class_of(pool) for pool in pools]
    overlays = overlays_of(pools, settings.gpu_pool.prices, region)
    assert len(overlays) > 20
    node_pools = [node_pool(pool) for pool in pools]
    plugin = device_plugin(list(rendered("addons/nvidia-device-plugin").objects), pools)
    exporter = on_gpu_pools(list(rendered("addons/dcgm-exporter").objects), pools)
    with new_cluster("node-pools") as made:
        made.crds(rendered("addons/karpenter-1.14.1").crds)
        made.apply_all([*classes, *overlays, *node_pools, *plugin, *exporter])
        for obj in [*classes, *node_pools]:
            assert made.cluster.read(obj)["spec"].items() >= obj["spec"].items()
        wrong = {**node_pools[0], "spec": {**node_pools[0]["spec"], "wieght": 1}}
        with pytest.raises(Refused, match=r"NodePool .*\.spec\.wieght"):
            made.apply(wrong)
