"""A review as lines of a terminal of 80 columns: what ends a preview."""

from __future__ import annotations

import textwrap

from review.blocks import Piece, Text
from review.content import summary
from review.danger import Danger
from review.danger_rules import KINDS
from review.danger_section import by_cause, refused, sentence, title, with_release
from review.findings import SILENCED_BY, name_of
from review.review import Review
from review.settings_changes import short
from review.values import shown, visible
from review.wording import arrow

WIDTH = 80
_MOST_DANGERS, _MOST_VALUES, _MOST_SETTINGS = 8, 3, 12
_MOST_SILENCED = 8


def text(review: Review) -> list[str]:
    """Lines of at most ``WIDTH`` columns: a summary, the worst dangers, the changed settings."""
    lines = _wrapped(summary(review))
    if review.empty:
        return lines
    number = 1
    dangers = review.decisions[:_MOST_DANGERS]
    for cause, members in by_cause(dangers, review):
        lines += ["", *_wrapped(cause)]
        for danger in members:
            lines += _of_danger(danger, number)
            number += 1
    if len(review.decisions) > _MOST_DANGERS:
        lines.append(f"and {len(review.decisions) - _MOST_DANGERS} more dangers")
    if review.with_release:
        lines += ["", *_wrapped(with_release(review))]
        for danger in review.with_release:
            lines += _wrapped((*title(danger, most=2), f" ({KINDS[danger.kind]})"), "  - ")
    silenced = review.findings.silenced
    if silenced:
        lines += ["", f"Silenced by {SILENCED_BY}"]
        for each in silenced[:_MOST_SILENCED]:
            why = shown(each.reason or each.level, longest=300)
            lines += _wrapped((f"{each.policy} {name_of(each)}: {why}",), "  ")
        if len(silenced) > _MOST_SILENCED:
            lines.append(f"  and {len(silenced) - _MOST_SILENCED} more")
    if review.settings:
        lines += ["", "Changed settings"]
        for change in review.settings[:_MOST_SETTINGS]:
            lines += _wrapped((short(change.path), ": ", *arrow(change)), "  ")
        if len(review.settings) > _MOST_SETTINGS:
            lines.append(f"  and {len(review.settings) - _MOST_SETTINGS} more")
    return lines


def _of_danger(danger: Danger, number: int) -> list[str]:
    lead = f"{number}. "
    head = (*title(danger, most=3), f" ({KINDS[danger.kind]}). ", *sentence(danger.happens))
    lines = _wrapped(head, lead)
    for change in danger.values[:_MOST_VALUES]:
        lines += _wrapped((change.path, ": ", *arrow(change, 160)), "   ")
    before = [("Before", each) for each in danger.before]
    for word, said in (*before, ("Lost", danger.lost), ("Way out", danger.avoid)):
        if said:
            lines += _wrapped((f"{word}: ", *sentence(said)), "   ")
    if danger.unlock:
        lines += _wrapped(("Protected:", *refused(danger)), "   ")
    return lines


def _wrapped(pieces: Text, lead: str = "") -> list[str]:
    whole = visible("".join(map(_plain, pieces)))
    indent = " " * len(lead)
    return textwrap.wrap(
        whole, WIDTH, initial_indent=lead, subsequent_indent=indent, break_on_hyphens=False
    ) or [""]


def _plain(piece: Piece) -> str:
    return piece if isinstance(piece, str) else piece.text
