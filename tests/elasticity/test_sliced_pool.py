"""Time-sliced GPUs: Karpenter counts slices, so four small trials share one GPU on one machine."""

from __future__ import annotations

from components.gpu.node_pools import SLICE_RESOURCE, SLICE_TAINT
from components.gpu.overlays import slice_overlays
from rendering import Object
from tests.elasticity import measuring, report
from tests.elasticity.catalogue import catalogue
from tests.elasticity.conftest import NewScenario
from tests.elasticity.pools import gpu_pool, rendered
from tests.elasticity.trials import Trial

_SLICES = 4
_SLICED = {"slices": _SLICES, "taints": (SLICE_TAINT,), "consolidate_after": "2s"}


def _overlays() -> list[Object]:
    """Those of the pool; only how they name the machines differs.

    On EC2 the label instance-gpu-count says it; the kwok provider's types have it in their
    offerings only, where overlays of capacity do not look.
    """
    (made,) = slice_overlays([gpu_pool(**_SLICED)])
    pool, count = made["spec"]["requirements"]
    types = [
        n for n, machine in catalogue().types.items() if [str(machine.gpus)] == count["values"]
    ]
    machines = {"key": "node.kubernetes.io/instance-type", "operator": "In", "values": types}
    return [{**made, "spec": {**made["spec"], "requirements": [pool, machines]}}]


def test_four_trials_on_one_gpu_are_one_machine(new_scenario: NewScenario) -> None:
    trials = [
        Trial(f"slice-{number}", 5, resource=SLICE_RESOURCE, millicores=500, mebibytes=2048)
        for number in range(_SLICES)
    ]
    gates = {"nodeOverlay": True}
    with new_scenario("sliced", rendered(**_SLICED), also=_overlays(), on=gates) as made:
        made.start(trials)
        made.all_done(_SLICES, 60)
        made.at_zero(70)
        assert measuring.by_type(made.seen.machines) == {"g4dn.xlarge": 1}
        report.add(made)


def test_without_the_overlay_a_slice_is_nothing_karpenter_could_bring(
    new_scenario: NewScenario,
) -> None:
    with new_scenario("sliced-without-overlay", rendered(**_SLICED)) as made:
        made.start([Trial("slice", 5, resource=SLICE_RESOURCE)])
        made.seen.until(
            lambda: made.seen.saw("FailedScheduling", "no instance type has enough resources"),
            30,
            "Karpenter's event about the slice",
        )
        assert not made.seen.claims
        report.add(made)
