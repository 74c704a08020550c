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
    def monthly(self) -> float:
        """By how much the floor changes, in the currency of the stack's region."""
        return self.after.monthly - self.before.monthly

    @property
    def lines(self) -> tuple[ChangedLine, ...]:
        """The lines that differ: the largest amount first, those without a price at the end."""
        old = {(line.label, line.region): line for line in self.before.lines}
        new = {(line.label, line.region): line for line in self.after.lines}
        changed = [
            ChangedLine(key[0], old.get(key), new.get(key), _difference(old.get(key), new.get(key)))
            for key in {**old, **new}
            if old.get(key) != new.get(key)
        ]
        return tuple(
            sorted(
                changed,
                key=lambda line: (line.monthly is None, -abs(line.monthly or 0), line.label),
            )
        )


def _difference(before: CostLine | None, after: CostLine | None) -> float | None:
    amounts = [0.0 if line is None else line.monthly for line in (before, after)]
    old, new = amounts
    return None if old is None or new is None else new - old
