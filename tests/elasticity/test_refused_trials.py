"""Trials that can't run: they wait, with a reason, and no machine comes or goes for them.

Karpenter says the reason in an event, ``./kf verify`` in a sentence with the way out.
"""

from __future__ import annotations

import pytest

from components.gpu.node_pools import GPU_TAINT
from ops.live_cluster import LiveCluster
from ops.verification.checks.running import examine
from settings.node_pools import Taint
from tests.elasticity import measuring, report
from tests.elasticity.cluster import ControlPlane
from tests.elasticity.conftest import NewScenario
from tests.elasticity.pools import rendered
from tests.elasticity.trials import Trial

# A pool for one team: its second taint is one that the API server knows nothing of.
_TEAM = Taint(key="team", value="vision")
_OURS = {"key": "team", "value": "vision", "effect": "NoSchedule"}
_OTHERS = {"key": "team", "value": "speech", "effect": "NoSchedule"}
_REASONS = [
    (
        Trial("sixteen-gpus", 5, amount=16, tolerations=(_OURS,)),
        "no instance type has enough resources",
        "it asks for 16 GPUs on one node, and the largest machine of",
    ),
    (
        Trial("wrong-toleration", 5, tolerations=(_OTHERS,)),
        "did not tolerate taint",
        "does not match the taint team=vision:NoSchedule of NodePool gpu",
    ),
]


def test_trials_that_cannot_run_say_why_and_move_no_machine(
    plane: ControlPlane, new_scenario: NewScenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    neighbour = Trial("neighbour", 5, tolerations=(_OURS,))
    pool = rendered(max_gpus=64, consolidate_after="2s", taints=(GPU_TAINT, _TEAM))
    with new_scenario("refused", pool) as made:
        made.start([trial for trial, *_ in _REASONS])
        for trial, reason, _ in _REASONS:
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
        monkeypatch.setenv("KUBECONFIG", str(plane.kubeconfig_file))
        told = {finding.about: finding.sentence for finding in examine(LiveCluster())}
        for trial, _, sentence in _REASONS:
            (waiting,) = made.pods_of(trial)
            assert waiting.phase == "Pending"
            assert waiting.bound is None
            assert sentence in told[f"{made.name}/{waiting.name}"]
        report.add(made)
