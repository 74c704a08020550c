"""Karpenter's own installation, as data."""

from __future__ import annotations

import re
from typing import Any

import pytest

from components.gpu import chart
from regions.region import Region
from rendering.release import load
from settings import MANIFESTS, from_mapping
from settings.facts import karpenter_releases
from tests.harness import REGIONS
from tests.rendering.beijing import rendered

REGISTRY = "111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn/kubeflow"
DIGEST = "sha256:445baefaaa689029cc12ac1f659b916b0b82fb14308ce536f8521fcf079116fa"
VERSIONS = tuple(karpenter_releases(MANIFESTS))


def _values(region: str = "cn-north-1", **changed: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "role_arn": "arn:of:role",
        "asks_for_prices": True,
        "node_overlays": False,
        "digest": DIGEST,
        "registry": REGISTRY,
        **changed,
    }
    return chart.helm_values(
        region=Region.of(region),
        version="1.14.1",
        cluster_name="kubeflow",
        cluster_endpoint="https://cluster.example",
        queue_name="queue",
        **given,
    )


def test_the_controller_runs_twice_under_the_given_role() -> None:
    values = _values()
    assert values["replicas"] == 2
    assert values["serviceAccount"] == {
        "name": "karpenter",
        "annotations": {"eks.amazonaws.com/role-arn": "arn:of:role"},
    }


@pytest.mark.parametrize("name", REGIONS)
def test_the_controllers_region_is_a_variable(name: str) -> None:
    assert _values(name)["controller"]["env"] == [{"name": "AWS_REGION", "value": name}]


@pytest.mark.parametrize(
    ("name", "prices", "isolated"),
    [
        ("cn-north-1", None, False),
        ("cn-northwest-1", None, False),
        ("us-west-2", None, False),
        ("us-gov-west-1", None, True),
        ("cn-north-1", "api", False),
        ("cn-north-1", "table", True),
    ],
)
def test_prices_are_frozen_only_without_a_price_api(
    name: str, prices: str | None, isolated: bool
) -> None:
    pool = from_mapping({"region": name, "gpuPool": {"prices": prices}}).gpu_pool
    asks = pool.asks_for_prices(Region.of(name))
    assert _values(name, asks_for_prices=asks)["settings"]["isolatedVPC"] is isolated


def test_a_role_that_comes_by_pod_identity_is_in_no_annotation() -> None:
    assert _values(role_arn=None)["serviceAccount"]["annotations"] == {}


def test_the_controller_serves_this_cluster_and_its_queue() -> None:
    settings = _values()["settings"]
    assert settings["clusterName"] == "kubeflow"
    assert settings["clusterEndpoint"] == "https://cluster.example"
    assert settings["interruptionQueue"] == "queue"


def test_a_burst_of_trials_does_not_wait_for_its_own_end() -> None:
    settings = _values()["settings"]
    assert (settings["batchIdleDuration"], settings["batchMaxDuration"]) == ("1s", "1500ms")


def test_no_alpha_feature_is_on_by_default() -> None:
    gates = _values()["settings"]["featureGates"]
    assert [name for name, on in gates.items() if on] == ["reservedCapacity"]


def test_overlays_are_the_one_alpha_feature_that_can_be_turned_on() -> None:
    gates = _values(node_overlays=True)["settings"]["featureGates"]
    assert [name for name, on in gates.items() if on] == ["nodeOverlay", "reservedCapacity"]


def test_the_controller_image_is_pulled_by_digest_from_the_mirror() -> None:
    image = _values()["controller"]["image"]
    assert image == {
        "repository": f"{REGISTRY}/public.ecr.aws/karpenter/controller",
        "tag": "1.14.1",
        "digest": DIGEST,
    }


def test_without_a_digest_of_ours_the_chart_has_its_own() -> None:
    assert "digest" not in _values(digest=None)["controller"]["image"]


def test_without_a_mirror_the_controller_comes_from_its_publisher() -> None:
    assert _values(registry=None)["controller"]["image"]["repository"] == chart.CONTROLLER


def test_the_digest_is_that_of_the_controller_among_the_images_of_the_version() -> None:
    folder = load(MANIFESTS / "addons" / "karpenter-1.14.1")
    assert chart.controller_digest(each.image for each in folder.images) == DIGEST
    assert chart.controller_digest(["public.ecr.aws/karpenter/other:1.14.1"]) is None


def test_no_version_is_pulled_by_the_digest_of_another_one() -> None:
    """As 1.14.1 was, whose values in its repository have the digest of 1.14.0."""
    folders = [load(MANIFESTS / "addons" / f"karpenter-{each}") for each in VERSIONS]
    digests = [chart.controller_digest(each.image for each in folder.images) for folder in folders]
    assert len(digests) > 1
    assert len(set(digests)) == len(digests)


def test_the_charts_pods_read_no_configuration_that_could_change_without_them() -> None:
    folder = rendered("addons/karpenter-1.14.1").chart
    assert folder is not None
    templates = MANIFESTS.parent / folder / "templates"
    texts = [path.read_text("utf-8") for path in templates.iterdir()]
    assert any("kind: Deployment" in text for text in texts)
    assert [text for text in texts if re.search("kind: (ConfigMap|Secret)\\b", text)] == []
