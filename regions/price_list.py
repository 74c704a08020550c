"""What AWS charges, by region: dated tables in ``prices/``, and a file of one's own beside them.

A file of one's own has the same form, region by region, and its prices win. Machines of a region
whose table has none are taken from ``instance_prices.yaml``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from regions import instance_prices, offers
from regions.region import Region

_FOLDER = Path(__file__).with_name("prices")

Zones = Literal["single-az", "multi-az"]


class Key(BaseModel):
    """One price that a table may have.

    Attributes:
        unit: that the price is for.
        charged_for: as a noun.
        use: whether only the use shows how many units there are.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    unit: str
    charged_for: str = Field(alias="for")
    use: bool = False


KEYS = TypeAdapter(dict[str, Key]).validate_python(
    yaml.safe_load(Path(__file__).with_name("price_keys.yaml").read_text("utf-8"))
)
"""Key -> what it is for."""

_TEXT = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


def _number(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float):
        shown = str(value).lower() if isinstance(value, bool) else repr(value)
        raise ValueError(f"{shown} is no number")
    return value


_AMOUNT = Annotated[float, BeforeValidator(_number), Field(ge=0, allow_inf_nan=False)]


class Source(BaseModel):
    """Where prices were read, and the day on which they were valid."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    date: date
    text: _TEXT = Field(alias="from")


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    price: _AMOUNT
    source: str


class _Machines(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)

    source: str
    prices: dict[str, dict[str, _AMOUNT]]


class _Databases(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    prices: dict[str, dict[Zones, _AMOUNT]]


class _Table(BaseModel):
    """The prices of one region as a file has them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    currency: Annotated[str, StringConstraints(pattern="^[A-Z]{3}$")]
    sources: dict[str, Source]
    prices: dict[str, _Row] = {}
    machines: _Machines | None = None
    databases: _Databases | None = None


@dataclass(frozen=True)
class Price:
    """What one unit costs, and where that was read."""

    amount: float
    source: Source


@dataclass(frozen=True)
class PriceList:
    """The known prices of one region.

    Attributes:
        prices: key -> price.
        machines: instance type -> price of an hour, on demand, Linux.
        databases: class of RDS for MySQL and its zones -> price of an hour.
    """

    region: str
    currency: str
    prices: Mapping[str, Price] = field(default_factory=dict[str, Price])
    machines: Mapping[str, Price] = field(default_factory=dict[str, Price])
    databases: Mapping[tuple[str, str], Price] = field(default_factory=dict[tuple[str, str], Price])


class PricesRejected(Exception):
    """A file of one's own that cannot be used; the message is one sentence with the way out."""


def prices_of(region: str, own: Path | None = None) -> PriceList:
    """The prices of a region, those of one's own file first; a region without table has none.

    Raises:
        PricesRejected: the file is unreadable or has another form.
    """
    shipped = _shipped(region)
    table = _own(own).get(region) if own else None
    if table is None:
        return shipped
    mine = _list(region, table)
    return PriceList(
        region,
        shipped.currency,
        {**shipped.prices, **mine.prices},
        {**shipped.machines, **mine.machines},
        {**shipped.databases, **mine.databases},
    )


@lru_cache(maxsize=16)
def _shipped(region: str) -> PriceList:
    path = _FOLDER / f"{region}.yaml"
    currency = Region.of(region).currency
    known = PriceList(region, currency)
    if path.exists():
        known = _list(region, _Table.model_validate(yaml.safe_load(path.read_text("utf-8"))))
    other = instance_prices.prices_in(region)
    if other is None or known.machines or other.currency != currency:
        return known
    source = Source.model_validate({"date": other.date, "from": other.source})
    machines = {name: Price(float(price), source) for name, price in other.of(other.prices).items()}
    return PriceList(region, currency, known.prices, machines, known.databases)


def _list(region: str, table: _Table) -> PriceList:
    sources = table.sources
    machines, databases = table.machines, table.databases
    return PriceList(
        region,
        table.currency,
        {key: Price(row.price, sources[row.source]) for key, row in table.prices.items()},
        {
            f"{family}.{size}": Price(price, sources[machines.source])
            for family, sizes in (machines.prices if machines else {}).items()
            for size, price in sizes.items()
        }
        if machines
        else {},
        {
            (name, zones): Price(price, sources[databases.source])
            for name, by_zones in databases.prices.items()
            for zones, price in by_zones.items()
        }
        if databases
        else {},
    )


# -- A file of one's own --------------------------------------------------------------------------


@lru_cache(maxsize=4)
def _own(path: Path) -> Mapping[str, _Table]:
    try:
        loaded = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise PricesRejected(
            f"{path} cannot be read ({error.strerror or error}): name a file of prices "
            "(docs/cost.md)."
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise PricesRejected(f"{path} is no YAML ({reason}): see docs/cost.md.") from None
    try:
        tables = TypeAdapter(dict[str, _Table]).validate_python(loaded)
    except ValidationError as error:
        raise PricesRejected(f"{path}: {_first(error)}: see docs/cost.md.") from None
    for region, table in tables.items():
        _refuse_another_region(path, region, table)
        _refuse_unknown_names(path, region, table)
    return tables


def _first(error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in problem["loc"]) or "the file"
    message = problem["msg"].removeprefix("Value error, ")
    value = problem["input"]
    named = isinstance(value, str | int | float) and str(value) not in message
    shown = (
        f", and it is {value!r}"
        if named and problem["type"] not in ("extra_forbidden", "value_error")
        else ""
    )
    return f"{where}: {message[:1].lower()}{message[1:]}{shown}"


def _refuse_another_region(path: Path, region: str, table: _Table) -> None:
    try:
        billed = Region.of(region).currency
    except ValueError as error:
        raise PricesRejected(f"{path}: {region}: {error}") from None
    if table.currency != billed:
        raise PricesRejected(
            f"{path}: {region}.currency is {table.currency}, but the region is billed in "
            f"{billed}: convert the prices."
        )


def _refuse_unknown_names(path: Path, region: str, table: _Table) -> None:
    def refuse(key: str, value: object, known: list[str]) -> None:
        close = get_close_matches(str(value), known, n=1)
        hint = f"did you mean {close[0]}?" if close else "docs/cost.md lists what there is."
        raise PricesRejected(f"{path}: {region}.{key}: {value} is unknown: {hint}")

    for key, row in table.prices.items():
        if key not in KEYS:
            refuse("prices", key, list(KEYS))
        if row.source not in table.sources:
            refuse(f"prices.{key}.source", row.source, list(table.sources))
    for name, part in (("machines", table.machines), ("databases", table.databases)):
        if part and part.source not in table.sources:
            refuse(f"{name}.source", part.source, list(table.sources))
    for family, sizes in (table.machines.prices if table.machines else {}).items():
        offered = offers.families("instances", region)
        if offered and family not in offered:
            refuse("machines.prices", family, list(offered))
        for size in sizes if offered else ():
            if size not in offered[family]:
                refuse(f"machines.prices.{family}", size, list(offered[family]))
    for database in table.databases.prices if table.databases else {}:
        offered = list(offers.names("databases", region))
        if offered and database not in offered:
            refuse("databases.prices", database, offered)
