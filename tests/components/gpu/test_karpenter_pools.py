"""The pools as they are registered: machines, limits, slices and prices."""

from __future__ import annotations

import json

import pytest

from tests.components.gpu.simulated_karpenter import (
    DAEMON_SET,
    NODE_CLASS,
    NODE_OVERLAY,
    NODE_POOL,
    POOL,
    RELEASE,
    SLICED,
    STEPS,
    made_in,
    names,
)
from tests.harness import REGIONS


def test_the_settings_of_the_pool_reach_its_objects() -> None:
    changed = made_in(
        "cn-north-1",
        instanceFamilies=["g5"],
        capacityTypes=["spot", "reserved"],
        maxGpus=32,
        consolidateAfter="1m",
        amiAlias="al2023@v20260801",
    )
    spec = changed.only(NODE_POOL).inputs["spec"]
    requirements = {one["key"]: one["values"] for one in spec["template"]["spec"]["requirements"]}
    assert requirements["karpenter.k8s.aws/instance-family"] == ["g5"]
    assert requirements["karpenter.sh/capacity-type"] == ["spot", "reserved"]
    assert spec["limits"] == {"nvidia.com/gpu": "32"}
    assert spec["disruption"]["consolidateAfter"] == "1m"
    node_class = changed.only(NODE_CLASS).inputs["spec"]
    assert node_class["amiSelectorTerms"] == [{"alias": "al2023@v20260801"}]
    assert "capacityReservationSelectorTerms" in node_class


def test_a_further_pool_has_machines_and_limits_of_its_own() -> None:
    made = made_in("cn-north-1", STEPS)
    assert names(made.of(NODE_POOL)) == ["node-pool", "node-pool-steps"]
    steps = made.only(NODE_POOL, f"{POOL}-node-pool-steps")
    assert steps.inputs["spec"]["limits"] == {"cpu": "64"}
    assert (NODE_CLASS, f"{POOL}-node-class-steps") in made.dependencies_of(steps)
    node_class = made.only(NODE_CLASS, f"{POOL}-node-class-steps").inputs
    assert node_class["metadata"]["name"] == "steps"
    assert node_class["spec"]["instanceProfile"]


@pytest.mark.parametrize(("pools", "capacity"), [(STEPS, "on-demand"), ({}, "spot")])
def test_spot_in_any_pool_lets_the_controller_make_the_spot_role(
    pools: dict[str, object], capacity: str
) -> None:
    made = made_in("cn-north-1", pools, capacityTypes=[capacity])
    policy = made.only("aws:iam/policy:Policy", f"{POOL}-node-identity")
    sids = [statement["Sid"] for statement in json.loads(policy.inputs["policy"])["Statement"]]
    assert sids == ["AllowPassingInstanceRole", "AllowSpotServiceLinkedRole"]


def test_overlays_of_slices_precede_the_pool() -> None:
    made = made_in("cn-north-1", SLICED)
    assert made.only(RELEASE).inputs["values"]["settings"]["featureGates"]["nodeOverlay"] is True
    needs = made.dependencies_of(made.only(NODE_POOL, f"{POOL}-node-pool-shared"))
    overlays = {(NODE_OVERLAY, one.name) for one in made.of(NODE_OVERLAY)}
    assert len(overlays) == 5
    assert overlays <= needs


def test_a_sliced_pool_has_a_device_plugin_with_its_configuration() -> None:
    made = made_in("cn-north-1", SLICED, mirrored=True)
    assert names(made.of(DAEMON_SET)) == [
        "plugin-daemonset-nvidia-device-plugin",
        "plugin-daemonset-nvidia-device-plugin-slices-4",
    ]
    sliced = made.only(DAEMON_SET, f"{POOL}-plugin-daemonset-nvidia-device-plugin-slices-4")
    (container,) = sliced.inputs["spec"]["template"]["spec"]["containers"]
    assert container["image"] == (
        "111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn/kubeflow/nvcr.io/plugin:1"
    )
    config = "kubernetes:core/v1:ConfigMap"
    assert (config, made.only(config).name) in made.dependencies_of(sliced)


def test_pools_of_bottlerocket_need_no_device_plugin_of_ours() -> None:
    made = made_in("cn-north-1", mirrored=True, amiAlias="bottlerocket@v1.54.0")
    assert made.none(DAEMON_SET)


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("enabled", [True, False])
def test_gpus_have_metrics_where_the_stack_asks_for_them(region: str, enabled: bool) -> None:
    made = made_in(region, mirrored=True, dcgmExporter=enabled)
    found = [name for name in names(made.all) if name.startswith("exporter-")]
    asked = ["exporter-daemonset-dcgm-exporter", "exporter-service-dcgm-exporter"]
    assert sorted(found) == (asked if enabled else [])
    for name in found:
        (one,) = [each for each in made.all if each.name == f"{POOL}-{name}"]
        assert one.inputs["metadata"]["annotations"]["pulumi.com/skipAwait"] == "true"


def test_prices_from_a_table_replace_the_price_api() -> None:
    made = made_in("cn-north-1", prices="table")
    overlays = {one.inputs["metadata"]["name"]: one for one in made.of(NODE_OVERLAY)}
    assert overlays["price-of-g4dn-xlarge"].inputs["spec"]["price"] == "5.223"
    settings = made.only(RELEASE).inputs["values"]["settings"]
    assert (settings["isolatedVPC"], settings["featureGates"]["nodeOverlay"]) == (True, True)
    policy = made.only("aws:iam/policy:Policy", f"{POOL}-resource-discovery")
    assert "pricing:" not in policy.inputs["policy"]


@pytest.mark.parametrize("region", REGIONS)
def test_without_slices_and_tables_there_is_no_overlay(region: str) -> None:
    made = made_in(region, STEPS)
    assert made.none(NODE_OVERLAY)
    settings = made.only(RELEASE).inputs["values"]["settings"]
    assert settings["featureGates"]["nodeOverlay"] is False


def test_subnets_and_security_groups_are_chosen_by_id_since_clusters_share_subnets() -> None:
    spec = made_in("cn-north-1").only(NODE_CLASS).inputs["spec"]
    assert spec["subnetSelectorTerms"] == [{"id": "subnet-1"}, {"id": "subnet-2"}]
    assert spec["securityGroupSelectorTerms"] == [{"id": "sg-1"}]
