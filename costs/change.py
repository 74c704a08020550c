"""What a change of a stack costs: the floor before and after, and what differs."""

from __future__ import annotations

from dataclasses import dataclass

from costs.cost import Cost, CostLine


@dataclass(frozen=True)
class ChangedLine:
    """One line that differs between two floors.

    Attributes:
        before: None: it is new.
        after: None: it is gone.
        monthly: by how much it changes the floor; None: its price is unknown.
    """

    label: str
    before: CostLine | None
    after: CostLine | None
    monthly: float | None


@dataclass(frozen=True)
class CostChange:
    """The cost of two sides of one stack."""

    before: Cost
    after: Cost

    @property
    def monthly(self) -> float | None:
        """By how much the floor changes, in the currency of the stack's region.

        None: a line that differs has no price, so that the difference of the floors is none of the
        change: a machine without price in place of one with a price is no saving.
        """
        if any(line.monthly is None for line in self.lines):
            return None
        return self.after.monthly - self.before.monthly

    @property
    def lines(self) -> tuple[ChangedLine, ...]:
        """The lines that differ: the largest amount first, those without a price at the end."""
        old = {line.label: line for line in self.before.lines}
        new = {line.label: line for line in self.after.lines}
        changed = [
            ChangedLine(
                label, old.get(label), new.get(label), _difference(old.get(label), new.get(label))
            )
            for label in {**old, **new}
            if old.get(label) != new.get(label)
        ]
        return tuple(
            sorted(
                changed,
                key=lambda line: (line.monthly is None, -abs(line.monthly or 0), line.label),
            )
        )


def _difference(before: CostLine | None, after: CostLine | None) -> float | None:
    old, new = (line.monthly if line else 0.0 for line in (before, after))
    return None if old is None or new is None else new - old
