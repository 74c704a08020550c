"""What a stack costs on both sides."""

from __future__ import annotations

from collections.abc import Iterator

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
from review.review import Cost, CostChange, Review
from review.values import (
    shown,
    visible,
)

_CENT = 0.01


def money(amount: float, currency: str) -> str:
    """``1,234 USD``, and cents below ten."""
    return f"{amount:,.2f} {currency}" if abs(amount) < 10 else f"{amount:,.0f} {currency}"


def cost_in_words(cost: CostChange) -> str:
    """The floor, by how much it changes, and how much of it is unknown."""
    before, after = cost.before, cost.after
    difference = after.monthly - before.monthly
    floor = f"Cost {money(after.monthly, after.currency)} a month at least"
    notes: list[str] = []
    if any(None in each for each in _differing(before, after)):
        # A machine without price in place of one with a price is no saving.
        notes.append("change unknown")
    elif before.currency == after.currency and abs(difference) >= _CENT:
        sign = "+" if difference > 0 else "-"
        notes.append(f"{sign}{money(abs(difference), after.currency)}")
    if after.unknown:
        notes.append(f"{counted(len(after.unknown), 'price')} unknown")
    return f"{floor} ({', '.join(notes)})" if notes else floor


def _differing(before: Cost, after: Cost) -> Iterator[tuple[float | None, float | None]]:
    sides = [{line.label: line.monthly for line in cost.lines} for cost in (before, after)]
    for label in {*sides[0], *sides[1]}:
        both = (sides[0].get(label, 0.0), sides[1].get(label, 0.0))
        if both[0] != both[1]:
            yield both


def cost_section(review: Review) -> Section | None:
    """Totals of both sides, what differs, and what has no price; None where nothing is known."""
    if review.cost is None:
        return None
    both = review.cost.before, review.cost.after
    rows = [
        _amounts("per month, at least", *((each.monthly, each.currency) for each in both)),
        *(
            _amounts(
                f"per month, at least, in {currency}",
                *((each.elsewhere.get(currency, 0.0), currency) for each in both),
            )
            for currency in sorted({*both[0].elsewhere, *both[1].elsewhere})
            if any(each.elsewhere.get(currency) for each in both)
        ),
        _amounts("busiest hour", *((each.hour_busiest, each.currency) for each in both)),
        *_pools(*both),
    ]
    changed = [row for row in _lines_of_cost(*both) if row[1] != row[2]]
    head = ("", "before", "after")
    blocks: list[Block] = [Table(head, (*rows, *changed), "lines of the cost")]
    unknown = tuple(dict.fromkeys(both[1].unknown))
    if unknown:
        items = tuple(Entry((Code(shown(text, longest=300)),)) for text in unknown)
        summary_line = f"{counted(len(unknown), 'price')} unknown, not in these amounts"
        blocks.append(Folded((summary_line,), (Entries(items, "prices"),)))
    return Section("Cost", tuple(blocks), 2, review.stack)


_Amount = tuple[float | None, str]


def _amounts(label: str, before: _Amount | None, after: _Amount | None) -> tuple[Text, ...]:
    cells = ("-" if each is None else _money_of(*each) for each in (before, after))
    return ((label,), *((cell,) for cell in cells))


def _money_of(amount: float | None, currency: str) -> str:
    return "unknown" if amount is None else money(amount, currency)


def _pools(before: Cost, after: Cost) -> Iterator[tuple[Text, ...]]:
    sides = [
        {pool.name: (pool.most.hour if pool.most else None, pool.currency) for pool in cost.pools}
        for cost in (before, after)
    ]
    for name in sorted({*sides[0], *sides[1]}):
        label = f"pool {visible(name)} when full, as far as prices are known, an hour"
        yield _amounts(label, sides[0].get(name), sides[1].get(name))


def _lines_of_cost(before: Cost, after: Cost) -> Iterator[tuple[Text, ...]]:
    sides = [
        {line.label: (line.monthly, cost.currency) for line in cost.lines}
        for cost in (before, after)
    ]
    for label in dict.fromkeys((*sides[1], *sides[0])):
        yield _amounts(label, sides[0].get(label), sides[1].get(label))
