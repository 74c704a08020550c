"""What a pool of Karpenter can cost, against fillings by hand."""

from __future__ import annotations

from typing import Any

import pytest

from costs import PoolCost, cost_of
from regions.machines import _holds  # pyright: ignore[reportPrivateUsage]
from tests.costs.plans import region_of, rows_of


def pools(plan: str) -> dict[str, PoolCost]:
    found = cost_of(rows_of(plan), region_of(plan)).pools
    return {pool.name: pool for pool in found}


def test_a_pool_of_single_gpus_in_beijing() -> None:
    """Families g4dn, g5, p3, one GPU each: from g4dn.xlarge to g4dn.16xlarge."""
    pool = pools("cn-north-1")["gpu"]
    assert (pool.resource, pool.limit, pool.currency) == ("GPU", 8, "CNY")
    assert pool.types == 5 + 5 + 1
    assert pool.unpriced == ()
    assert pool.most is not None
    assert pool.least is not None
    assert (pool.most.mix, pool.least.mix) == ("8 x g4dn.16xlarge", "8 x g4dn.xlarge")
    assert pool.hour == pytest.approx(8 * 43.218)
    assert (pool.day, pool.month) == (pytest.approx(pool.hour * 24), pytest.approx(pool.hour * 730))
    assert pool.least.hour == pytest.approx(8 * 5.223)
    assert not pool.disks_priced


def test_disks_of_the_nodes_are_part_of_it_where_they_have_a_price() -> None:
    pool = pools("us-west-2")["gpu"]
    assert pool.most is not None
    assert pool.disks_priced
    assert pool.most.mix == "8 x g6e.16xlarge"
    assert pool.hour == pytest.approx(8 * (7.57719 + 200 * 0.08 / 730))
    assert pool.unpriced == (
        "g4dn.4xlarge",
        "g4dn.8xlarge",
        "g5.xlarge",
        "g6.4xlarge",
        "g6e.4xlarge",
    )


def test_a_pool_without_any_price_costs_an_unknown_amount() -> None:
    cost = cost_of(rows_of("cn-northwest-1"), "cn-northwest-1")
    [pool] = cost.pools
    assert (pool.most, pool.least, pool.hour) == (None, None, 0)
    assert "pool gpu: 11 of 11 types have no price" in "\n".join(cost.unknown)


def test_pools_of_large_machines_slices_and_vcpus() -> None:
    """gpu: 8 GPUs in 4 slices each; many: 4 or 8 GPUs per machine; steps: 64 vCPUs, Spot."""
    found = pools("several pools")
    assert {name: (pool.resource, pool.limit) for name, pool in found.items()} == {
        "gpu": ("GPU", 8),
        "many": ("GPU", 8),
        "steps": ("vCPU", 64),
    }
    many, steps = found["many"], found["steps"]
    disk = 200 * 0.08 / 730
    assert many.most is not None
    # Two machines of four: g6e.12xlarge 10.49264; one of eight would be g6.48xlarge 13.3504.
    assert many.most.mix == "2 x g6e.12xlarge"
    assert many.hour == pytest.approx(2 * (10.49264 + disk))
    assert many.least is not None
    assert many.least.mix == "1 x g4dn.metal"
    assert steps.capacity == ("spot",)
    assert steps.most is not None
    assert steps.least is not None
    assert steps.least.hour < steps.most.hour
    assert all(each.startswith(("c", "m", "r")) for each in steps.unpriced)


@pytest.mark.parametrize(
    ("limit", "most", "least"),
    [
        (3, "3 x g5.16xlarge", "3 x g5.xlarge"),
        (5, "5 x g5.16xlarge", "5 x g5.xlarge"),
        (4, "4 x g5.16xlarge", "4 x g5.xlarge"),
        (0, None, None),
    ],
)
def test_a_filling_never_exceeds_the_limit(limit: int, most: str | None, least: str | None) -> None:
    pool = one_pool({"nvidia.com/gpu": str(limit)}, ["g5"])
    assert (pool.most and pool.most.mix, pool.least and pool.least.mix) == (most, least)


def test_machines_larger_than_the_limit_fill_nothing() -> None:
    pool = one_pool({"nvidia.com/gpu": "3"}, ["g5"], counts=["4", "8"])
    assert (pool.types, pool.most) == (3, None)


def test_a_limit_that_no_machine_divides_is_filled_as_far_as_possible() -> None:
    pool = one_pool({"nvidia.com/gpu": "7"}, ["g5"], counts=["4"])
    assert pool.least is not None
    assert pool.least.mix == "1 x g5.12xlarge"


def test_the_dearest_way_may_leave_some_of_the_limit() -> None:
    # Of memory 64 vCPUs cost more than 72 of computing.
    pool = one_pool({"cpu": "72"}, ["c5", "r5"], types=["c5.18xlarge", "r5.16xlarge"])
    assert pool.most is not None
    assert pool.least is not None
    assert (pool.most.mix, pool.least.mix) == ("1 x r5.16xlarge", "1 x c5.18xlarge")


def test_slices_are_whole_gpus_by_the_label_or_by_the_ami() -> None:
    labelled = one_pool(
        {"nvidia.com/gpu.shared": "8"},
        ["g4dn"],
        labels={"nvidia.com/device-plugin.config": "slices-4"},
    )
    user_data = 'device-sharing-strategy = "time-slicing"\nreplicas = 2\nrename-by-default = true\n'
    bottlerocket = one_pool({"nvidia.com/gpu.shared": "8"}, ["g4dn"], user_data=user_data)
    assert (labelled.limit, bottlerocket.limit) == (2, 4)


def one_pool(
    limits: dict[str, str],
    families: list[str],
    *,
    counts: list[str] | None = None,
    types: list[str] | None = None,
    labels: dict[str, str] | None = None,
    user_data: str = "",
) -> PoolCost:
    """The cost of one pool in Beijing, whose table has every size of these families."""
    family = {"key": "karpenter.k8s.aws/instance-family", "operator": "In", "values": families}
    count = {"key": "karpenter.k8s.aws/instance-gpu-count", "operator": "In", "values": counts}
    type_ = {"key": "node.kubernetes.io/instance-type", "operator": "In", "values": types}
    template: dict[str, Any] = {
        "metadata": {"labels": labels or {}},
        "spec": {
            "nodeClassRef": {"name": "gpu"},
            "requirements": [
                family,
                *([count] if counts else []),
                *([type_] if types else []),
            ],
        },
    }
    node_pool = {"metadata": {"name": "gpu"}, "spec": {"limits": limits, "template": template}}
    node_class = {"metadata": {"name": "gpu"}, "spec": {"userData": user_data}}
    rows = [
        {"urn": kind, "type": kind, "name": "gpu", "dependencies": [], "inputs": inputs}
        for kind, inputs in {
            "kubernetes:karpenter.sh/v1:NodePool": node_pool,
            "kubernetes:karpenter.k8s.aws/v1:EC2NodeClass": node_class,
        }.items()
    ]
    [pool] = cost_of(rows, "cn-north-1").pools
    return pool


@pytest.mark.parametrize(
    ("value", "operator", "values", "holds"),
    [
        ("g5", "In", ["g4dn", "g5"], True),
        (None, "In", ["nvidia"], False),
        ("g5", "NotIn", ["g5"], False),
        (None, "NotIn", ["g5"], True),
        ("nvidia", "Exists", [], True),
        (None, "Exists", [], False),
        ("nvidia", "DoesNotExist", [], False),
        (None, "DoesNotExist", [], True),
        ("5", "Gt", ["4"], True),
        ("4", "Gt", ["4"], False),
        (None, "Gt", ["4"], False),
        ("10", "Gt", ["9"], True),
        ("3", "Lt", ["4"], True),
        ("4", "Lt", ["4"], False),
    ],
)
def test_requirements_are_those_of_kubernetes(
    value: str | None, operator: str, values: list[str], holds: bool
) -> None:
    assert _holds(value, operator, values) is holds
