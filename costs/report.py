"""A cost as text of at most 80 columns, as rows for programs, and the lines that end a preview."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from costs.billing import Row
from costs.cost import Cost, CostLine, cost_of
from costs.pools import PoolCost

OWN = "KUBEFLOW_PRICES"
"""The environment variable with the path of a file of one's own prices."""
WIDTH = 80


def own_prices(named: Path | None = None) -> Path | None:
    """The file of one's own prices: the one that is named, or that of ``OWN``."""
    return named or (Path(os.environ[OWN]) if os.environ.get(OWN) else None)


def preview_lines(rows: Sequence[Row], region: str, stack: str) -> list[str]:
    """What ends a preview: floor, busiest hour, pools, and what has no price.

    Args:
        rows: of plan.json.
        region: of the stack.
        stack: for the command that shows all of it.

    Raises:
        PricesRejected: the file of one's own prices is unreadable or has another form.
    """
    cost = cost_of(rows, region, own=own_prices())
    names = ", ".join(dict.fromkeys(line.label.partition(":")[0] for line in cost.unpriced))
    lines = [_pair("cost", floor(cost)), _pair("busiest hour", busiest(cost))]
    lines += [line for pool in cost.pools for line in _wrapped(f"pool {pool.name}", ceiling(pool))]
    if cost.first_copy:
        bytes_ = cost.first_copy.sentences[0]
        lines += _wrapped("first copy", f"{cost.first_copy.images} images. {bytes_}")
    if names:
        lines += _wrapped("without price", names)
    lines += _wrapped("prices", cost.stale[0] if cost.stale else "")
    return [*lines, _pair("", f"all of it: ./kf cost --stack {stack}")]


def table(cost: Cost) -> Iterator[str]:
    """All of a cost for people."""
    yield f"{'a month, nothing used':<46}{'quantity':>11} {'price':>10}{cost.currency:>12}"
    for line in cost.lines:
        yield from _line(line)
    yield from _total("floor", cost, cost.currency, cost.monthly)
    for currency, monthly in cost.elsewhere.items():
        yield from _total(f"floor elsewhere, {currency}", cost, currency, monthly)
    yield ""
    yield _pair("busiest hour", busiest(cost))
    for pool in cost.pools:
        yield from _pool(pool)
    if cost.first_copy:
        sentences = " ".join(cost.first_copy.sentences)
        yield from _wrapped("first copy", f"{cost.first_copy.images} images. {sentences}")
    known = [use for use in cost.uses if use.price is not None]
    if known:
        yield ""
        yield "by use, in no total"
        for use in known:
            where = "" if use.region == cost.region else f", {use.region}"
            price = f"{use.currency} {use.price:.7g} per {use.unit}"
            yield from _between(use.label + where, price)
    for title, sentences in (("without a price", cost.unknown), ("old prices", cost.stale)):
        if sentences:
            yield ""
            yield title
            for sentence in sentences:
                yield from _lines(sentence, WIDTH, indent="  ")


def rows_of(cost: Cost) -> list[dict[str, Any]]:
    """All of a cost as rows of the same keys, for programs that read lines."""
    rows = [
        _row(
            "floor",
            line.label,
            line.region,
            line.quantity,
            line.unit,
            line.price,
            line.monthly,
            line.currency,
        )
        for line in cost.lines
    ]
    rows += [
        _row("use", use.label, use.region, None, use.unit, use.price, None, use.currency)
        for use in cost.uses
    ]
    rows += [
        _row(
            "pool",
            pool.name if pool.bounded else f"{pool.name}, at least",
            "",
            pool.limit,
            pool.resource,
            pool.hour or None,
            pool.month or None,
            pool.currency,
        )
        for pool in cost.pools
    ]
    rows += [
        _row("total", name + _least(cost, currency), "", None, "", None, monthly, currency)
        for name, currency, monthly in (
            ("floor", cost.currency, cost.monthly),
            *(("floor elsewhere", *each) for each in cost.elsewhere.items()),
        )
    ]
    hour = "busiest hour, at least" if _partly(cost) else "busiest hour"
    rows.append(_row("total", hour, "", 1, "hour", cost.hour_busiest, None, cost.currency))
    return rows


def json_of(cost: Cost, stack: str) -> dict[str, Any]:
    """All of a cost as plain values."""
    pools = [
        {
            "name": pool.name,
            "limit": pool.limit,
            "resource": pool.resource,
            "capacity": list(pool.capacity),
            "complete": pool.bounded,
            "most": _filling(pool, "most"),
            "least": _filling(pool, "least"),
            "types": pool.types,
            "without_price": list(pool.unpriced),
            "disks_priced": pool.disks_priced,
        }
        for pool in cost.pools
    ]
    return {
        "stack": stack,
        "currency": cost.currency,
        "complete": cost.complete,
        "lines_without_price": len(cost.unpriced),
        "monthly": round(cost.monthly, 2),
        "hour_busiest": round(cost.hour_busiest, 2),
        "elsewhere": {
            name: None if monthly is None else round(monthly, 2)
            for name, monthly in cost.elsewhere.items()
        },
        "lines": [_exact(asdict(line)) for line in cost.lines],
        "by_use": [_exact(asdict(use)) for use in cost.uses],
        "pools": pools,
        "first_copy": asdict(cost.first_copy) if cost.first_copy else None,
        "unknown": list(cost.unknown),
        "old": list(cost.stale),
    }


# -- Parts ----------------------------------------------------------------------------------------


def money(amount: float) -> str:
    """``8,368.72``."""
    return f"{amount:,.2f}"


def floor(cost: Cost) -> str:
    """The floor in words: at least where something has no price."""
    lines = [line for line in cost.lines if line.currency == cost.currency]
    unpriced = sum(line.price is None for line in lines)
    if unpriced and unpriced == len(lines):
        return f"unknown: none of its {unpriced} lines has a price"
    least = "at least " if unpriced else ""
    more = f", {unpriced} of {len(lines)} lines without price" if unpriced else ""
    return f"{least}{cost.currency} {money(cost.monthly)} a month{more}"


def busiest(cost: Cost) -> str:
    """The busiest hour in words."""
    return f"{'at least ' if _partly(cost) else ''}{cost.currency} {money(cost.hour_busiest)}"


def _partly(cost: Cost) -> bool:
    return not (cost.complete and all(pool.bounded for pool in cost.pools))


def ceiling(pool: PoolCost) -> str:
    """What a pool can cost, in words."""
    if pool.most is None:
        return f"unknown: none of its {pool.types} types has a price"
    most = "up to" if pool.bounded else "at least"
    amounts = f"{pool.currency} {money(pool.hour)} an hour, {money(pool.month)} a month"
    return f"{most} {amounts} ({'; '.join([pool.most.mix, *_lacking(pool)])})"


def _lacking(pool: PoolCost, most: int = 6) -> Iterator[str]:
    """What a full pool may have beside what is priced."""
    names = [*pool.unpriced[:most], *([] if pool.disks_priced else ["disks"])]
    more = len(pool.unpriced) - most
    if names:
        yield f"no price of {', '.join(names)}{f' and {more} more types' if more > 0 else ''}"


def _pool(pool: PoolCost) -> Iterator[str]:
    yield from _wrapped(f"pool {pool.name}", ceiling(pool))
    if pool.most and pool.least:
        kinds = ", ".join(pool.capacity)
        spot = "; Spot counted at the price on demand" if "spot" in pool.capacity else ""
        least = f"{pool.currency} {money(pool.least.hour)} an hour ({pool.least.mix})"
        most = "" if pool.bounded else "at least "
        cheapest = "cheapest machines that have a price" if pool.unpriced else "cheapest machines"
        text = f"{most}{money(pool.day)} a day; full with the {cheapest} {least}; {kinds}{spot}"
        yield from _wrapped("", text)


def _line(line: CostLine) -> Iterator[str]:
    label = _lines(line.label, 45)
    unit = "h" if line.unit in ("hour", "vCPU-hour") else line.unit.removesuffix("month")
    unit = unit.removesuffix("-")
    price = "unknown" if line.price is None else f"{line.price:.7g}"
    month = "" if line.monthly is None else money(line.monthly)
    quantity = f"{line.quantity:,.1f}".removesuffix(".0")
    yield f"{label[0]:<46}{quantity + ' ' + unit:>11} {price:>10}{month:>12}".rstrip()
    yield from (f"  {part}" for part in label[1:])


def _total(name: str, cost: Cost, currency: str, monthly: float | None) -> Iterator[str]:
    """The sum of the lines in one currency, with what is missing in it."""
    words = _lines(name + _least(cost, currency), 66)
    prices = [line.price for line in cost.lines if line.currency == currency]
    none = bool(prices) and all(price is None for price in prices)
    amount = "unknown" if none or monthly is None else money(monthly)
    yield f"{words[0]:<{WIDTH - len(amount)}}{amount}"
    yield from (f"  {part}" for part in words[1:])


def _least(cost: Cost, currency: str) -> str:
    """What is added to the name of a sum that lacks a price."""
    lines = [line for line in cost.lines if line.currency == currency]
    unpriced = sum(line.price is None for line in lines)
    return f", at least: {unpriced} of {len(lines)} lines without price" if unpriced else ""


def _between(left: str, right: str) -> Iterator[str]:
    """One line with the parts at its ends, or two."""
    if len(left) + len(right) < WIDTH:
        yield left.ljust(WIDTH - len(right)) + right
    else:
        yield left
        yield right.rjust(WIDTH)


def _lines(text: str, width: int, indent: str = "") -> list[str]:
    return textwrap.wrap(text, width, subsequent_indent=indent, break_on_hyphens=False)


def _pair(name: str, text: str) -> str:
    return f"{name:<14} {text}".rstrip()


def _wrapped(name: str, text: str) -> list[str]:
    lines = _lines(text, WIDTH - 15)
    return [_pair("" if number else name, line) for number, line in enumerate(lines)]


def _row(*values: Any) -> dict[str, Any]:
    keys = ("kind", "what", "region", "quantity", "unit", "price", "monthly", "currency")
    return _exact(dict(zip(keys, values, strict=True)))


def _exact(row: dict[str, Any]) -> dict[str, Any]:
    """Without what binary numbers add: 10.95 and not 10.950000000000001."""
    return {
        key: float(f"{value:.12g}") if isinstance(value, float) else value
        for key, value in row.items()
    }


def _filling(pool: PoolCost, name: str) -> dict[str, Any] | None:
    filling = pool.most if name == "most" else pool.least
    return {"hour": round(filling.hour, 4), "mix": filling.mix} if filling else None
