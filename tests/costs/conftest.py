"""Every cost here is of one day: versions of EKS leave standard support, prices get old."""

from __future__ import annotations

from datetime import date

import pytest

from tests.costs.plans import TODAY


@pytest.fixture(autouse=True)
def the_same_day(monkeypatch: pytest.MonkeyPatch) -> None:
    class Day(date):
        @classmethod
        def today(cls) -> date:
            return TODAY

    monkeypatch.setattr("costs.cost.date", Day)
