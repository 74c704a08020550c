"""The cluster of a stack in each region, and the one of Beijing."""

from __future__ import annotations

import pytest

from regions.region import Region
from tests.components.cluster.simulated_cluster import cluster
from tests.harness import REGIONS, Recorded


@pytest.fixture(scope="module", params=REGIONS)
def made(request: pytest.FixtureRequest) -> tuple[Region, Recorded]:
    return Region.of(request.param), cluster(request.param)


@pytest.fixture(scope="module")
def beijing() -> Recorded:
    return cluster()
