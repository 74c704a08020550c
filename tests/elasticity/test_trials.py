"""A person starts trials: machines come, the cheapest that fit, and go again."""

from __future__ import annotations

import pytest

from tests.elasticity import measuring, report
from tests.elasticity.catalogue import catalogue
from tests.elasticity.conftest import NewScenario
from tests.elasticity.pools import rendered
from tests.elasticity.trials import Trial

_CONSOLIDATE_AFTER = 10
_SLACK_SECONDS = 60
_FIRST_NODE_CLAIM_SECONDS = 4
"""One second of batching, and what two busy cores need for the API calls around it."""


@pytest.mark.alone
def test_a_trial_gets_the_cheapest_machine_that_fits_and_leaves_none(
    new_scenario: NewScenario,
) -> None:
    trial, known = Trial("trial", 5), catalogue()
    with new_scenario("one-trial", rendered(consolidate_after=f"{_CONSOLIDATE_AFTER}s")) as made:
        assert not made.seen.standing
        made.start([trial])
        made.all_done(1, 60)
        made.at_zero(_CONSOLIDATE_AFTER + _SLACK_SECONDS)
        (machine,) = made.seen.machines
        assert (machine.instance_type, machine.capacity_type) == (cheapest(trial), "on-demand")
        assert measuring.peak(measuring.cost(made.seen, known)) == known.price("g4dn.xlarge")
        waits = measuring.waits(made.seen, known)
        assert waits is not None
        assert waits.p50 < _FIRST_NODE_CLAIM_SECONDS
        gone = measuring.last_gone_after(made.seen)
        assert _CONSOLIDATE_AFTER - 1 <= gone <= _CONSOLIDATE_AFTER + _SLACK_SECONDS
        report.add(made)


def test_whatever_else_a_trial_asks_for_it_is_the_cheapest_machine_that_has_it(
    new_scenario: NewScenario,
) -> None:
    trials = [
        Trial("small", 30),
        Trial("much-memory", 20, mebibytes=100_000),
        Trial("four-gpus", 10, amount=4),
    ]
    pool = rendered(consolidate_after="2s", gpu_counts=())
    with new_scenario("three-sizes", pool) as made:
        for trial in trials:
            made.start([trial])
            made.running(trial)
        made.all_done(len(trials), 60)
        made.at_zero(_CONSOLIDATE_AFTER + _SLACK_SECONDS)
        types = [machine.instance_type for machine in made.seen.machines]
        assert types == [cheapest(trial) for trial in trials]
        report.add(made)


def test_twelve_trials_three_at_a_time_reuse_their_machines(new_scenario: NewScenario) -> None:
    trials = [Trial(f"trial-{number}", 5) for number in range(12)]
    with new_scenario(
        "12-trials-3-parallel", rendered(consolidate_after=f"{_CONSOLIDATE_AFTER}s")
    ) as made:
        made.run(trials, parallel=3, seconds=60)
        made.at_zero(_CONSOLIDATE_AFTER + _SLACK_SECONDS)
        assert measuring.by_type(made.seen.machines) == {"g4dn.xlarge": 3}
        hourly = measuring.peak(measuring.cost(made.seen, catalogue()))
        assert hourly == pytest.approx(3 * catalogue().price("g4dn.xlarge"))
        assert measuring.last_gone_after(made.seen) <= _CONSOLIDATE_AFTER + _SLACK_SECONDS
        assert len(made.seen.pods) == len(trials)
        report.add(made)


def test_trials_that_wait_together_would_share_a_dear_machine_if_they_could(
    new_scenario: NewScenario,
) -> None:
    """The reason for one GPU per machine: docs/decisions/0048-one-gpu-per-machine.md."""
    trials, known = [Trial(f"trial-{number}", 5) for number in range(3)], catalogue()
    pool = rendered(consolidate_after="2s", gpu_counts=())
    with new_scenario("3-trials-any-machine", pool) as made:
        made.start(trials)
        made.all_done(len(trials), 60)
        made.at_zero(_CONSOLIDATE_AFTER + _SLACK_SECONDS)
        paid = measuring.peak(measuring.cost(made.seen, known))
        assert paid > 2 * len(trials) * known.price("g4dn.xlarge")
        report.add(made)


def cheapest(trial: Trial) -> str:
    return catalogue().cheapest(
        gpus=trial.amount, millicores=trial.millicores, mebibytes=trial.mebibytes
    )
