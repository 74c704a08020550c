"""Time-sliced GPUs: Karpenter counts slices, so four small trials share one GPU on one machine."""

from __future__ import annotations

from components.karpenter_objects import GPU_RESOURCE, POOL_NAME
from rendering import Object
from tests.elasticity import measuring
from tests.elasticity.catalogue import catalogue
from tests.elasticity.conftest import NewScenario
from tests.elasticity.pools import rendered
from tests.elasticity.report import Report
from tests.elasticity.trials import Trial

_SLICE = f"{GPU_RESOURCE}.shared"
_SLICES = 4
_ONE_GPU = [name for name, machine in catalogue().types.items() if machine.gpus == 1]
# On EC2 the label instance-gpu-count says so; the kwok provider's types have it in their offerings
# only, where overlays of capacity do not look.
OVERLAY: Object = {
    "apiVersion": "karpenter.sh/v1alpha1",
    "kind": "NodeOverlay",
    "metadata": {"name": "gpu-slices"},
    "spec": {
        "requirements": [
            {"key": "karpenter.sh/nodepool", "operator": "In", "values": [POOL_NAME]},
            {"key": "node.kubernetes.io/instance-type", "operator": "In", "values": _ONE_GPU},
        ],
        "capacity": {_SLICE: str(_SLICES)},
    },
}


def test_four_trials_on_one_gpu_are_one_machine(new_scenario: NewScenario, report: Report) -> None:
    trials = [
        Trial(f"slice-{number}", 5, resource=_SLICE, millicores=500, mebibytes=2048)
        for number in range(_SLICES)
    ]
    pool = rendered(consolidate_after="10s")
    gates = {"nodeOverlay": True}
    with new_scenario("sliced", pool, also=[OVERLAY], on=gates) as made:
        made.start(trials)
        made.all_done(_SLICES, 60)
        made.at_zero(70)
        assert measuring.by_type(made.seen.machines) == {"g4dn.xlarge": 1}
        report.add(made)


def test_without_the_overlay_a_slice_is_nothing_karpenter_could_bring(
    new_scenario: NewScenario, report: Report
) -> None:
    with new_scenario("sliced-without-overlay", rendered()) as made:
        made.start([Trial("slice", 5, resource=_SLICE)])
        made.seen.until(
            lambda: made.seen.saw("FailedScheduling", "no instance type has enough resources"),
            30,
            "Karpenter's event about the slice",
        )
        assert not made.seen.claims
        report.add(made)
