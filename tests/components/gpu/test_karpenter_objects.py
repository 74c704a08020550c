"""The pools and their machines, as data."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest
import yaml

from components.gpu import karpenter_objects as objects
from components.gpu.node_pools import Pool, pools_of
from regions.region import Region
from settings import MANIFESTS, from_mapping
from tests.harness import REGIONS

# Rules of the two CRDs that a plan must not break (x-kubernetes-validations of 1.14.1).
RESERVED_TAGS = re.compile(
    r"eks:eks-cluster-name|kubernetes\.io/cluster|karpenter\.sh/node(pool|claim)"
    r"|karpenter\.k8s\.aws/ec2nodeclass"
)
DURATION = re.compile(r"(([0-9]+(s|m|h))+)|Never")


def _node_class(**changed: Any) -> dict[str, Any]:
    pool = Pool(families=["g4dn"], max_gpus=8, **changed)
    return objects.ec2_node_class(
        pool,
        cluster_name="research",
        subnets=[{"id": "subnet-1"}],
        security_group="sg-1",
        instance_profile="profile",
        tags={"team": "ml"},
    )


def _pool(**changed: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "families": ["g4dn", "g5"],
        "capacity_types": ["on-demand"],
        "max_gpus": 8,
        "consolidate_after": "5m",
    }
    return objects.node_pool(Pool(**{**given, **changed}))


def _requirements(pool: dict[str, Any]) -> dict[str, list[str]]:
    found = pool["spec"]["template"]["spec"]["requirements"]
    return {one["key"]: one["values"] for one in found if one["operator"] == "In"}


def test_a_node_class_names_an_existing_profile_and_no_role() -> None:
    spec = _node_class()["spec"]
    assert spec["instanceProfile"] == "profile"
    assert "role" not in spec


def test_the_machine_image_is_pinned() -> None:
    terms = _node_class(ami_alias="al2023@v20260714")["spec"]["amiSelectorTerms"]
    assert terms == [{"alias": "al2023@v20260714"}]


@pytest.mark.parametrize("kind", ["reserved", "on-demand"])
def test_capacity_reservations_are_a_capacity_type_and_found_by_the_tag_of_the_cluster(
    kind: str,
) -> None:
    terms = _node_class(capacity_types=[kind])["spec"].get("capacityReservationSelectorTerms")
    own = [{"tags": {"karpenter.sh/discovery": "research"}}]
    assert terms == (own if kind == "reserved" else None)


def test_the_disk_is_large_and_encrypted_and_goes_with_the_machine() -> None:
    (disk,) = _node_class()["spec"]["blockDeviceMappings"]
    assert disk["deviceName"] == "/dev/xvda"
    assert disk["ebs"] == {
        "volumeSize": "200Gi",
        "volumeType": "gp3",
        "encrypted": True,
        "deleteOnTermination": True,
    }


def test_pods_cannot_take_the_identity_of_their_node() -> None:
    metadata = _node_class()["spec"]["metadataOptions"]
    assert metadata["httpTokens"] == "required"
    assert metadata["httpPutResponseHopLimit"] == 1


def test_machines_carry_our_tags_and_none_that_karpenter_keeps_for_itself() -> None:
    tags = _node_class()["spec"]["tags"]
    assert tags == {"team": "ml"}
    assert not [key for key in tags if RESERVED_TAGS.match(key)]


def test_the_pool_starts_at_zero_and_ends_at_the_given_number_of_gpus() -> None:
    spec = _pool(max_gpus=3)["spec"]
    assert spec["limits"] == {"nvidia.com/gpu": "3"}
    assert "replicas" not in spec


@pytest.mark.parametrize("name", REGIONS)
def test_the_pool_takes_the_gpu_families_of_its_region(name: str) -> None:
    families = Region.of(name).gpu_families
    requirements = _requirements(_pool(families=families))
    assert requirements["karpenter.k8s.aws/instance-family"] == list(families)
    assert families[0] == "g4dn"


def test_only_nvidia_machines_of_the_capacity_types_are_launched() -> None:
    requirements = _requirements(_pool(capacity_types=["spot", "on-demand"]))
    assert requirements["karpenter.sh/capacity-type"] == ["spot", "on-demand"]
    assert requirements["kubernetes.io/arch"] == ["amd64"]
    assert requirements["karpenter.k8s.aws/instance-gpu-manufacturer"] == ["nvidia"]


def test_pods_without_a_toleration_stay_off_gpu_nodes() -> None:
    template = _pool()["spec"]["template"]
    taint = {"key": "nvidia.com/gpu", "value": "true", "effect": "NoSchedule"}
    assert template["spec"]["taints"] == [taint]


def test_nodes_carry_the_label_the_device_plugin_selects() -> None:
    overlay = MANIFESTS / "addons/nvidia-device-plugin/gpu-nodes-only.yaml"
    pod = yaml.safe_load(overlay.read_text("utf-8"))["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == _pool()["spec"]["template"]["metadata"]["labels"]


def test_a_node_goes_only_when_it_is_empty() -> None:
    disruption = _pool(consolidate_after="90s")["spec"]["disruption"]
    assert disruption["consolidationPolicy"] == "WhenEmpty"
    assert disruption["consolidateAfter"] == "90s"
    assert disruption["budgets"] == [
        {"nodes": "100%", "reasons": ["Empty"]},
        {"nodes": "0", "reasons": ["Drifted"]},
    ]


def test_training_is_not_ended_by_the_age_of_its_node() -> None:
    spec = _pool()["spec"]["template"]["spec"]
    assert spec["expireAfter"] == "Never"
    assert DURATION.fullmatch(spec["terminationGracePeriod"])


def test_the_pool_refers_to_its_node_class() -> None:
    reference = _pool()["spec"]["template"]["spec"]["nodeClassRef"]
    node_class = _node_class()
    group = node_class["apiVersion"].split("/")[0]
    assert reference == {
        "group": group,
        "kind": node_class["kind"],
        "name": node_class["metadata"]["name"],
    }


def test_fast_disks_of_the_machine_itself_are_used() -> None:
    assert _node_class()["spec"]["instanceStorePolicy"] == "RAID0"


@pytest.mark.parametrize(
    ("alias", "disks"),
    [
        ("al2023@v20260714", {"/dev/xvda": "300Gi"}),
        ("bottlerocket@v1.54.0", {"/dev/xvda": "4Gi", "/dev/xvdb": "300Gi"}),
    ],
)
def test_images_lie_on_the_disk_where_the_system_looks_for_them(
    alias: str, disks: dict[str, str]
) -> None:
    found = _node_class(ami_alias=alias, disk_gib=300)["spec"]["blockDeviceMappings"]
    assert {disk["deviceName"]: disk["ebs"]["volumeSize"] for disk in found} == disks
    assert all(disk["ebs"]["encrypted"] for disk in found)


def test_bottlerocket_slices_by_its_own_settings() -> None:
    spec = _node_class(ami_alias="bottlerocket@v1.54.0", slices=4)["spec"]
    plugin = tomllib.loads(spec["userData"])["settings"]["kubelet-device-plugins"]["nvidia"]
    assert plugin == {
        "device-sharing-strategy": "time-slicing",
        "time-slicing": {
            "replicas": 4,
            "rename-by-default": True,
            "fail-requests-greater-than-one": True,
        },
    }


@pytest.mark.parametrize(
    ("alias", "slices"), [("al2023@v20260714", 4), ("bottlerocket@v1.54.0", 1)]
)
def test_other_nodes_need_no_user_data(alias: str, slices: int) -> None:
    assert "userData" not in _node_class(ami_alias=alias, slices=slices)["spec"]


# -- further pools --------------------------------------------------------------------------------


def _further(**settings: Any) -> dict[str, Any]:
    """The NodePool ``more`` of a Beijing stack with these settings."""
    found = from_mapping({"region": "cn-north-1", "nodePools": {"more": settings}})
    (more,) = [p for p in pools_of(found, Region.of("cn-north-1")) if p.name == "more"]
    return objects.node_pool(more)


def test_a_pool_without_gpus_has_no_taint_and_no_machine_with_one() -> None:
    pool = _further(maxCpus=64, capacityTypes=["spot"])
    spec = pool["spec"]["template"]["spec"]
    assert "taints" not in spec
    assert "metadata" not in pool["spec"]["template"]
    assert pool["spec"]["limits"] == {"cpu": "64"}
    manufacturer = "karpenter.k8s.aws/instance-gpu-manufacturer"
    assert {"key": manufacturer, "operator": "DoesNotExist"} in spec["requirements"]
    assert _requirements(pool)["karpenter.k8s.aws/instance-category"] == ["c", "m", "r"]


def test_a_pool_of_gpus_is_what_gpu_pool_would_be() -> None:
    more = _further(maxGpus=8)
    assert more.pop("metadata") == {"name": "more"}
    first = _pool(families=["g4dn", "g5", "p3"])
    first["spec"]["template"]["spec"]["nodeClassRef"]["name"] = "more"
    assert more["spec"] == first["spec"]


@pytest.mark.parametrize(
    ("setting", "requirement"),
    [
        ({"gpuNames": ["t4"]}, ("instance-gpu-name", "In", ["t4"])),
        ({"gpuCounts": [1, 4]}, ("instance-gpu-count", "In", ["1", "4"])),
        # EC2 has 22888 MiB for an A10G of 24 GB, and 16384 for a T4 of 16.
        ({"minGpuMemoryGb": 24}, ("instance-gpu-memory", "Gt", ["22887"])),
        ({"minGpuMemoryGb": 16}, ("instance-gpu-memory", "Gt", ["15257"])),
        ({"instanceFamilies": ["g5"]}, ("instance-family", "In", ["g5"])),
    ],
)
def test_gpus_are_chosen_by_name_number_and_memory(
    setting: dict[str, Any], requirement: tuple[str, str, list[str]]
) -> None:
    key, operator, values = requirement
    found = _further(maxGpus=8, **setting)["spec"]["template"]["spec"]["requirements"]
    expected = {"key": f"karpenter.k8s.aws/{key}", "operator": operator, "values": values}
    assert expected in found


@pytest.mark.parametrize(
    ("setting", "place", "value"),
    [
        (
            {"taints": [{"key": "team", "value": "a"}]},
            "template.spec.taints",
            [{"key": "team", "value": "a", "effect": "NoSchedule"}],
        ),
        ({"labels": {"team": "a"}}, "template.metadata.labels.team", "a"),
        (
            {"consolidationPolicy": "Balanced"},
            "disruption.budgets",
            [
                {"nodes": "100%", "reasons": ["Empty"]},
                {"nodes": "0", "reasons": ["Drifted"]},
                {"nodes": "10%", "reasons": ["Underutilized"]},
            ],
        ),
        ({"consolidationPolicy": "Balanced"}, "disruption.consolidationPolicy", "Balanced"),
        ({"consolidateAfter": "30s"}, "disruption.consolidateAfter", "30s"),
        (
            {"budgets": [{"nodes": "1", "schedule": "0 1 * * *", "duration": "8h"}]},
            "disruption.budgets",
            [{"nodes": "1", "schedule": "0 1 * * *", "duration": "8h"}],
        ),
        ({"expireAfter": "720h"}, "template.spec.expireAfter", "720h"),
        ({"terminationMinutes": 5}, "template.spec.terminationGracePeriod", "5m"),
        ({"weight": 10}, "weight", 10),
    ],
)
def test_every_setting_of_a_pool_reaches_its_place(
    setting: dict[str, Any], place: str, value: object
) -> None:
    found: Any = _further(maxGpus=8, **setting)["spec"]
    for part in place.split("."):
        found = found[part]
    assert found == value


def test_a_sliced_pool_counts_slices_and_marks_its_nodes_for_the_device_plugin() -> None:
    pool = _further(maxGpus=2, slices=4)
    assert pool["spec"]["limits"] == {"nvidia.com/gpu.shared": "8"}
    assert pool["spec"]["template"]["metadata"]["labels"] == {
        "nvidia.com/gpu.present": "true",
        "nvidia.com/device-plugin.config": "slices-4",
    }


@pytest.mark.parametrize("region", REGIONS)
def test_by_default_a_machine_has_one_gpu_so_that_trials_never_share_a_dear_one(
    region: str,
) -> None:
    (pool,) = pools_of(from_mapping({"region": region}), Region.of(region))
    assert pool.gpu_counts == (1,)


@pytest.mark.parametrize(
    ("settings", "counts"),
    [
        ({"gpuCounts": []}, ()),
        ({"gpuCounts": [4, 8]}, (4, 8)),
        ({"instanceFamilies": ["p5"]}, (1,)),
        # p4d has machines with eight GPUs only.
        ({"instanceFamilies": ["g5", "p4d"]}, ()),
    ],
)
def test_larger_machines_are_used_only_on_request(
    settings: dict[str, Any], counts: tuple[int, ...]
) -> None:
    (pool,) = pools_of(
        from_mapping({"region": "us-west-2", "gpuPool": settings}), Region.of("us-west-2")
    )
    assert pool.gpu_counts == counts


@pytest.mark.parametrize(
    ("slices", "resource"), [(1, "nvidia.com/gpu"), (4, "nvidia.com/gpu.shared")]
)
def test_the_taint_has_the_name_of_the_requested_resource(slices: int, resource: str) -> None:
    pool = _further(maxGpus=2, slices=slices)
    taint = {"key": resource, "value": "true", "effect": "NoSchedule"}
    assert pool["spec"]["template"]["spec"]["taints"] == [taint]


@pytest.mark.parametrize("slices", [1, 4])
def test_nodes_of_bottlerocket_are_left_out_by_the_device_plugin(slices: int) -> None:
    pool = _further(maxGpus=2, slices=slices, amiAlias="bottlerocket@v1.54.0")
    assert pool["spec"]["template"]["metadata"]["labels"] == {
        "nvidia.com/gpu.present": "true",
        "nvidia.com/gpu.deploy.device-plugin": "false",
    }


def test_a_pool_has_the_machine_image_of_the_gpu_pool_or_its_own() -> None:
    settings = from_mapping(
        {
            "region": "cn-north-1",
            "gpuPool": {"amiAlias": "al2023@v20260801"},
            "nodePools": {
                "same": {"maxGpus": 1},
                "own": {"maxGpus": 1, "amiAlias": "bottlerocket@v1.54.0"},
            },
        }
    )
    aliases = {p.name: p.ami_alias for p in pools_of(settings, Region.of("cn-north-1"))}
    assert aliases == {
        "gpu": "al2023@v20260801",
        "own": "bottlerocket@v1.54.0",
        "same": "al2023@v20260801",
    }


def test_without_karpenter_there_are_no_pools() -> None:
    settings = from_mapping({"region": "cn-north-1", "gpuPool": {"enabled": False}})
    assert pools_of(settings, Region.of("cn-north-1")) == ()
