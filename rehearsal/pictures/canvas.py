"""Drawings as SVG: boxes, text, arrows and icons, from the top of a sheet to its end.

Text stays text, in fonts that readers' machines have, Chinese ones too. The sheet has a background
of its own, so it is as legible on a dark page as on a light one, and is 640 units wide: on a phone
of 390 pixels the smallest text is 9 pixels high. Only what every viewer of SVG has is in it: no
style sheet, script, marker or reference to anything outside.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from html import escape
from typing import Literal, NamedTuple

WIDTH = 640
EDGE = 12
"""Between the sheet's end and what is drawn."""
_BESIDE = 64
"""What an entry needs beside its text: icon and margins."""
SMALLEST = 15
"""The size of the smallest text."""
LINE = 1.35
"""The height of a line of text, in its size."""

INK, MUTED, PAPER, RULE = "#1b2733", "#4d5b6a", "#ffffff", "#c6d0da"

_SANS = (
    "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'PingFang SC', "
    "'Microsoft YaHei', 'Noto Sans CJK SC', 'Source Han Sans SC', sans-serif"
)
_MONO = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"

Words = str | tuple[str, str]
"""What both languages write alike, or in English and in Chinese."""
Anchor = Literal["start", "middle", "end"]


class Language(IntEnum):
    """The place of a language in ``Words``."""

    ENGLISH = 0
    CHINESE = 1

    @property
    def suffix(self) -> str:
        """Of the stem of a file's name."""
        return ("", ".zh-CN")[self]


class Colour(NamedTuple):
    """Of one kind of thing: its lines and its area."""

    line: str
    area: str


class Entry(NamedTuple):
    """A box with an icon, a title, and lines below it."""

    icon: str
    colour: Colour
    title: Words
    below: tuple[Words, ...] = ()


GREY = Colour("#5b6875", "#f1f4f7")

# On a grid of 24 by 24, lines only.
_ICONS = {
    "box": "M12 3l8 4.5v9L12 21l-8-4.5v-9zM4 7.5l8 4.5 8-4.5M12 12v9",
    "bucket": "M4 6.5l2 14h12l2-14M4 6.5c0-1.7 3.6-3 8-3s8 1.3 8 3-3.6 3-8 3-8-1.3-8-3",
    "clock": "M12 3a9 9 0 1 0 .01 0M12 7v5l3.5 2.5",
    "code": "M7 5l-5 7 5 7M17 5l5 7-5 7M14 4l-4 16",
    "database": "M4 6c0-1.7 3.6-3 8-3s8 1.3 8 3-3.6 3-8 3-8-1.3-8-3v12c0 1.7 3.6 3 8 3s8-1.3 "
    "8-3V6M4 12c0 1.7 3.6 3 8 3s8-1.3 8-3",
    "files": "M6 3h8l4 4v14H6zM14 3v4h4M9 12h6M9 16h6",
    "globe": "M12 3a9 9 0 1 0 .01 0M3 12h18M12 3c-5 5-5 13 0 18 5-5 5-13 0-18",
    "gpu": "M6 6h12v12H6zM10 10h4v4h-4zM9 6V3M15 6V3M9 21v-3M15 21v-3M6 9H3M6 15H3M21 9h-3"
    "M21 15h-3",
    "key": "M8 11.5a4 4 0 1 0 .01 0M11 12.5L20 3.5M16 7.5l3.5 3.5",
    "lock": "M5 11h14v10H5zM8 11V8a4 4 0 0 1 8 0v3",
    "machine": "M4 4h16v6.5H4zM4 13.5h16V20H4zM7.5 7.2h.01M7.5 16.8h.01M11 7.2h5.5M11 16.8h5.5",
    "mail": "M3 6h18v12H3zM3 6.5l9 6.5 9-6.5",
    "person": "M12 3.5a4 4 0 1 0 .01 0M4 21c0-4.4 3.6-8 8-8s8 3.6 8 8",
    "screen": "M4 4.5h16V15H4zM2 19.5h20",
    "shield": "M12 3l8 3v6c0 5-3.4 7.6-8 9-4.6-1.4-8-4-8-9V6zM8.5 12l2.5 2.5 4.5-5",
    "table": "M4 4h16v16H4zM4 9.5h16M10 4v16",
    "wheel": "M12 2.8l8 4.6v9.2l-8 4.6-8-4.6V7.4zM12 9a3 3 0 1 0 .01 0",
}

# An upper bound for the common sans-serif fonts, in the size of the text.
_NARROW, _WIDE = frozenset("iIjl|.,:;!'()[]{}/\\ tfr-·`\""), frozenset("mwMWOQG@%→×+=<>~—")
_FAR_EAST = "\u2e80-\u9fff\uff00-\uffef"
_STOPS = "[，。、；：）”！？]*"
_UNITS = re.compile(rf"\s+|[{_FAR_EAST}]{_STOPS}|[^\s/{_FAR_EAST}]+/?{_STOPS}|/")
"""What a line may end after."""


def width_of(text: str, size: float, *, bold: bool = False) -> float:
    """At most so many units wide is a text."""
    total = 0.0
    for each in text:
        if re.match(rf"[{_FAR_EAST}]", each):
            total += 1.0
        elif each in _NARROW:
            total += 0.42
        elif each in _WIDE:
            total += 0.95
        else:
            total += 0.72 if each.isupper() else 0.64
    return total * size * (1.1 if bold else 1.0)


def wrapped(text: str, most: float, size: float, *, bold: bool = False) -> list[str]:
    """The lines of a text, each at most so wide; a word that is wider has a line of its own."""
    lines = [""]
    for unit in _UNITS.findall(text):
        if width_of((lines[-1] + unit).rstrip(), size, bold=bold) > most and lines[-1]:
            lines.append("")
        lines[-1] += unit if lines[-1] or not unit.isspace() else ""
    return [line.rstrip() for line in lines if line.strip()]


@dataclass
class Pen:
    """The height down to which a sheet, or a frame on it, is drawn."""

    y: float


@dataclass
class Canvas:
    """A sheet that is drawn on from its top.

    Attributes:
        language: of every text.
        pen: where the next thing begins.
    """

    language: Language
    pen: Pen = field(default_factory=lambda: Pen(0))
    _parts: list[str] = field(default_factory=list[str])

    def say(self, words: Words) -> str:
        """The words in the language of the sheet."""
        return words if isinstance(words, str) else words[self.language]

    def place(self) -> int:
        """Now, as a place in the order of what is drawn."""
        return len(self._parts)

    # -- what is drawn where it is told -----------------------------------------------------------

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        colour: Colour = GREY,
        *,
        dashed: bool = False,
        thick: float = 1.5,
        round_: float = 8,
        at: int | None = None,
    ) -> None:
        """A box with round corners; below all that was drawn since ``at``, a ``place``."""
        place = len(self._parts) if at is None else at
        box = _box(x, y, width, height, colour, dashed=dashed, thick=thick, round_=round_)
        self._parts.insert(place, box)

    def text(
        self,
        x: float,
        y: float,
        words: Words,
        *,
        size: float = 16,
        bold: bool = False,
        mono: bool = False,
        colour: str = INK,
        anchor: Anchor = "start",
    ) -> None:
        """One line of text; ``y`` is its base line."""
        more = ' font-weight="600"' if bold else ""
        more += f' font-family="{_MONO}"' if mono else ""
        more += f' text-anchor="{anchor}"' if anchor != "start" else ""
        self._parts.append(
            f'<text x="{_n(x)}" y="{_n(y)}" font-size="{_n(size)}" fill="{colour}"{more}>'
            f"{escape(self.say(words), quote=False)}</text>"
        )

    def paragraph(
        self,
        x: float,
        y: float,
        most: float,
        words: Words,
        *,
        size: float = 16,
        bold: bool = False,
        colour: str = INK,
    ) -> float:
        """Text in lines of at most so many units; the base line of the line that would follow."""
        for line in wrapped(self.say(words), most, size, bold=bold):
            self.text(x, y, line, size=size, bold=bold, colour=colour)
            y += size * LINE
        return y

    def line(
        self,
        *points: tuple[float, float],
        colour: str,
        thick: float = 2,
        dash: str = "",
        at: int | None = None,
    ) -> None:
        """A line from point to point; ``at`` as of a box."""
        path = "L".join(f"{_n(x)} {_n(y)}" for x, y in points)
        more = f' stroke-dasharray="{dash}"' if dash else ""
        self._parts.insert(
            len(self._parts) if at is None else at,
            f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="{_n(thick)}"{more}/>',
        )

    def arrow(self, *points: tuple[float, float], colour: str, dash: str = "") -> None:
        """A line whose end has a head; its last piece is upright or level."""
        (x0, y0), (x, y) = points[-2:]
        across, down = (x > x0) - (x < x0), (y > y0) - (y < y0)
        back = (x - 9 * across, y - 9 * down)
        self.line(*points[:-1], back, colour=colour, dash=dash)
        one = (back[0] - 5 * down, back[1] - 5 * across)
        two = (back[0] + 5 * down, back[1] + 5 * across)
        corners = "L".join(f"{_n(a)} {_n(b)}" for a, b in ((x, y), one, two))
        self._parts.append(f'<path d="M{corners}Z" fill="{colour}"/>')

    def icon(self, name: str, x: float, y: float, colour: str, *, size: float = 24) -> None:
        """An icon whose upper left corner is there."""
        self._parts.append(
            f'<path transform="translate({_n(x)} {_n(y)}) scale({_n(size / 24)})" fill="none" '
            f'stroke="{colour}" stroke-width="1.7" stroke-linecap="round" stroke-linejoin="round" '
            f'd="{_ICONS[name]}"/>'
        )

    def tile(self, name: str, x: float, y: float, colour: Colour) -> None:
        """An icon on a ground of its own, 34 by 34."""
        self.box(x, y, 34, 34, Colour(colour.line, colour.line), round_=7)
        self.icon(name, x + 5, y + 5, PAPER)

    def dot(self, x: float, y: float, radius: float, colour: str) -> None:
        """A filled circle."""
        self._parts.append(f'<circle cx="{_n(x)}" cy="{_n(y)}" r="{_n(radius)}" fill="{colour}"/>')

    # -- what moves the pen -----------------------------------------------------------------------

    @contextmanager
    def frame(
        self, x: float, width: float, colour: Colour, *, dashed: bool = False, thick: float = 1.5
    ) -> Generator[None]:
        """A box around all that is drawn inside; its lower end is where the pen is then."""
        place, top = len(self._parts), self.pen.y
        yield
        self.box(
            x, top, width, self.pen.y - top, colour, dashed=dashed, thick=thick, round_=12, at=place
        )

    def heading(self, title: Words, below: Words) -> None:
        """The sheet's title, and what it is drawn from."""
        self.text(EDGE + 4, 40, title, size=24, bold=True)
        end = self.paragraph(EDGE + 4, 66, WIDTH - 2 * EDGE - 8, below, colour=MUTED)
        self.pen.y = end - 6

    def entry(
        self,
        x: float,
        width: float,
        entry: Entry,
        *,
        dashed: bool = False,
        height: float = 0,
    ) -> float:
        """Draws an entry at the pen, which stays where it is; its height, or the one it is told."""
        y, inside, colour = self.pen.y, width - _BESIDE, entry.colour
        height = max(height, self._height_of(entry, width))
        self.box(x, y, width, height, Colour(colour.line, PAPER), dashed=dashed)
        self.tile(entry.icon, x + 10, y + 11, colour)
        at = self.paragraph(x + 54, y + 25, inside, entry.title, bold=True)
        for each in entry.below:
            at = self.paragraph(x + 54, at, inside, each, size=SMALLEST, colour=MUTED)
        return height

    def row(self, x: float, width: float, entries: Sequence[Entry], *, columns: int = 2) -> None:
        """Draws entries beside each other, as high as the highest of them."""
        gap = 12
        each = (width - gap * (columns - 1)) / columns
        height = max(self._height_of(entry, each) for entry in entries)
        for number, entry in enumerate(entries):
            self.entry(x + number * (each + gap), each, entry, height=height)
        self.pen.y += height

    def _height_of(self, entry: Entry, width: float) -> float:
        titles = wrapped(self.say(entry.title), width - _BESIDE, 16, bold=True)
        lines = [
            line
            for each in entry.below
            for line in wrapped(self.say(each), width - _BESIDE, SMALLEST)
        ]
        return 19 + LINE * (16 * len(titles) + SMALLEST * len(lines))

    def chips(
        self, x: float, most: float, labels: Sequence[tuple[Words, Colour]], *, gap: float = 8
    ) -> None:
        """Small boxes of one line each, as many beside each other as there is room for."""
        at, size, high = x, SMALLEST, 28
        for words, colour in labels:
            wide = width_of(self.say(words), size) + 18
            if at + wide > x + most and at > x:
                at, self.pen.y = x, self.pen.y + high + gap
            self.box(at, self.pen.y, wide, high, colour, thick=1.2, round_=6)
            self.text(at + wide / 2, self.pen.y + 19, words, size=size, anchor="middle")
            at += wide + gap
        self.pen.y += high + gap

    def svg(self, title: Words, description: Words) -> str:
        """The document, with a title and a description for those who do not see it."""
        height = _n(self.pen.y + EDGE)
        sheet = _box(
            0.5, 0.5, WIDTH - 1, self.pen.y + EDGE - 1, Colour(RULE, PAPER), thick=1, round_=14
        )
        begins = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
            f'viewBox="0 0 {WIDTH} {height}" role="img" '
            f'xml:lang="{("en", "zh-CN")[self.language]}" font-family="{_SANS}">'
        )
        names = (
            f"<title>{escape(self.say(title), quote=False)}</title>",
            f"<desc>{escape(self.say(description), quote=False)}</desc>",
        )
        return "\n".join([begins, *names, sheet, *self._parts, "</svg>", ""])


def _box(
    x: float,
    y: float,
    width: float,
    height: float,
    colour: Colour,
    *,
    dashed: bool = False,
    thick: float = 1.5,
    round_: float = 8,
) -> str:
    more = ' stroke-dasharray="6 4"' if dashed else ""
    return (
        f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}" '
        f'rx="{_n(round_)}" fill="{colour.area}" stroke="{colour.line}" '
        f'stroke-width="{_n(thick)}"{more}/>'
    )


def _n(value: float) -> str:
    """A number with at most two decimals."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
