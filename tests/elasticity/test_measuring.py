"""The numbers in the report are computed as they are named."""

from __future__ import annotations

import pytest

from tests.elasticity import measuring
from tests.elasticity.catalogue import catalogue
from tests.elasticity.trials import Trial
from tests.elasticity.watching import ClaimLife, PodLife, Record


def record() -> Record:
    """Two trials on one machine that came for the first; a second machine for nobody."""
    made = Record()
    made.pods = {
        "a": PodLife("a", 1, 0.0, bound=3.0, node="n", ended=13.0, phase="Succeeded"),
        "b": PodLife("b", 1, 5.0, bound=13.0, node="n", ended=23.0, phase="Succeeded"),
    }
    made.claims = {
        "n": ClaimLife("n", 1.5, "g4dn.xlarge", "on-demand", "z", 2.0, "n", 35.0),
        "m": ClaimLife("m", 2.0, "g4dn.12xlarge", "spot", "z", 3.0, "m", 4.0),
        "unlaunched": ClaimLife("unlaunched", 2.0),
    }
    return made


def test_only_pods_that_a_machine_was_made_for_count_as_waiting_for_one() -> None:
    assert measuring.waits(record(), catalogue()) == measuring.Waits(count=1, p50=1.5, p99=1.5)


def test_gpus_and_money_are_counted_from_launch_to_end() -> None:
    gpus = measuring.gpus(record(), catalogue())
    assert gpus == [(0.0, 0.0), (2.0, 1.0), (3.0, 5.0), (4.0, 1.0), (35.0, 0.0)]
    assert measuring.peak(gpus) == 5
    assert measuring.area(gpus) == 33 + 4
    dearest = measuring.peak(measuring.cost(record(), catalogue()))
    assert dearest == pytest.approx(5.223 + 0.7 * 38.849)


def test_the_last_machine_is_timed_from_the_end_of_the_last_trial() -> None:
    assert measuring.last_gone_after(record()) == 12.0
    standing = record()
    standing.claims["n"].gone = None
    with pytest.raises(ValueError, match="still there"):
        measuring.last_gone_after(standing)


def test_waste_is_what_is_paid_until_the_last_trial_ends_beyond_the_work_itself() -> None:
    # One GPU from 2 to 23, four more from 3 to 4.
    assert measuring.gpu_seconds_while_working(record(), catalogue()) == 21 + 4
    assert measuring.ideal_gpu_seconds([Trial("a", 10), Trial("b", 10, amount=4)]) == 50


def test_the_cheapest_machine_is_the_one_with_the_lowest_price_among_those_that_fit() -> None:
    known = catalogue()
    assert known.cheapest(gpus=1, millicores=2000, mebibytes=8192) == "g4dn.xlarge"
    assert known.cheapest(gpus=1, millicores=2000, mebibytes=100_000) == "g4dn.8xlarge"
    assert known.cheapest(gpus=8, millicores=2000, mebibytes=8192) == "g5.48xlarge"
