"""Trials that can't run: they wait, with a reason, and no machine comes or goes for them."""

from __future__ import annotations

import pytest

from tests.elasticity import measuring
from tests.elasticity.conftest import NewScenario
from tests.elasticity.pools import rendered
from tests.elasticity.report import Report
from tests.elasticity.trials import Trial

_ELSEWHERE = {"key": "example.com/gpu", "operator": "Exists", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("name", "trial", "reason"),
    [
        ("fits-no-type", Trial("refused", 5, amount=16), "no instance type"),
        (
            "wrong-toleration",
            Trial("refused", 5, tolerations=(_ELSEWHERE,)),
            "did not tolerate taint",
        ),
    ],
)
def test_a_trial_that_cannot_run_says_why_and_moves_no_machine(
    name: str, trial: Trial, reason: str, new_scenario: NewScenario, report: Report
) -> None:
    neighbour = Trial("neighbour", 5)
    with new_scenario(name, rendered(max_gpus=64, consolidate_after="10s")) as made:
        made.start([trial])
        made.seen.until(
            lambda: made.seen.saw("FailedScheduling", reason),
            30,
            f"an event that says {reason!r}",
        )
        # Machines still come for others, and none of them for this one.
        made.start([neighbour])
        made.all_done(1, 60)
        made.at_zero(70)
        assert measuring.by_type(made.seen.machines) == {"g4dn.xlarge": 1}
        assert len(made.seen.claims) == 1
        (waiting,) = made.pods_of(trial)
        assert waiting.phase == "Pending"
        assert waiting.bound is None
        report.add(made)
