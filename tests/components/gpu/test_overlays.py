"""NodeOverlays: slices of GPUs, and prices from the table."""

from __future__ import annotations

import pytest

from components.gpu.karpenter_objects import node_pool
from components.gpu.node_pools import Pool
from components.gpu.overlays import price_overlays, slice_overlays
from regions.instance_prices import prices_in
from regions.region import GPU_FAMILIES, Region
from rendering import Object
from tests.harness import REGIONS

SLICED = Pool(name="shared", families=["g4dn"], max_gpus=2, slices=4)


def requirements(obj: Object) -> dict[str, list[str]]:
    return {one["key"]: one["values"] for one in obj["spec"]["requirements"]}


def test_a_machine_of_a_sliced_pool_has_slices_and_no_whole_gpu() -> None:
    capacities = {
        requirements(one)["karpenter.k8s.aws/instance-gpu-count"][0]: one["spec"]["capacity"]
        for one in slice_overlays([SLICED])
    }
    assert capacities == {
        count: {"nvidia.com/gpu": "0", "nvidia.com/gpu.shared": str(4 * int(count))}
        for count in ("1", "2", "4", "8", "16")
    }


def test_overlays_of_slices_name_their_pool_only() -> None:
    whole = Pool(families=["g4dn"], max_gpus=8)
    pools = {
        requirements(one)["karpenter.sh/nodepool"][0] for one in slice_overlays([whole, SLICED])
    }
    assert pools == {"shared"}


@pytest.mark.parametrize("counts", [(), (1,), (1, 3)])
def test_a_sliced_pool_has_no_machine_without_an_overlay(counts: tuple[int, ...]) -> None:
    pool = Pool(families=["g4dn"], max_gpus=2, slices=4, gpu_counts=counts)
    key = "karpenter.k8s.aws/instance-gpu-count"
    (values,) = [
        one["values"]
        for one in node_pool(pool)["spec"]["template"]["spec"]["requirements"]
        if one["key"] == key
    ]
    assert [requirements(one)[key][0] for one in slice_overlays([pool])] == values


def test_a_price_names_an_instance_type_and_nothing_else() -> None:
    (overlay,) = price_overlays({"g5.xlarge": "9.51389"})
    assert overlay["metadata"]["name"] == "price-of-g5-xlarge"
    assert overlay["spec"] == {
        "requirements": [
            {"key": "node.kubernetes.io/instance-type", "operator": "In", "values": ["g5.xlarge"]}
        ],
        "price": "9.51389",
    }


def test_names_of_overlays_are_unique() -> None:
    table = prices_in("cn-north-1")
    assert table is not None
    other = Pool(name="other", families=["g5"], max_gpus=1, slices=2)
    found = [*price_overlays(table.of(table.prices)), *slice_overlays([SLICED, other])]
    names = [one["metadata"]["name"] for one in found]
    assert len(names) == len(set(names)) > 80


# -- the table of prices --------------------------------------------------------------------------


def test_the_table_has_the_source_of_its_prices() -> None:
    table = prices_in("cn-north-1")
    assert table is not None
    assert (table.currency, table.date) == ("CNY", "2024-11-06")
    assert "zz_generated.pricing_aws_cn.go" in table.source


def test_the_table_has_every_gpu_family_beijing_offers() -> None:
    table = prices_in("cn-north-1")
    assert table is not None
    offered = Region.of("cn-north-1").gpu_families_offered
    assert {family for family in table.prices if family in GPU_FAMILIES} == set(offered)


def test_prices_order_the_default_families_as_the_region_does() -> None:
    table = prices_in("cn-north-1")
    assert table is not None
    cheapest = [
        min(float(price) for price in table.of([family]).values())
        for family in Region.of("cn-north-1").gpu_families
    ]
    assert cheapest == sorted(cheapest)


@pytest.mark.parametrize("region", [name for name in REGIONS if name != "cn-north-1"])
def test_a_region_without_a_source_has_no_prices(region: str) -> None:
    assert prices_in(region) is None


def test_prices_have_the_form_of_the_crd() -> None:
    table = prices_in("cn-north-1")
    assert table is not None
    assert table.of(["g4dn", "g6"]) == {
        "g4dn.xlarge": "5.223",
        "g4dn.2xlarge": "7.468",
        "g4dn.4xlarge": "11.956",
        "g4dn.8xlarge": "21.609",
        "g4dn.12xlarge": "38.849",
        "g4dn.16xlarge": "43.218",
    }
