"""The pool, its machines and Karpenter's own installation, as data."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
import yaml

from components import karpenter_objects as objects
from components.region import Region
from components.settings import MANIFESTS
from tests.harness import REGIONS

REGISTRY = "111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn/kubeflow"
DIGEST = "sha256:723130949e4cab989461ff07d1be4cd781d63515432494641b33c235f300ae23"

# Rules of the two CRDs that a plan must not break (x-kubernetes-validations of 1.14.1).
RESERVED_TAGS = re.compile(
    r"eks:eks-cluster-name|kubernetes\.io/cluster|karpenter\.sh/node(pool|claim)"
    r"|karpenter\.k8s\.aws/ec2nodeclass"
)
DURATION = re.compile(r"(([0-9]+(s|m|h))+)|Never")


def _node_class(**changed: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "cluster_name": "kubeflow",
        "instance_profile": "profile",
        "ami_alias": "al2023@v20260714",
        "tags": {"team": "ml"},
        "reserved": False,
    }
    return objects.ec2_node_class(**{**given, **changed})


def _pool(**changed: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "families": ["g4dn", "g5"],
        "capacity_types": ["on-demand"],
        "max_gpus": 8,
        "consolidate_after": "5m",
    }
    return objects.gpu_node_pool(**{**given, **changed})


def _requirements(pool: dict[str, Any]) -> dict[str, list[str]]:
    found = pool["spec"]["template"]["spec"]["requirements"]
    assert {one["operator"] for one in found} == {"In"}
    assert all(one["values"] for one in found)
    return {one["key"]: one["values"] for one in found}


def _values(region: str = "cn-north-1", version: str = "1.14.1") -> dict[str, Any]:
    return objects.helm_values(
        region=Region.of(region),
        version=version,
        cluster_name="kubeflow",
        cluster_endpoint="https://cluster.example",
        queue_name="queue",
        role_arn="arn:of:role",
        repository=objects.controller_repository(REGISTRY),
    )


def test_a_node_class_names_an_existing_profile_and_no_role() -> None:
    spec = _node_class()["spec"]
    assert spec["instanceProfile"] == "profile"
    assert "role" not in spec


def test_the_machine_image_is_pinned() -> None:
    terms = _node_class(ami_alias="al2023@v20260714")["spec"]["amiSelectorTerms"]
    assert terms == [{"alias": "al2023@v20260714"}]


def test_subnets_and_security_groups_are_found_by_the_tag_of_the_cluster() -> None:
    spec = _node_class(cluster_name="research")["spec"]
    wanted = [{"tags": {"karpenter.sh/discovery": "research"}}]
    assert spec["subnetSelectorTerms"] == spec["securityGroupSelectorTerms"] == wanted


@pytest.mark.parametrize("reserved", [True, False])
def test_capacity_reservations_are_used_only_if_asked_for(reserved: bool) -> None:
    spec = _node_class(reserved=reserved)["spec"]
    assert ("capacityReservationSelectorTerms" in spec) == reserved


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
    tags = _node_class(tags={"team": "ml"})["spec"]["tags"]
    assert tags == {"team": "ml"}
    assert not [key for key in tags if RESERVED_TAGS.match(key)]


def test_the_pool_starts_at_zero_and_ends_at_the_given_number_of_gpus() -> None:
    spec = _pool(max_gpus=3)["spec"]
    assert spec["limits"] == {"nvidia.com/gpu": "3"}
    assert "replicas" not in spec


@pytest.mark.parametrize("name", REGIONS)
def test_the_pool_takes_the_gpu_families_of_its_region(name: str) -> None:
    families = Region.of(name).gpu_families
    wanted = _requirements(_pool(families=families))
    assert wanted["karpenter.k8s.aws/instance-family"] == list(families)
    assert families[0] == "g4dn"


def test_only_nvidia_machines_of_the_wanted_kind_are_launched() -> None:
    wanted = _requirements(_pool(capacity_types=["spot", "on-demand"]))
    assert wanted["karpenter.sh/capacity-type"] == ["spot", "on-demand"]
    assert wanted["kubernetes.io/arch"] == ["amd64"]
    assert wanted["karpenter.k8s.aws/instance-gpu-manufacturer"] == ["nvidia"]


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


def test_the_controller_runs_twice_under_the_given_role() -> None:
    values = _values()
    assert values["replicas"] == 2
    assert values["serviceAccount"] == {
        "name": "karpenter",
        "annotations": {"eks.amazonaws.com/role-arn": "arn:of:role"},
    }


@pytest.mark.parametrize("name", REGIONS)
def test_the_controller_knows_its_region_without_instance_metadata(name: str) -> None:
    assert _values(name)["controller"]["env"] == [{"name": "AWS_REGION", "value": name}]


@pytest.mark.parametrize(
    ("name", "isolated"),
    [
        ("cn-north-1", False),
        ("cn-northwest-1", False),
        ("us-west-2", False),
        ("us-gov-west-1", True),
    ],
)
def test_prices_are_frozen_only_where_there_is_no_price_api(name: str, isolated: bool) -> None:
    assert _values(name)["settings"]["isolatedVPC"] is isolated


def test_the_controller_serves_this_cluster_and_its_queue() -> None:
    settings = _values()["settings"]
    assert settings["clusterName"] == "kubeflow"
    assert settings["clusterEndpoint"] == "https://cluster.example"
    assert settings["interruptionQueue"] == "queue"


def test_no_alpha_feature_is_on() -> None:
    gates = _values()["settings"]["featureGates"]
    assert [name for name, on in gates.items() if on] == ["reservedCapacity"]


def test_the_controller_image_is_pulled_by_digest_from_the_mirror() -> None:
    image = _values()["controller"]["image"]
    assert image == {
        "repository": f"{REGISTRY}/public.ecr.aws/karpenter/controller",
        "tag": "1.14.1",
        "digest": DIGEST,
    }


def test_another_version_keeps_the_digest_of_its_own_chart() -> None:
    assert "digest" not in _values(version="1.15.0")["controller"]["image"]


@pytest.mark.parametrize(
    ("registry", "chart"),
    [
        (None, "oci://public.ecr.aws/karpenter/karpenter"),
        (REGISTRY, f"oci://{REGISTRY}/public.ecr.aws/karpenter/karpenter"),
    ],
)
def test_the_chart_comes_from_the_mirror_where_there_is_one(
    registry: str | None, chart: str
) -> None:
    assert objects.chart_location(registry) == chart


def test_the_inventory_is_told_what_to_mirror() -> None:
    assert objects.artifacts("1.14.1") == (
        f"public.ecr.aws/karpenter/controller:1.14.1@{DIGEST}",
        "public.ecr.aws/karpenter/karpenter:1.14.1",
    )


DAEMON_SET: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "DaemonSet",
    "metadata": {"name": "plugin", "annotations": {"own": "kept"}},
    "spec": {"template": {}},
}


def test_nobody_waits_for_a_device_plugin_that_has_no_node_yet() -> None:
    rendered = copy.deepcopy(DAEMON_SET)
    annotations = objects.unawaited(rendered)["metadata"]["annotations"]
    assert annotations == {"own": "kept", "pulumi.com/skipAwait": "true"}
    assert rendered == DAEMON_SET


def test_other_objects_of_the_device_plugin_stay_as_they_are() -> None:
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "plugin"}}
    assert objects.unawaited(config) == config
