"""What a stack costs on both sides."""

from __future__ import annotations

from collections.abc import Iterator

from costs import Cost, CostChange, CostLine, PoolCost
from review.blocks import (
    Block,
    Code,
    Entries,
    Entry,
    Folded,
    Section,
    Table,
    Text,
    counted,
)
from review.review import Review
from review.values import (
    shown,
    visible,
)

_CENT = 0.01
_NAMED = 2
"""Lines named in a sentence."""


def money(amount: float, currency: str) -> str:
    """``1,234 USD``, and cents below ten."""
    return f"{amount:,.2f} {currency}" if abs(amount) < 10 else f"{amount:,.0f} {currency}"


def cost_in_words(cost: CostChange) -> str:
    """The floor, by how much it changes, and how much of it is unknown."""
    before, after = cost.before, cost.after
    floor = f"Cost {money(after.monthly, after.currency)} a month at least"
    notes = _difference(cost) if before.currency == after.currency else []
    if after.unknown:
        notes.append(f"{counted(len(after.unknown), 'price')} unknown")
    return f"{floor} ({', '.join(notes)})" if notes else floor


def _difference(cost: CostChange) -> list[str]:
    """By how much the floor changes; never from a line that lacks a price on a side."""
    currency, known = cost.after.currency, cost.rest if cost.monthly is None else cost.monthly
    signed = f"{'+' if known > 0 else '-'}{money(abs(known), currency)}"
    amount = [signed] if abs(known) >= _CENT else []
    if cost.monthly is not None:
        return amount
    names = "; ".join(visible(each) for each in cost.untold[:_NAMED])
    more = f"; and {len(cost.untold) - _NAMED} more" if len(cost.untold) > _NAMED else ""
    change = f"change cannot be told: no price of {names}{more}"
    it = "it" if len(cost.untold) == 1 else "them"
    return [change, *(f"{each} without {it}" for each in amount)]


def cost_section(review: Review) -> Section | None:
    """Totals of both sides, what differs, and what has no price; None where nothing is known."""
    if review.cost is None:
        return None
    both = review.cost.before, review.cost.after
    rows = [
        _row("per month, at least", *(_floor(each, each.currency, each.monthly) for each in both)),
        *_elsewhere(*both),
        _row("busiest hour, at least", *(money(each.hour_busiest, each.currency) for each in both)),
        *_pools(*both),
    ]
    changed = [
        _row(
            visible(line.label), *(_line(each, line.currency) for each in (line.before, line.after))
        )
        for line in review.cost.lines
    ]
    head = ("", "before", "after")
    blocks: list[Block] = [Table(head, (*rows, *changed), "lines of the cost")]
    unknown = tuple(dict.fromkeys(both[1].unknown))
    if unknown:
        items = tuple(Entry((Code(shown(text, longest=300)),)) for text in unknown)
        summary_line = f"{counted(len(unknown), 'price')} unknown, not in these amounts"
        blocks.append(Folded((summary_line,), (Entries(items, "prices"),)))
    return Section("Cost", tuple(blocks), 2, review.stack)


def _row(label: str, before: str, after: str) -> tuple[Text, ...]:
    return (label,), (before,), (after,)


def _floor(cost: Cost, currency: str, amount: float | None) -> str:
    """The sum of what has a price in one currency, and how many lines have none."""
    if amount is None:
        return "unknown"
    lines = sum(line.currency == currency for line in cost.unpriced)
    return money(amount, currency) + (
        f" and {counted(lines, 'line')} without price" if lines else ""
    )


def _elsewhere(before: Cost, after: Cost) -> Iterator[tuple[Text, ...]]:
    for currency in sorted({*before.elsewhere, *after.elsewhere}):
        cells = [
            _floor(each, currency, each.elsewhere[currency]) if currency in each.elsewhere else "-"
            for each in (before, after)
        ]
        if set(cells) != {"unknown"}:
            yield _row(f"per month, at least, in {currency}", cells[0], cells[1])


def _line(line: CostLine | None, currency: str) -> str:
    if line is None:
        return "-"
    return (
        f"unknown, quantity {line.quantity:,.7g}"
        if line.monthly is None
        else money(line.monthly, currency)
    )


def _pools(before: Cost, after: Cost) -> Iterator[tuple[Text, ...]]:
    sides = [{pool.name: _full(pool) for pool in cost.pools} for cost in (before, after)]
    for name in sorted({*sides[0], *sides[1]}):
        cells = [side.get(name, "-") for side in sides]
        yield _row(f"pool {visible(name)} when full, an hour", cells[0], cells[1])


def _full(pool: PoolCost) -> str:
    """What it costs in an hour; no ceiling while anything in it has no price."""
    if pool.most is None:
        return "unknown"
    at = "at most" if pool.bounded else "at least"
    return f"{at} {money(pool.most.hour, pool.currency)}"
