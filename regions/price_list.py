"""What AWS charges, by region: dated tables in ``prices/``, and a file of one's own beside them.

A file of one's own has the same form, region by region, and its prices win. Machines of a region
whose table has none are taken from ``instance_prices.yaml``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
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
MOST = 100_000
"""No unit of anything costs that much, in no currency of AWS."""
_AMOUNT = Annotated[float, Field(strict=True, ge=0, le=MOST, allow_inf_nan=False)]


def _day(value: date) -> date:
    # A day more than here: the day begins earlier in the east.
    if value > date.today() + timedelta(1):
        raise ValueError
    return value


def _written_day(value: object) -> object:
    return date.fromisoformat(value) if isinstance(value, str) else value


_DAY = Annotated[date, Field(strict=True), BeforeValidator(_written_day), AfterValidator(_day)]


class Source(BaseModel):
    """Where prices were read, and the day on which they were valid."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    date: _DAY
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
    postgresql: _Databases | None = None


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
        postgresql: the same of RDS for PostgreSQL, whose hours have other prices.
    """

    region: str
    currency: str
    prices: Mapping[str, Price] = field(default_factory=dict[str, Price])
    machines: Mapping[str, Price] = field(default_factory=dict[str, Price])
    databases: Mapping[tuple[str, str], Price] = field(default_factory=dict[tuple[str, str], Price])
    postgresql: Mapping[tuple[str, str], Price] = field(
        default_factory=dict[tuple[str, str], Price]
    )


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
        {**shipped.postgresql, **mine.postgresql},
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
    return replace(known, machines=machines)


def _list(region: str, table: _Table) -> PriceList:
    sources = table.sources
    machines = table.machines
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
        _by_class(table.databases, sources),
        _by_class(table.postgresql, sources),
    )


def _by_class(
    part: _Databases | None, sources: Mapping[str, Source]
) -> dict[tuple[str, str], Price]:
    if part is None:
        return {}
    return {
        (name, zones): Price(price, sources[part.source])
        for name, by_zones in part.prices.items()
        for zones, price in by_zones.items()
    }


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
        raise PricesRejected(f"{path}: {_first(error)}") from None
    for region, table in tables.items():
        _refuse_unknown_names(path, region, table)
    return tables


_LIKE_THE_EXAMPLE = "write it as docs/cost.md has it"
_WAYS_OUT = {
    "currency": "write the currency of the region's bill, CNY or USD",
    "date": "write the day on which the price was valid, such as 2026-11-01, none to come",
    "from": "write where the price is from, such as a contract",
    "source": "write a name of the section sources",
    "price": f"write a number from 0 to {MOST}, without quotes",
    "zones": "write single-az or multi-az",
}
"""What is asked for -> the end of the sentence about something else."""


def _first(error: ValidationError) -> str:
    """One sentence about the first value of another form, with its key and the way out."""
    problem = error.errors(include_url=False)[0]
    where = [str(part) for part in problem["loc"] if part != "[key]"]
    key = ".".join(where) or "the file"
    way_out = _WAYS_OUT.get(_asked_for(where, problem["loc"]), _LIKE_THE_EXAMPLE)
    if problem["type"] == "missing":
        return f"{key} is missing: {way_out}."
    if problem["type"] == "extra_forbidden":
        return f"{key} is unknown: {_LIKE_THE_EXAMPLE}."
    return f"{key} is {_shown(problem['input'])}: {way_out}."


def _asked_for(where: list[str], location: tuple[int | str, ...]) -> str:
    match where:
        case [_, "machines" | "databases" | "postgresql", "prices", _, _]:
            return "zones" if "[key]" in location else "price"
        case [_, *_, last]:
            return last
        case _:
            return ""


def _shown(value: Any) -> str:
    """A value as YAML has it, at most 40 characters."""
    text = "empty" if value is None else yaml.safe_dump(value, default_flow_style=True, width=999)
    text = " ".join(text.removesuffix("\n").removesuffix("\n...").split())
    return text if len(text) <= 40 else f"{text[:37]}..."


def _refuse_unknown_names(path: Path, region: str, table: _Table) -> None:
    try:
        currency = Region.of(region).currency
    except ValueError as error:
        raise PricesRejected(f"{path}: {region}: {error}") from None
    if table.currency != currency:
        raise PricesRejected(
            f"{path}: {region}.currency is {table.currency}, but the region is billed in "
            f"{currency}: convert the prices."
        )
    for key, name, known in _names(region, table):
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else "docs/cost.md lists what there is."
            raise PricesRejected(f"{path}: {region}.{key}: {name} is unknown: {hint}")


def _names(region: str, table: _Table) -> Iterator[tuple[str, str, Sequence[str]]]:
    """Each name of a table with its key and the names it may be."""
    sources = list(table.sources)
    for key, row in table.prices.items():
        yield "prices", key, list(KEYS)
        yield f"prices.{key}.source", row.source, sources
    classes = (("databases", table.databases), ("postgresql", table.postgresql))
    for name, part in (("machines", table.machines), *classes):
        if part:
            yield f"{name}.source", part.source, sources
    offered = offers.families("instances", region)
    for family, sizes in table.machines.prices.items() if table.machines else ():
        if offered:
            yield "machines.prices", family, list(offered)
        for size in sizes:
            yield f"machines.prices.{family}", size, offered.get(family) or _sizes_like(size)
    for name, part in classes:
        known = offers.names("databases" if name == "databases" else "postgresDatabases", region)
        for database in part.prices if part else ():
            start, _, size = database.rpartition(".")
            named = [f"{start}.{each}" for each in _sizes_like(size) if start.startswith("db.")]
            yield f"{name}.prices", database, list(known) or named


_SIZES = ("nano", "micro", "small", "medium", "large", "xlarge", "2xlarge", "4xlarge", "metal")
_SIZE = re.compile("[0-9]+xlarge|metal(-[0-9]+xl)?")


def _sizes_like(size: str) -> tuple[str, ...]:
    """Sizes as AWS names them, for a region of which nothing says what it offers.

    https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html
    """
    return (*_SIZES, *([size] if _SIZE.fullmatch(size) else []))
