"""What a review consists of, before it becomes Markdown, HTML or lines of a terminal.

Everything that comes from outside (names, values, paths) is ``Code``; plain pieces are sentences of
this room. So no value can become a heading, a mention of a person, a table cell or a tag.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Code:
    """A name or a value, as it is."""

    text: str


@dataclass(frozen=True)
class Strong:
    """A sentence or a word that stands out."""

    text: str


Piece = str | Code | Strong
Text = tuple[Piece, ...]


@dataclass(frozen=True)
class Paragraph:
    """One paragraph."""

    text: Text


@dataclass(frozen=True)
class Entry:
    """One item of a list: a first line, and lines below it."""

    text: Text
    below: tuple[Text, ...] = ()


@dataclass(frozen=True)
class Entries:
    """A list. ``what`` names its items in the sentence about those that are left out.

    ``start``: the number of the first item; 0: none has a number.
    """

    items: tuple[Entry, ...]
    what: str
    start: int = 0


@dataclass(frozen=True)
class Table:
    """A table; each row has a cell per column."""

    head: tuple[str, ...]
    rows: tuple[tuple[Text, ...], ...]
    what: str


@dataclass(frozen=True)
class Difference:
    """One object, with the lines of its difference; each begins with ``+``, ``-`` or a blank."""

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Differences:
    """Objects with their differences."""

    items: tuple[Difference, ...]
    what: str


@dataclass(frozen=True)
class Folded:
    """Blocks behind one line that opens them.

    ``page_only``: a comment has the line alone, since nothing in them is of this change.
    """

    summary: Text
    blocks: tuple[Block, ...]
    page_only: bool = False


Block = Paragraph | Entries | Table | Differences | Folded


@dataclass(frozen=True)
class Section:
    """A heading with blocks. ``weight``: its share where not everything has a place."""

    title: str
    blocks: tuple[Block, ...]
    weight: int = 1
    stack: str = ""


def listed(names: Sequence[str], most: int) -> Text:
    """The first names as code with commas, and how many more there are."""
    pieces: list[Piece] = []
    for name in names[:most]:
        pieces += [", ", Code(name)] if pieces else [Code(name)]
    if len(names) > most:
        pieces.append(f" and {len(names) - most} more")
    return tuple(pieces)


def does(number: int, verb: str) -> str:
    """The verb after a number of things: ``restarts`` of one, ``restart`` of two."""
    return f"{verb}s" if number == 1 else verb


def counted(number: int, one: str, many: str = "") -> str:
    """``1 object``, ``2 objects``, ``1,234 objects``."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
