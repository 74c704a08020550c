"""Prices that a stack brings itself (``gpuPool.prices: table``) are those Karpenter compares."""

from __future__ import annotations

from components.gpu.overlays import price_overlays
from tests.elasticity import measuring, report
from tests.elasticity.conftest import NewScenario
from tests.elasticity.pools import consolidating, rendered
from tests.elasticity.trials import Trial


def test_karpenter_moves_work_to_what_the_table_calls_cheaper(new_scenario: NewScenario) -> None:
    # By the catalogue g4dn.xlarge is the cheapest, and that is what the provider launches; the
    # table knows better, so Karpenter asks for a machine that is cheaper by the table.
    table = price_overlays({"g4dn.xlarge": "5.223", "g5.xlarge": "3.5"})
    pool = consolidating(rendered(consolidate_after="2s"))
    gates = {"nodeOverlay": True}
    with new_scenario("prices-from-a-table", pool, also=table, on=gates) as made:
        training = Trial("training", None)
        made.start([training])
        first = made.running(training)
        made.moved(training, first)
        assert measuring.by_type(made.seen.machines) == {"g4dn.xlarge": 1, "g5.xlarge": 1}
        report.add(made)
