"""The cost of a plan: its charges, each with its price or named as unknown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path

from costs.billing import HOURS, Item, Plan, Row, Uncounted, Use, charges
from costs.copies import Amount, sentences
from costs.pools import PoolCost, pools_of
from regions.price_list import KEYS, Price, PriceList, prices_of

STALE_DAYS = 180
"""A price older than this is named with its age."""


@dataclass(frozen=True)
class CostLine:
    """What one kind of thing costs as long as it exists.

    Attributes:
        label: what it is, what for, and where if not in the region of the stack.
        quantity: of units, in a month.
        price: of one unit; None: unknown.
        monthly: quantity times price; None where that is unknown.
        currency: of the region in which it is.
    """

    label: str
    quantity: float
    unit: str
    price: float | None
    monthly: float | None
    currency: str
    region: str


@dataclass(frozen=True)
class UseLine:
    """What is charged by use, which a plan does not show: none of it is in a total.

    Attributes:
        price: of one unit; None: unknown.
    """

    label: str
    unit: str
    price: float | None
    currency: str
    region: str


@dataclass(frozen=True)
class FirstCopy:
    """The first copy of every image into the account's own registry.

    Attributes:
        images: how many.
        bytes: of those whose size images.lock has.
        unknown: images of unknown size.
        sentences: what of it costs money, and what is unknown.
    """

    images: int
    bytes: int
    unknown: int
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Cost:
    """What a stack costs.

    Attributes:
        region: of the stack.
        currency: in which that region is billed.
        monthly: the floor: everything at its smallest size for a month, nothing used.
        hour_busiest: everything at its largest size and every pool full, in an hour, nothing used.
        lines: of the floor, the dearest first, then those without a price.
        uses: what is charged beside the floor by use.
        pools: of Karpenter, by name.
        first_copy: None: nothing is copied.
        elsewhere: other currency -> floor of what the stack has in regions that are billed in it;
            None where none of it has a price.
        unknown: sentences: prices that no table has, each with what it is for.
        stale: sentences: prices older than ``STALE_DAYS``.
    """

    region: str
    currency: str
    monthly: float
    hour_busiest: float
    lines: tuple[CostLine, ...]
    uses: tuple[UseLine, ...]
    pools: tuple[PoolCost, ...]
    first_copy: FirstCopy | None
    elsewhere: Mapping[str, float | None] = field(default_factory=dict[str, float | None])
    unknown: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()

    @property
    def unpriced(self) -> tuple[CostLine, ...]:
        """The lines without a price."""
        return tuple(line for line in self.lines if line.price is None)

    @property
    def complete(self) -> bool:
        """Whether every line has a price; else a floor is only known to be at least that much."""
        return not self.unpriced


@dataclass
class _Account:
    """What is added up, one charge after the other."""

    find: Callable[[str], PriceList]
    used: list[tuple[str, Price]] = field(default_factory=list[tuple[str, Price]])
    unknown: list[str] = field(default_factory=list[str])

    def price_of(self, item: Item) -> Price | None:
        prices = self.find(item.region)
        if item.refused:
            return None
        if item.kind == "machine":
            return prices.machines.get(item.name)
        if item.kind in ("database", "postgresql"):
            class_, _, zones = item.name.partition(" ")
            of_engine = prices.databases if item.kind == "database" else prices.postgresql
            return of_engine.get((class_, zones))
        return prices.prices.get(item.kind)


def cost_of(
    rows: Sequence[Row], region: str, *, own: Path | None = None, today: date | None = None
) -> Cost:
    """What the rows of a plan.json cost.

    Args:
        rows: those of operation ``delete`` cost nothing.
        region: of the stack.
        own: a file of one's own prices, which win.
        today: by which prices are old and support has ended; None: the day itself.

    Raises:
        PricesRejected: ``own`` is unreadable or has another form.
    """
    kept = [row for row in rows if row.get("operation") != "delete"]
    plan = Plan(kept, region, today or date.today())

    @cache
    def find(name: str) -> PriceList:
        return prices_of(name, own)

    account = _Account(find)
    every = list(charges(plan))
    items = _joined(each for each in every if isinstance(each, Item))
    priced = [(item, _label(item, region), account.price_of(item)) for item in items]
    account.used += [(label, price) for _, label, price in priced if price]
    uncounted = list(dict.fromkeys(each for each in every if isinstance(each, Uncounted)))
    lines = [
        *(_line(item, label, price, find) for item, label, price in priced),
        *(_line_without_kind(each, find) for each in uncounted),
    ]
    uses = list(dict.fromkeys(each for each in every if isinstance(each, Use)))
    pools = tuple(pools_of(plan, find(region)))
    home = find(region).currency
    here = [line for line in lines if line.currency == home]
    there = {
        other: [line for line in lines if line.currency == other]
        for other in sorted({line.currency for line in lines} - {home})
    }
    busiest = sum(
        price.amount * item.most / (1 if item.hourly else HOURS)
        for item, _, price in priced
        if price and find(item.region).currency == home
    )
    for pool in pools:
        fillings = [filling for filling in (pool.most, pool.least) if filling]
        account.used += [(f"pool {pool.name}", each) for way in fillings for each in way.prices]
    return Cost(
        region=region,
        currency=home,
        monthly=_sum(here),
        hour_busiest=busiest + sum(pool.hour for pool in pools),
        lines=tuple(sorted(lines, key=_dearest_first)),
        uses=tuple(
            _use_line(use, find)
            for use in sorted(uses, key=lambda use: (use.region != region, use.key))
        ),
        pools=pools,
        first_copy=_first_copy(plan, uses, find),
        elsewhere={
            other: _sum(of_it) if any(line.price is not None for line in of_it) else None
            for other, of_it in there.items()
        },
        unknown=tuple(_unknown(priced, uses, uncounted, pools, find)),
        stale=tuple(_stale(account.used, plan.today)),
    )


def _dearest_first(line: CostLine) -> tuple[bool, float, str]:
    return (line.price is None, -(line.monthly or 0), line.label)


def _sum(lines: Iterable[CostLine]) -> float:
    return sum(line.monthly or 0 for line in lines)


def _joined(items: Iterable[Item]) -> list[Item]:
    """Items of one kind and purpose as one."""
    joined: dict[tuple[str, ...], Item] = {}
    for item in items:
        key = (item.region, item.kind, item.name, item.purpose)
        before = joined.get(key)
        units, most = (before.units, before.most) if before else (0.0, 0.0)
        joined[key] = Item(
            item.region,
            item.kind,
            units + item.units,
            most + item.most,
            item.purpose,
            item.name,
            item.refused,
        )
    return list(joined.values())


def _label(item: Item, home: str) -> str:
    there = "" if item.region == home else f" ({item.region})"
    return f"{_what(item)}: {item.purpose}{there}"


def _what(item: Item) -> str:
    if item.kind == "postgresql":
        return f"{item.name}, PostgreSQL"
    if item.kind in ("machine", "database"):
        return item.name
    return KEYS[item.kind].charged_for if item.kind in KEYS else item.kind


def _line(
    item: Item, label: str, price: Price | None, find: Callable[[str], PriceList]
) -> CostLine:
    quantity = item.units * HOURS if item.hourly else item.units
    amount = price.amount if price else None
    monthly = quantity * amount if amount is not None else None
    currency = find(item.region).currency
    return CostLine(label, quantity, item.unit, amount, monthly, currency, item.region)


def _line_without_kind(each: Uncounted, find: Callable[[str], PriceList]) -> CostLine:
    label, currency = f"{each.type}: {each.name}", find(each.region).currency
    return CostLine(label, 1, "month", None, None, currency, each.region)


def _use_line(use: Use, find: Callable[[str], PriceList]) -> UseLine:
    prices, key = find(use.region), KEYS[use.key]
    price = prices.prices.get(use.key)
    amount = price.amount if price else None
    return UseLine(key.charged_for, key.unit, amount, prices.currency, use.region)


def _first_copy(
    plan: Plan, uses: Sequence[Use], find: Callable[[str], PriceList]
) -> FirstCopy | None:
    rows = [row["inputs"] for row in plan.of("pulumi-python:dynamic:MirroredImages")]
    images = [image for row in rows for image in row["images"]]
    if not images:
        return None
    sizes = {image: int(size) for row in rows for image, size in row.get("bytes", {}).items()}
    amount = Amount.of(images, sizes)
    copied = ("codebuild.small", "transfer.out", "ecr.stored")
    of_copies = [(use.key, use.region) for use in uses if use.key in copied]
    return FirstCopy(
        amount.images, amount.bytes, amount.unknown, tuple(sentences(amount, of_copies, find))
    )


# -- What is unknown, and what is old -------------------------------------------------------------


def _unknown(
    priced: Sequence[tuple[Item, str, Price | None]],
    uses: Sequence[Use],
    uncounted: Sequence[Uncounted],
    pools: Sequence[PoolCost],
    find: Callable[[str], PriceList],
) -> Iterator[str]:
    for item, _, price in priced:
        if price is None:
            reason = item.refused or _key(item)
            yield f"{_what(item)} in {item.region}, {_count(item)}: no price ({reason})."
    for use in uses:
        if use.key not in find(use.region).prices:
            yield f"{KEYS[use.key].charged_for} in {use.region}, by use: no price ({use.key})."
    for each in uncounted:
        yield f"{each.name}: {each.reason or f'nothing says what a {each.type} costs'}."
    for pool in pools:
        if pool.unpriced:
            some = ", ".join(pool.unpriced[:3]) + (", ..." if len(pool.unpriced) > 3 else "")
            number = f"{len(pool.unpriced)} of {pool.types} types"
            yield f"pool {pool.name}: {number} have no price (machines: {some})."
        if not pool.disks_priced:
            yield f"disks of pool {pool.name}: no price (ebs.gp3)."


def _key(item: Item) -> str:
    if item.kind in ("machine", "database"):
        return f"{item.kind}s: {item.name}"
    if item.kind == "postgresql":
        return f"postgresql: {item.name}"
    return item.kind if item.kind in KEYS else "a kind that no table knows"


def _count(item: Item) -> str:
    if item.hourly:
        return f"{_number(item.units * HOURS)} {item.unit}s a month"
    unit = item.unit.removesuffix("-month")
    return _number(item.units) if unit == "month" else f"{_number(item.units)} {unit}"


def _stale(used: Iterable[tuple[str, Price]], today: date) -> Iterator[str]:
    by_date: dict[date, list[str]] = {}
    for label, price in used:
        if (today - price.source.date).days > STALE_DAYS:
            by_date.setdefault(price.source.date, []).append(label.partition(":")[0])
    for day, labels in sorted(by_date.items()):
        names = ", ".join(dict.fromkeys(labels))
        yield f"{(today - day).days} days old, of {day}: {names}."


def _number(quantity: float) -> str:
    return f"{quantity:,.1f}".removesuffix(".0")
