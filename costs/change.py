"""What a change of a stack costs: the floor before and after, and what differs."""

from __future__ import annotations

from dataclasses import dataclass

from costs.cost import Cost, CostLine


@dataclass(frozen=True)
class ChangedLine:
    """One line that differs between two floors.

    Attributes:
        currency: of the region in which it is.
        before: None: it is new.
        after: None: it is gone.
        monthly: by how much it changes the floor; None: its price is unknown.
    """

    label: str
    currency: str
    before: CostLine | None
    after: CostLine | None
    monthly: float | None

    @property
    def purpose(self) -> str:
        """What it is for: machines of two types have one where the one replaces the other."""
        return self.label.partition(": ")[2]


@dataclass(frozen=True)
class CostChange:
    """The cost of two sides of one stack."""

    before: Cost
    after: Cost

    @property
    def monthly(self) -> float | None:
        """By how much the floor changes, in the currency of the stack's region.

        None where a line that differs has no price: what is missing on one side is no saving.
        """
        return None if self.untold else self.after.monthly - self.before.monthly

    @property
    def untold(self) -> tuple[str, ...]:
        """Labels of the lines that differ and have no price on a side where they are."""
        return tuple(line.label for line in self.lines if line.monthly is None)

    @property
    def rest(self) -> float:
        """By how much the floor changes for purposes of which every price is known.

        A machine without price that takes the place of one with a price is one purpose, so the
        price of the old one is no part of this.
        """
        untold = {line.purpose for line in self.lines if line.monthly is None}
        return sum(
            line.monthly or 0
            for line in self.lines
            if line.purpose not in untold and line.currency == self.after.currency
        )

    @property
    def lines(self) -> tuple[ChangedLine, ...]:
        """The lines that differ: the largest amount first, those without a price at the end."""
        old = {line.label: line for line in self.before.lines}
        new = {line.label: line for line in self.after.lines}
        changed = [
            ChangedLine(
                label,
                line.currency,
                old.get(label),
                new.get(label),
                _difference(old.get(label), new.get(label)),
            )
            for label, line in {**old, **new}.items()
            if old.get(label) != new.get(label)
        ]
        return tuple(
            sorted(
                changed,
                key=lambda line: (line.monthly is None, -abs(line.monthly or 0), line.label),
            )
        )


def _difference(before: CostLine | None, after: CostLine | None) -> float | None:
    """None where a side that has the line has no price of it."""
    old, new = (each.monthly if each else 0.0 for each in (before, after))
    return None if old is None or new is None else new - old
