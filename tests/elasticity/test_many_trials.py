"""Far more trials than GPUs: the limit holds, the rest waits its turn, little is paid in vain."""

from __future__ import annotations

import pytest

from tests.elasticity import measuring, report
from tests.elasticity.catalogue import catalogue
from tests.elasticity.conftest import NewScenario
from tests.elasticity.pools import rendered
from tests.elasticity.trials import Trial

_CONSOLIDATE_AFTER = 10
_SLACK_SECONDS = 90
_WASTE = 1.20
"""Paid GPU-seconds over those of an ideal packing; 1.04 to 1.08 on two cores, more on busy ones."""
_AGAIN = 1.02
"""Pods per trial: one that loses its node runs again, now and then after it has ended."""
_OVERRUN = 2
"""GPUs that the pool may have beyond its limit for a moment."""
_MEDIAN_SECONDS, _P99_SECONDS = 10, 30
"""From a pod to its NodeClaim. Karpenter gathers pods for 1.5 s (the chart's ``batchMaxDuration``);
the rest is API calls on two cores, in several runs 1.5 to 4.8 s at the median, 6 to 16 s at p99."""


@pytest.mark.alone
@pytest.mark.parametrize(("count", "max_gpus", "takes"), [(500, 64, 30), (2000, 64, 2)])
def test_trials_beyond_the_limit_wait_and_then_run(
    count: int, max_gpus: int, takes: int, new_scenario: NewScenario
) -> None:
    trials = [Trial(f"trial-{number}", takes) for number in range(count)]
    pool = rendered(max_gpus=max_gpus, consolidate_after=f"{_CONSOLIDATE_AFTER}s")
    with new_scenario(f"{count}-trials", pool) as made:
        made.start(trials)
        made.all_done(count, 2 * count / max_gpus * takes + 240)
        made.at_zero(_CONSOLIDATE_AFTER + _SLACK_SECONDS)
        ideal = measuring.ideal_gpu_seconds(trials)
        report.add(made, ideal_gpu_seconds=ideal)
        gpus = measuring.gpus(made.seen, catalogue())
        # All of the limit is used. "Limit checking is eventually consistent, which can result in
        # overrun during rapid scale outs" (aws/karpenter-provider-aws,
        # website/content/en/docs/concepts/nodepools.md): 65 of 64 in one run of several.
        assert max_gpus <= measuring.peak(gpus) <= max_gpus + _OVERRUN
        assert set(measuring.by_type(made.seen.machines)) == {"g4dn.xlarge"}
        hourly = measuring.peak(measuring.cost(made.seen, catalogue()))
        assert hourly == pytest.approx(measuring.peak(gpus) * catalogue().price("g4dn.xlarge"))
        # No trial was lost, and hardly one lost its machine and ran again.
        pods = made.seen.pods.values()
        ended = {pod.name.rpartition("-")[0] for pod in pods if pod.phase == "Succeeded"}
        assert ended == {trial.name for trial in trials}
        assert len(pods) <= count * _AGAIN
        assert measuring.last_gone_after(made.seen) <= _CONSOLIDATE_AFTER + _SLACK_SECONDS
        waits = measuring.waits(made.seen, catalogue())
        assert waits is not None
        assert waits.p99 < _P99_SECONDS
        if count == 500:
            assert waits.p50 < _MEDIAN_SECONDS
            paid = measuring.gpu_seconds_while_working(made.seen, catalogue())
            assert paid <= _WASTE * ideal
