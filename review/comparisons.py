"""Whether two values of one property are what a rule of ``dangers.yaml`` describes (``when``)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast

from review.changes import ABSENT, Change, leaves

_WIDE_PRIVATE = 12
"""Up to that a private range is wider than any VPC."""
_HUGE_V4, _HUGE_V6 = 8, 24
"""Prefix lengths up to which a public range counts as the whole internet."""


def holds(when: Any, change: Change) -> bool:
    """Whether a change is what a rule's ``when`` describes; the rules' file has the list."""
    old, new = change.old, change.new
    if isinstance(when, Mapping):
        tests = cast("Mapping[str, Any]", when)
        return all(_of_value(verb, value, old, new) for verb, value in tests.items())
    return _TESTS[when](old, new)


def _of_value(verb: str, value: Any, old: Any, new: Any) -> bool:
    if verb == "matches":
        return _matches(value, new) and not _matches(value, old)
    if verb == "becomes":
        return _equal(new, value) and not _equal(old, value)
    # Of a resource that is made: the value that a rule wants is not there.
    never = old is ABSENT and isinstance(value, bool) and new is (not value)
    return never or _equal(old, value)


def _matches(pattern: str, value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return str(one) == str(other)


def _numbers(old: Any, new: Any) -> tuple[float, float] | None:
    try:
        return float(old), float(new)
    except (TypeError, ValueError):
        return None


def _falls(old: Any, new: Any) -> bool:
    pair = _numbers(old, new)
    return pair is not None and pair[1] < pair[0]


def _rises(old: Any, new: Any) -> bool:
    pair = _numbers(old, new)
    return pair is not None and pair[1] > pair[0]


def _version(value: Any) -> tuple[int, ...] | None:
    parts = re.findall(r"\d+", str(value))
    return tuple(map(int, parts)) if isinstance(value, (str, float, int)) and parts else None


def _compared(old: Any, new: Any) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    pair = _version(old), _version(new)
    if pair[0] is None or pair[1] is None:
        return None
    # 8.4 is any 8.4.x: compared as far as both are written.
    length = min(len(pair[0]), len(pair[1]))
    return pair[0][:length], pair[1][:length]


def _older(old: Any, new: Any) -> bool:
    pair = _compared(old, new)
    return pair is not None and pair[1] < pair[0]


def _minors(old: Any, new: Any) -> int:
    pair = _compared(old, new)
    if pair is None or len(pair[0]) < 2 or pair[0][0] != pair[1][0]:
        return 0 if pair is None or pair[0] == pair[1] else 99
    return pair[1][1] - pair[0][1]


def _loses(old: Any, new: Any) -> bool:
    if new is ABSENT:
        return True
    if isinstance(old, list) and isinstance(new, list):
        return any(item not in new for item in cast("list[Any]", old))
    return False


def _adds(old: Any, new: Any) -> bool:
    held = cast("list[Any]", old) if isinstance(old, list) else []
    return isinstance(new, list) and any(item not in held for item in cast("list[Any]", new))


def _gains(old: Any, new: Any) -> bool:
    """Whether a list has `*` that had none."""
    return isinstance(new, list) and "*" in new and not (isinstance(old, list) and "*" in old)


def _ranges(value: Any) -> Iterator[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    for _, leaf in leaves(value):
        for item in cast("list[Any]", leaf) if isinstance(leaf, list) else [leaf]:
            if isinstance(item, str) and "/" in item:
                try:
                    yield ipaddress.ip_network(item, strict=False)
                except ValueError:
                    continue


def _inside(one: Any, others: Iterable[Any]) -> bool:
    return any(one.version == other.version and one.subnet_of(other) for other in others)


def _widens(old: Any, new: Any) -> bool:
    held = list(_ranges(old))
    return any(
        not _inside(each, held)
        for each in _ranges(new)
        # A range of the VPC's own, as every rule inside of it has one, says nothing.
        if not each.is_private or held or each.prefixlen <= _WIDE_PRIVATE
    )


def _opens(old: Any, new: Any) -> bool:
    held = list(_ranges(old))
    return any(
        each.prefixlen <= (_HUGE_V4 if each.version == 4 else _HUGE_V6)
        and not each.is_private
        and not _inside(each, held)
        for each in _ranges(new)
    )


def _any(_old: Any, _new: Any) -> bool:
    return True


def _changes(old: Any, new: Any) -> bool:
    return ABSENT not in (old, new)


def _appears(old: Any, _new: Any) -> bool:
    return old is ABSENT


def _skips(old: Any, new: Any) -> bool:
    return _minors(old, new) > 1


def _newer(old: Any, new: Any) -> bool:
    return _minors(old, new) == 1


_TESTS: Mapping[str, Callable[[Any, Any], bool]] = {
    "any": _any,
    "changes": _changes,
    "appears": _appears,
    "falls": _falls,
    "rises": _rises,
    "older": _older,
    "skips": _skips,
    "newer": _newer,
    "loses": _loses,
    "adds": _adds,
    "gains": _gains,
    "opens": _opens,
    "widens": _widens,
}
