"""The device plugin on every kind of GPU node, and how it slices."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml

from components.gpu.karpenter_objects import node_pool
from components.gpu.node_pools import Pool
from components.gpu.software import device_plugin, on_gpu_pools, unawaited
from rendering import Object
from settings.node_pools import Taint
from tests.rendering.beijing import rendered

PLUGIN, EXPORTER = "addons/nvidia-device-plugin", "addons/dcgm-exporter"
WHOLE = Pool(families=["g4dn"], max_gpus=8)
SLICED = Pool(name="shared", families=["g4dn"], max_gpus=2, slices=4)
BOTTLEROCKET = Pool(name="b", families=["g5"], max_gpus=2, ami_alias="bottlerocket@v1.54.0")
CPUS = Pool(name="steps", families=["m5"], max_cpus=64, taints=())


def objects_of(add_on: str) -> list[Object]:
    return list(rendered(add_on).objects)


def plugins(*pools: Pool) -> list[Object]:
    return [obj for obj in device_plugin(objects_of(PLUGIN), pools) if obj["kind"] == "DaemonSet"]


def runs_on(plugin: Object, pool: Pool) -> bool:
    """Whether a DaemonSet's pods go to the nodes of a pool, by selector, affinity and taints."""
    pod = plugin["spec"]["template"]["spec"]
    template = node_pool(pool)["spec"]["template"]
    labels: dict[str, str] = template.get("metadata", {}).get("labels", {})
    if not pod["nodeSelector"].items() <= labels.items():
        return False
    required = pod.get("affinity", {}).get("nodeAffinity", {})
    for term in required.get("requiredDuringSchedulingIgnoredDuringExecution", {}).get(
        "nodeSelectorTerms", []
    ):
        for one in term["matchExpressions"]:
            if one["operator"] == "NotIn" and labels.get(one["key"]) in one["values"]:
                return False
            if one["operator"] == "DoesNotExist" and one["key"] in labels:
                return False
    tolerated = {(one["key"], one["effect"]) for one in pod["tolerations"]}
    return all((t["key"], t["effect"]) in tolerated for t in template["spec"].get("taints", ()))


@pytest.mark.parametrize(
    ("pool", "served_by"),
    [
        (WHOLE, ["nvidia-device-plugin-daemonset"]),
        (SLICED, ["nvidia-device-plugin-daemonset-slices-4"]),
        (BOTTLEROCKET, []),
        (CPUS, []),
    ],
    ids=["whole GPUs", "slices", "Bottlerocket", "no GPU"],
)
def test_every_gpu_node_has_exactly_one_device_plugin(pool: Pool, served_by: list[str]) -> None:
    found = plugins(WHOLE, SLICED, BOTTLEROCKET, CPUS)
    assert [one["metadata"]["name"] for one in found if runs_on(one, pool)] == served_by


def test_the_plugin_of_a_sliced_pool_reads_its_configuration() -> None:
    objects = device_plugin(objects_of(PLUGIN), [SLICED])
    (config,) = [obj for obj in objects if obj["kind"] == "ConfigMap"]
    assert yaml.safe_load(config["data"]["config.yaml"]) == {
        "version": "v1",
        "sharing": {
            "timeSlicing": {
                "renameByDefault": True,
                "failRequestsGreaterThanOne": True,
                "resources": [{"name": "nvidia.com/gpu", "replicas": 4}],
            }
        },
    }
    _, sliced = plugins(SLICED)
    pod = sliced["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert volumes["config"]["configMap"]["name"] == config["metadata"]["name"]
    assert config["metadata"]["namespace"] == sliced["metadata"]["namespace"]
    path = f"{mounts['config']}/config.yaml"
    assert {"name": "CONFIG_FILE", "value": path} in container["env"]
    assert mounts["kubelet-device-plugins-dir"] == "/var/lib/kubelet/device-plugins"


def test_each_plugin_selects_its_own_pods() -> None:
    selectors = [one["spec"]["selector"]["matchLabels"] for one in plugins(WHOLE, SLICED)]
    assert len({str(selector) for selector in selectors}) == 2
    for one in plugins(WHOLE, SLICED):
        template = one["spec"]["template"]
        assert one["spec"]["selector"]["matchLabels"] == template["metadata"]["labels"]


def test_pools_with_equally_many_slices_share_a_plugin() -> None:
    other = Pool(name="other", families=["g5"], max_gpus=1, slices=4)
    halves = Pool(name="halves", families=["g5"], max_gpus=1, slices=2)
    names = [one["metadata"]["name"] for one in plugins(SLICED, other, halves)]
    assert names == [
        "nvidia-device-plugin-daemonset",
        "nvidia-device-plugin-daemonset-slices-2",
        "nvidia-device-plugin-daemonset-slices-4",
    ]


@pytest.mark.parametrize("slices", [1, 4])
def test_the_plugin_goes_where_the_taints_of_a_pool_keep_others_away(slices: int) -> None:
    team = Pool(
        families=["g5"],
        max_gpus=1,
        slices=slices,
        taints=(Taint(key="team", value="a"), Taint(key="nvidia.com/gpu", value="true")),
    )
    assert [runs_on(one, team) for one in plugins(team)].count(True) == 1
    assert [one["key"] for one in plugins(team)[0]["spec"]["template"]["spec"]["tolerations"]] == [
        "nvidia.com/gpu",
        "team",
    ]


@pytest.mark.parametrize("pools", [[BOTTLEROCKET], [CPUS], []])
def test_without_a_node_for_it_there_is_no_plugin(pools: list[Pool]) -> None:
    assert device_plugin(objects_of(PLUGIN), pools) == []


TEAM = Pool(name="team", families=["g5"], max_gpus=1, taints=(Taint(key="team", value="a"),))


@pytest.mark.parametrize("pool", [WHOLE, SLICED, BOTTLEROCKET, TEAM], ids=lambda pool: pool.name)
def test_the_metrics_exporter_runs_on_every_gpu_node(pool: Pool) -> None:
    _, exporter = on_gpu_pools(objects_of(EXPORTER), [WHOLE, SLICED, BOTTLEROCKET, TEAM, CPUS])
    assert runs_on(exporter, pool)
    assert not runs_on(exporter, CPUS)


@pytest.mark.parametrize("pools", [[CPUS], []])
def test_without_gpus_there_are_no_metrics_of_them(pools: list[Pool]) -> None:
    assert on_gpu_pools(objects_of(EXPORTER), pools) == []


def test_what_was_rendered_stays_as_it_is() -> None:
    before = copy.deepcopy([objects_of(PLUGIN), objects_of(EXPORTER)])
    device_plugin(objects_of(PLUGIN), [WHOLE, SLICED])
    on_gpu_pools(objects_of(EXPORTER), [SLICED, TEAM])
    assert before == [objects_of(PLUGIN), objects_of(EXPORTER)]


DAEMON_SET: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "DaemonSet",
    "metadata": {"name": "plugin", "annotations": {"own": "kept"}},
    "spec": {"template": {}},
}


def test_pulumi_awaits_no_pod_of_the_device_plugin() -> None:
    rendered = copy.deepcopy(DAEMON_SET)
    annotations = unawaited(rendered)["metadata"]["annotations"]
    assert annotations == {"own": "kept", "pulumi.com/skipAwait": "true"}
    assert rendered == DAEMON_SET


def test_other_objects_of_the_device_plugin_stay_as_they_are() -> None:
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "plugin"}}
    assert unawaited(config) == config
