"""A review as GitHub Flavored Markdown: a comment on a pull request, read on a phone.

GitHub refuses a comment of more than 65,536 characters and GitLab one of 1,000,000; a comment is at
most ``MOST_BYTES``. What has no place is left out by whole items from the end of a list, never from
the middle of one, and each list says how many.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from review.blocks import (
    Block,
    Code,
    Differences,
    Entries,
    Entry,
    Folded,
    Paragraph,
    Piece,
    Section,
    Strong,
    Table,
    Text,
    counted,
)
from review.content import sections, summary, worst
from review.danger_section import danger_section
from review.review import Review
from review.values import visible

MOST_BYTES = 60_000
_MOST_LINES = 40
"""Lines of one object's difference in a comment."""
_ELSEWHERE = "the HTML report of the same run has them"
_NOTE_BYTES = 160
_PLAIN = re.compile(r"[^`|\\<>&\r\n]+")
_PUNCTUATION = re.compile(r"([\\`*_{}\[\]<>#|~@!])")


def markdown(reviews: Sequence[Review]) -> str:
    """The comment for these stacks, of at most ``MOST_BYTES`` bytes.

    Stacks without changes are one line each. Dangers of all stacks come before details of any.
    """
    head = ["# What this change would do", ""]
    for review in reviews:
        head.append(f"- {_text(summary(review))}")
        if review.dangers:
            head.append(f"  **Worst:** {_text(worst(review))}")
    changed = [review for review in reviews if not review.empty]
    if not changed:
        return "\n".join(head) + "\n"
    several = len(reviews) > 1
    parts: list[Section] = [each for review in changed if (each := danger_section(review))]
    for review in changed:
        parts += sections(review)
    written = [_Written.of(each, several) for each in parts]
    closing = ["", _compared(changed)]
    whole = _joined(head, written, closing)
    if len(whole.encode()) <= MOST_BYTES:
        return whole
    head += [
        "",
        f"**This comment is shortened**: lists say how much they lack, and {_ELSEWHERE}.",
    ]
    return _fitted(head, written, closing)


def _compared(reviews: Sequence[Review]) -> str:
    sides = dict.fromkeys((review.base, review.head) for review in reviews)
    pairs = "; ".join(f"{_code(base)} → {_code(head)}" for base, head in sides)
    return f"<sub>Compared: {pairs}, by the engine on simulated clouds.</sub>"


# -- text -----------------------------------------------------------------------------------------


def _text(text: Text) -> str:
    return "".join(map(_piece, text))


def _piece(piece: Piece) -> str:
    if isinstance(piece, Code):
        return _code(piece.text)
    if isinstance(piece, Strong):
        return f"**{_escaped(piece.text)}**"
    return _escaped(piece)


def _escaped(text: str) -> str:
    return _PUNCTUATION.sub(r"\\\1", text)


def _code(text: str) -> str:
    """The text as code on one line; as HTML with entities where Markdown could read more in it."""
    flat = visible(text) or " "
    if _PLAIN.fullmatch(flat) and flat.strip() == flat:
        return f"`{flat}`"
    escaped = "".join(
        each if each.isalnum() or each in " .,:;/-" else f"&#{ord(each)};" for each in flat
    )
    return f"<code>{escaped}</code>"


# -- blocks in units that can be left out ---------------------------------------------------------


@dataclass
class _List:
    """Units of one list: lines before the first, the units, lines after the last."""

    before: list[str]
    units: list[str]
    after: list[str]
    what: str
    kept: int
    folded: bool = False

    @property
    def note(self) -> list[str]:
        left = len(self.units) - self.kept
        if not left:
            return []
        return [
            "",
            f"*{left:,} of {len(self.units):,} {self.what} are left out here: {_ELSEWHERE}.*",
        ]

    @property
    def fixed(self) -> int:
        return sum(len(line.encode()) + 1 for line in (*self.before, *self.after)) + _NOTE_BYTES

    def lines(self) -> list[str]:
        if self.units and not self.kept:
            return self.note
        return [*self.before, *self.units[: self.kept], *self.after, *self.note]


@dataclass
class _Written:
    """A section as Markdown: fixed lines, and lists that can be shortened."""

    title: str
    parts: list[list[str] | _List]
    weight: int

    @classmethod
    def of(cls, section: Section, several: bool) -> _Written:
        title = f"{section.title}: {section.stack}" if several else section.title
        parts: list[list[str] | _List] = []
        for block in section.blocks:
            parts += _parts(block)
        return cls(f"## {_escaped(title)}", parts, section.weight)

    @property
    def lists(self) -> list[_List]:
        return [part for part in self.parts if isinstance(part, _List)]

    def lines(self) -> list[str]:
        lines = ["", self.title]
        for part in self.parts:
            lines += part.lines() if isinstance(part, _List) else part
        return lines


def _parts(block: Block) -> Iterator[list[str] | _List]:
    match block:
        case Paragraph(text):
            yield ["", _text(text)]
        case Entries(items, what, start):
            units = [
                _item(each, f"{index}." if start else "-")
                for index, each in enumerate(items, start)
            ]
            yield _List([""], units, [], what, len(units))
        case Table(head, rows, what):
            lines = [
                "",
                f"| {' | '.join(map(_escaped, head))} |",
                f"|{' --- |' * len(head)}",
            ]
            units = [f"| {' | '.join(map(_text, row))} |" for row in rows]
            yield _List(lines, units, [], what, len(units))
        case Differences(items, what):
            units = [_difference(each.title, each.lines) for each in items]
            longest = max(
                (len(run) for unit in units for run in re.findall(r"`+", unit)), default=0
            )
            fence = "`" * max(3, longest + 1)
            yield _List(["", f"{fence}diff"], units, [fence], what, len(units))
        case Folded(inner_summary, _, page_only=True):
            yield ["", f"{_text(inner_summary)} ({_ELSEWHERE})"]
        case Folded(inner_summary, blocks):
            yield ["", "<details>", f"<summary>{_text_in_html(inner_summary)}</summary>"]
            for part in (part for inner in blocks for part in _parts(inner)):
                if isinstance(part, _List):
                    part.folded = True
                yield part
            yield ["", "</details>"]


def _text_in_html(text: Text) -> str:
    # Inside a block of HTML, GitHub renders no Markdown.
    return "".join(
        f"<code>{_entities(visible(piece.text))}</code>"
        if isinstance(piece, Code)
        else _entities(piece if isinstance(piece, str) else piece.text)
        for piece in text
    )


def _entities(text: str) -> str:
    return "".join(
        each if each.isalnum() or each in " .,:;/-()" else f"&#{ord(each)};" for each in text
    )


def _item(entry: Entry, mark: str) -> str:
    indent = " " * (len(mark) + 1)
    lines = [f"{mark} {_text(entry.text)}"]
    if len(entry.below) == 1:
        lines.append(f"{indent}<br>{_text(entry.below[0])}")
    else:
        lines += [f"{indent}- {_text(each)}" for each in entry.below]
    return "\n".join(lines)


def _difference(title: str, lines: Sequence[str]) -> str:
    shown = list(lines[:_MOST_LINES])
    if len(lines) > _MOST_LINES:
        left = counted(len(lines) - _MOST_LINES, "line")
        shown.append(f"  ... {left} more: {_ELSEWHERE}")
    return "\n".join([f"@@ {title} @@", *shown])


# -- the limit ------------------------------------------------------------------------------------


def _joined(head: list[str], written: Sequence[_Written], closing: list[str]) -> str:
    lines = [*head]
    for section in written:
        lines += section.lines()
    return "\n".join([*lines, *closing]) + "\n"


def _fitted(head: list[str], written: list[_Written], closing: list[str]) -> str:
    """Fills the limit: a section's share is by its weight; others get what it does not need."""
    for section in written:
        for each in section.lists:
            each.kept = 0
    bare = len(_joined(head, written, closing).encode())
    left = MOST_BYTES - bare - sum(each.fixed for section in written for each in section.lists)
    open_ones = [(section, each) for section in written for each in section.lists]
    while open_ones and left > 0:
        total = sum(_weight(*each) for each in open_ones)
        still: list[tuple[_Written, _List]] = []
        spent = 0
        for section, each in open_ones:
            share = left * _weight(section, each) // total
            used = 0
            while each.kept < len(each.units):
                size = len(each.units[each.kept].encode()) + 1
                if used + size > share:
                    break
                used += size
                each.kept += 1
            spent += used
            if each.kept < len(each.units):
                still.append((section, each))
        if not spent:
            break
        left -= spent
        open_ones = still
    return _joined(head, written, closing)


def _weight(section: _Written, part: _List) -> int:
    return 1 if part.folded else 2 * section.weight
