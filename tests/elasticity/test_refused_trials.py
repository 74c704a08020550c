"""Trials that can't run: they wait, with a reason, and no machine comes or goes for them."""

from __future__ import annotations

from components.node_pools import GPU_TAINT
from components.settings_node_pools import Taint
from tests.elasticity import measuring
from tests.elasticity.conftest import NewScenario
from tests.elasticity.pools import rendered
from tests.elasticity.report import Report
from tests.elasticity.trials import Trial

# A pool for one team: its second taint is one that the API server knows nothing of.
_TEAM = Taint(key="team", value="vision")
_OURS = {"key": "team", "value": "vision", "effect": "NoSchedule"}
_OTHERS = {"key": "team", "value": "speech", "effect": "NoSchedule"}
_REASONS = [
    (
        Trial("sixteen-gpus", 5, amount=16, tolerations=(_OURS,)),
        "no instance type has enough resources",
    ),
    (Trial("wrong-toleration", 5, tolerations=(_OTHERS,)), "did not tolerate taint"),
]


def test_trials_that_cannot_run_say_why_and_move_no_machine(
    new_scenario: NewScenario, report: Report
) -> None:
    neighbour = Trial("neighbour", 5, tolerations=(_OURS,))
    pool = rendered(max_gpus=64, consolidate_after="10s", taints=(GPU_TAINT, _TEAM))
    with new_scenario("refused", pool) as made:
        made.start([trial for trial, _ in _REASONS])
        for trial, reason in _REASONS:
            made.seen.until(
                lambda trial=trial, reason=reason: any(
                    told.reason == "FailedScheduling"
                    and told.name.startswith(f"{trial.name}-")
                    and reason in told.message
                    for told in made.seen.told
                ),
                30,
                f"an event about {trial.name} that says {reason!r}",
            )
        # Machines still come for others, and none of them for these.
        made.start([neighbour])
        made.all_done(1, 60)
        made.at_zero(70)
        assert measuring.by_type(made.seen.machines) == {"g4dn.xlarge": 1}
        assert len(made.seen.claims) == 1
        for trial, _ in _REASONS:
            (waiting,) = made.pods_of(trial)
            assert waiting.phase == "Pending"
            assert waiting.bound is None
        report.add(made)
