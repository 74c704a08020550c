"""Hourly prices from a table in this folder, for stacks whose Karpenter reaches no price API."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, PositiveFloat, TypeAdapter

TABLE = Path(__file__).with_suffix(".yaml")
NAME = "regions/instance_prices.yaml"
"""The table's path, for sentences."""


class RegionPrices(BaseModel):
    """Prices of one hour in one region: family -> size -> price."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)

    currency: str
    date: str
    source: str
    prices: dict[str, dict[str, PositiveFloat]]

    def of(self, families: Iterable[str]) -> dict[str, str]:
        """Instance type -> price, for all types of these families with a price."""
        return {
            f"{family}.{size}": f"{price:.6f}".rstrip("0").rstrip(".")
            for family in families
            for size, price in self.prices.get(family, {}).items()
        }


@lru_cache(maxsize=1)
def _table() -> dict[str, RegionPrices]:
    loaded = yaml.safe_load(TABLE.read_text("utf-8"))
    return TypeAdapter(dict[str, RegionPrices]).validate_python(loaded)


def prices_in(region: str) -> RegionPrices | None:
    """The prices of a region; None where the table has none."""
    return _table().get(region)
