"""Schedules of Karpenter's budgets: five fields, in UTC.

The grammar is ``ParseStandard`` of github.com/robfig/cron/v3 (parser.go), without its time zones,
which Karpenter's own pattern excludes (CRD of NodePools, spec.disruption.budgets.schedule).
"""

from __future__ import annotations

import re
from calendar import monthrange

_NAMED = "@(annually|yearly|monthly|weekly|daily|midnight|hourly)"
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: dict[str, tuple[int, int, tuple[str, ...]]] = {
    "minute": (0, 59, ()),
    "hour": (0, 23, ()),
    "day of the month": (1, 31, ()),
    "month": (1, 12, _MONTHS),
    "day of the week": (0, 6, _DAYS),
}
_WAY_OUT = f"write {', '.join(_FIELDS)}, such as 0 9 * * mon-fri"
_LEAP_YEAR = 2000


def check(schedule: str) -> None:
    """Refuses what Karpenter does not take for a schedule, or what never comes.

    Raises:
        ValueError: with the reason and the way out.
    """
    if re.fullmatch(_NAMED, schedule):
        return
    fields = schedule.split()
    if len(fields) != len(_FIELDS):
        raise ValueError(f"a schedule has five fields: {_WAY_OUT}")
    values = [_values(name, text) for name, text in zip(_FIELDS, fields, strict=True)]
    days, months = values[2], values[3]
    # With a day of the week too, either of the two is enough.
    if fields[4] in ("*", "?") and all(min(days) > monthrange(_LEAP_YEAR, m)[1] for m in months):
        raise ValueError("no year has such a day: write one that comes")


def _values(field: str, text: str) -> set[int]:
    low, high, names = _FIELDS[field]
    values: set[int] = set()
    for part in text.lower().split(","):
        span, slash, step = part.partition("/")
        first, dash, last = span.partition("-")
        everything = span in ("*", "?")
        begin = low if everything else _number(first, low, names)
        end = high if everything or (slash and not dash) else begin
        if dash:
            end = _number(last, low, names)
        every = _number(step, 0, ()) if slash else 1
        if begin is None or end is None or not every or not low <= begin <= end <= high:
            numbers = f"{low} to {high}{f' or {names[0]} to {names[-1]}' if names else ''}"
            raise ValueError(f"{text} is no {field}, {numbers}: {_WAY_OUT}")
        values.update(range(begin, end + 1, every))
    return values


def _number(text: str, low: int, names: tuple[str, ...]) -> int | None:
    if text in names:
        return low + names.index(text)
    return int(text) if re.fullmatch(r"[0-9]{1,4}", text) else None
