"""A Spot machine is taken back, a zone is sold out, Karpenter tidies up: training goes on."""

from __future__ import annotations

import pytest

from settings.node_pools import Budget
from tests.elasticity import measuring, report
from tests.elasticity.catalogue import catalogue
from tests.elasticity.cluster import ControlPlane
from tests.elasticity.conftest import NewScenario
from tests.elasticity.events import ec2_events
from tests.elasticity.pools import consolidating, on_kwok, rendered
from tests.elasticity.trials import Trial

_ZONE = "topology.kubernetes.io/zone"
_DO_NOT_DISRUPT = {"karpenter.sh/do-not-disrupt": "true"}
_AFTER = "2s"


def test_a_trial_on_a_spot_machine_that_is_taken_back_runs_on_another(
    plane: ControlPlane, new_scenario: NewScenario
) -> None:
    trial = Trial("trial", 20)
    pool = rendered(capacity_types=["spot"], consolidate_after=_AFTER)
    with ec2_events(plane) as events, new_scenario("spot-interruption", pool) as made:
        made.start([trial])
        first = made.running(trial)
        events.spot_interruption(first.node)
        made.seen.until(
            lambda: any(m.gone is not None for m in made.seen.machines), 60, "the machine ends"
        )
        assert made.seen.saw("SpotInterrupted")
        made.all_done(1, 90)
        made.at_zero(70)
        assert [m.capacity_type for m in made.seen.machines] == ["spot", "spot"]
        assert len({m.node for m in made.seen.machines}) == 2
        report.add(made)


def test_trials_go_to_the_zones_that_have_machines(new_scenario: NewScenario) -> None:
    sold_out, *others = catalogue().zones
    rather = Trial("rather-there", 5, prefers={_ZONE: sold_out})
    only = Trial("only-there", 5, selector={_ZONE: sold_out})
    pool = rendered(consolidate_after=_AFTER)
    with new_scenario("zone-sold-out", pool, sold_out=[sold_out]) as made:
        made.start([rather])
        made.all_done(1, 60)
        assert made.seen.saw("InsufficientCapacityError", sold_out)
        made.start([only])
        made.seen.until(
            lambda: made.seen.saw("FailedScheduling", "required offering"), 60, "the reason"
        )
        made.at_zero(70)
        assert {machine.zone for machine in made.seen.machines} <= set(others)
        (waiting,) = made.pods_of(only)
        assert waiting.bound is None
        report.add(made)


@pytest.mark.parametrize("protected", [True, False])
def test_consolidation_moves_a_training_only_if_it_may(
    protected: bool, new_scenario: NewScenario
) -> None:
    # Two together get one machine with four GPUs; the one that stays would fit a cheaper one.
    annotations = _DO_NOT_DISRUPT if protected else {}
    training = Trial("training", 50 if protected else None, annotations=annotations)
    short = Trial("short", 5)
    # Whoever chooses the other policy must still be able to protect a training.
    # It must not look at the machine while both are there: that a pod is done is no change to it
    # (Karpenter 1.14.0, state/cluster.go, UpdatePod), and it looks again after five minutes.
    pool = consolidating(rendered(consolidate_after="10s", gpu_counts=()))
    name = "training-protected" if protected else "training-unprotected"
    with new_scenario(name, pool) as made:
        made.start([training, short])
        first = made.running(training)
        if protected:
            made.all_done(2, 120)
            made.at_zero(70)
            assert [pod.name for pod in made.pods_of(training)] == [first.name]
            assert measuring.by_type(made.seen.machines) == {"g4dn.12xlarge": 1}
            assert made.seen.saw("DisruptionBlocked", "do-not-disrupt")
        else:
            made.moved(training, first)
            assert measuring.by_type(made.seen.machines) == {"g4dn.12xlarge": 1, "g4dn.xlarge": 1}
        report.add(made)


def test_machines_of_another_version_are_replaced_only_when_a_budget_allows_it(
    plane: ControlPlane, new_scenario: NewScenario
) -> None:
    """As after an upgrade of the control plane, by which the alias of the image is another image.

    Machines of kwok have no image, so that a label of the pool drifts in its place: budgets,
    replacement and drain do not ask for the reason (Karpenter 1.14.0, disruption/drift.go).
    """
    training = Trial("training", None)
    before = rendered(consolidate_after=_AFTER)
    kept, allowed = (
        rendered(consolidate_after=_AFTER, labels={"example.com/kubernetes": "new"}, **budgets)
        for budgets in ({}, {"budgets": (Budget(nodes="1", reasons=["Drifted"]),)})
    )
    with new_scenario("drifted", before) as made:
        made.start([training])
        first = made.running(training)
        assert not made.seen.saw("DisruptionBlocked", "Drifted")
        plane.cluster.apply(on_kwok(kept))
        # Told where a machine has drifted, and only there.
        made.seen.until(
            lambda: made.seen.saw("DisruptionBlocked", "Drifted due to blocking budget"),
            60,
            "the budget keeps the machine",
        )
        assert [pod.name for pod in made.pods_of(training)] == [first.name]
        assert len(made.seen.machines) == 1
        plane.cluster.apply(on_kwok(allowed))
        made.moved(training, first)
        assert len(made.seen.machines) == 2
        report.add(made)
