"""The scenarios run our own NodePool, and the catalogue can serve it."""

from __future__ import annotations

from regions.region import Region
from settings.node_pools import families_of
from tests.cluster.platform import platform
from tests.elasticity.catalogue import catalogue
from tests.elasticity.pools import STACK, on_kwok, rendered, settings


def test_the_scenarios_pool_is_the_one_the_stack_registers() -> None:
    whole = platform(STACK)
    registered = whole.objects[whole.key("NodePool", "gpu")]
    assert rendered()["spec"] == registered["spec"]


def test_only_the_node_class_differs_on_kwok() -> None:
    ours, there = rendered(), on_kwok(rendered())
    assert there != ours
    there["spec"]["template"]["spec"]["nodeClassRef"] = ours["spec"]["template"]["spec"][
        "nodeClassRef"
    ]
    assert there == ours


def test_every_family_of_the_stack_is_in_the_catalogue() -> None:
    stack = settings()
    families = {name.partition(".")[0] for name in catalogue().types}
    assert families == set(families_of(stack.gpu_pool, Region.of(stack.region)))
