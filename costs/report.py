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
    unpriced = [line for line in cost.lines if line.price is None]
    names = ", ".join(dict.fromkeys(line.label.partition(":")[0] for line in unpriced))
    lines = [_pair("cost", floor(cost)), _pair("busiest hour", busiest(cost))]
    lines += [line for pool in cost.pools for line in _wrapped(f"pool {pool.name}", ceiling(pool))]
    if unpriced:
        lines += _wrapped("without price", names)
    lines += _wrapped("prices", cost.stale[0] if cost.stale else "")
    return [*lines, _pair("", f"all of it: ./kf cost --stack {stack}")]


def table(cost: Cost) -> Iterator[str]:
    """All of a cost for people."""
    yield f"{'a month, nothing used':<46}{'quantity':>11} {'price':>10}{cost.currency:>12}"
    for line in cost.lines:
        yield from _line(line)
    for currency, monthly in {cost.currency: cost.monthly, **cost.elsewhere}.items():
        title = "floor" if currency == cost.currency else f"floor elsewhere, {currency}"
        least = _least(cost, currency)
        known = any(line.price is not None for line in _in(cost, currency))
        amount = money(monthly) if known or not least else "unknown"
        yield f"{title + least * known:<46}{'':>11} {'':>10}{amount:>12}"
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
            pool.name,
            "",
            pool.limit,
            pool.resource,
            pool.hour or None,
            pool.month or None,
            pool.currency,
        )
        for pool in cost.pools
    ]
    for currency, monthly in {cost.currency: cost.monthly, **cost.elsewhere}.items():
        what = f"floor{_least(cost, currency)}"
        rows.append(_row("total", what, "", None, "", None, monthly, currency))
    what = f"busiest hour{', at least' if _partly(cost) else ''}"
    rows.append(_row("total", what, "", 1, "hour", cost.hour_busiest, None, cost.currency))
    return rows


def json_of(cost: Cost, stack: str) -> dict[str, Any]:
    """All of a cost as plain values."""
    pools = [
        {
            "name": pool.name,
            "limit": pool.limit,
            "resource": pool.resource,
            "capacity": list(pool.capacity),
            "most": _filling(pool, "most"),
            "most_is_least": not pool.bounded,
            "least": _filling(pool, "least"),
            "types": pool.types,
            "without_price": list(pool.unpriced),
        }
        for pool in cost.pools
    ]
    return {
        "stack": stack,
        "currency": cost.currency,
        "monthly": round(cost.monthly, 2),
        "monthly_is_least": bool(_least(cost, cost.currency)),
        "hour_busiest": round(cost.hour_busiest, 2),
        "hour_busiest_is_least": _partly(cost),
        "elsewhere": {name: round(monthly, 2) for name, monthly in cost.elsewhere.items()},
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
    unpriced = sum(line.price is None for line in cost.lines)
    least = "at least " if unpriced else ""
    more = f", {unpriced} of {len(cost.lines)} lines without price" if unpriced else ""
    return f"{least}{cost.currency} {money(cost.monthly)} a month{more}"


def busiest(cost: Cost) -> str:
    """The busiest hour in words."""
    return f"{'at least ' if _partly(cost) else ''}{cost.currency} {money(cost.hour_busiest)}"


def _partly(cost: Cost) -> bool:
    """Whether the busiest hour lacks the price of something."""
    return any(line.price is None for line in cost.lines) or not all(
        pool.bounded for pool in cost.pools
    )


def _in(cost: Cost, currency: str) -> list[CostLine]:
    return [line for line in cost.lines if line.currency == currency]


def _least(cost: Cost, currency: str) -> str:
    """What follows the name of a total that lacks the price of something."""
    return ", at least" if any(line.price is None for line in _in(cost, currency)) else ""


def ceiling(pool: PoolCost) -> str:
    """What a pool can cost, in words."""
    if pool.most is None:
        return f"unknown: none of its {pool.types} types has a price"
    hour, month = money(pool.hour), money(pool.month)
    if pool.bounded:
        return f"up to {pool.currency} {hour} an hour, {month} a month ({pool.most.mix})"
    # A machine without a price can be the dearest.
    lacks = f", {len(pool.unpriced)} of {pool.types} types without price" if pool.unpriced else ""
    disks = "" if pool.disks_priced else ", disks without price"
    amount = f"{pool.currency} {hour} an hour, {month} a month"
    return f"no ceiling known: {amount} and more ({pool.most.mix}{lacks}{disks})"


def _pool(pool: PoolCost) -> Iterator[str]:
    yield from _wrapped(f"pool {pool.name}", ceiling(pool))
    if pool.most and pool.least:
        kinds = ", ".join(pool.capacity)
        spot = "; Spot counted at the price on demand" if "spot" in pool.capacity else ""
        least = f"{pool.currency} {money(pool.least.hour)} an hour ({pool.least.mix})"
        text = f"{money(pool.day)} a day; full with the cheapest machines {least}; {kinds}{spot}"
        yield from _wrapped("", text)


def _line(line: CostLine) -> Iterator[str]:
    label = _lines(line.label, 45)
    unit = {"hour": "h", "GB-month": "GB", "month": "", "vCPU-hour": "h"}[line.unit]
    price = "unknown" if line.price is None else f"{line.price:.7g}"
    month = "" if line.monthly is None else money(line.monthly)
    quantity = f"{line.quantity:,.1f}".removesuffix(".0")
    yield f"{label[0]:<46}{quantity + ' ' + unit:>11} {price:>10}{month:>12}".rstrip()
    yield from (f"  {part}" for part in label[1:])


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
