"""Where the texts of an SVG stand: what is clipped, crossed or written over.

Measured with DejaVu Sans, which is wider than the fonts that readers have; a Chinese sign is as
wide as it is high.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
from matplotlib.ft2font import FT2Font, LoadFlags

_SVG = "{http://www.w3.org/2000/svg}"
_FONTS = Path(mpl.get_data_path()) / "fonts" / "ttf"
_POINT = re.compile(r"(-?[\d.]+) (-?[\d.]+)")
_LEAST = 15


@dataclass(frozen=True)
class Area:
    left: float
    top: float
    right: float
    bottom: float

    def holds(self, other: Area, margin: float = 0) -> bool:
        return (
            self.left + margin <= other.left
            and other.right <= self.right - margin
            and self.top <= other.top
            and other.bottom <= self.bottom
        )

    def meets(self, other: Area) -> bool:
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )


@cache
def _font(name: str) -> FT2Font:
    font = FT2Font(str(_FONTS / f"{name}.ttf"))
    font.set_size(100, 72)
    return font


@cache
def _length(name: str, text: str) -> float:
    font = _font(name)
    font.set_text(text, 0, flags=LoadFlags.NO_HINTING)
    return font.get_width_height()[0] / 64


def width(text: str, size: float, *, bold: bool, mono: bool) -> float:
    latin = "".join(sign for sign in text if ord(sign) < 0x2E80)
    name = "DejaVuSansMono" if mono else "DejaVuSans-Bold" if bold else "DejaVuSans"
    return (_length(name, latin) / 100 + len(text) - len(latin)) * size


def _text_area(element: ElementTree.Element) -> Area:
    size, x, y = (float(element.attrib[key]) for key in ("font-size", "x", "y"))
    assert size >= _LEAST, f"{element.text}: of {size}, which no phone shows"
    bold, mono = "font-weight" in element.attrib, "font-family" in element.attrib
    wide = width(element.text or "", size, bold=bold, mono=mono)
    left = x - {"start": 0, "middle": wide / 2, "end": wide}[element.get("text-anchor", "start")]
    return Area(left, y - 0.76 * size, left + wide, y + 0.2 * size)


def _box_area(element: ElementTree.Element) -> Area:
    x, y, wide, high = (float(element.attrib[key]) for key in ("x", "y", "width", "height"))
    return Area(x, y, x + wide, y + high)


def _line_areas(element: ElementTree.Element) -> Iterator[Area]:
    points = [(float(x), float(y)) for x, y in _POINT.findall(element.attrib["d"])]
    for (x0, y0), (x1, y1) in pairwise(points):
        yield Area(min(x0, x1) - 1, min(y0, y1) - 1, max(x0, x1) + 1, max(y0, y1) + 1)


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)  # noqa: S314 drawn by our own code


def faults(svg: str) -> list[str]:
    """Each text that is clipped, crossed by a line or an edge, or written over."""
    root = parsed(svg)
    shapes = [each for each in root if each.tag in {f"{_SVG}{tag}" for tag in ("rect", "path")}]
    order = {id(each): number for number, each in enumerate(root)}
    boxes = [(order[id(each)], _box_area(each)) for each in shapes if each.tag == f"{_SVG}rect"]
    lines = [
        (order[id(each)], area)
        for each in shapes
        if each.tag == f"{_SVG}path" and "transform" not in each.attrib
        for area in _line_areas(each)
    ]
    texts = [
        (order[id(each)], _text_area(each), each.text) for each in root if each.tag == f"{_SVG}text"
    ]
    assert texts
    found: list[str] = []
    for number, area, text in texts:
        around = [(at, box) for at, box in boxes if at < number and box.holds(area, 2)]
        if not around:
            found.append(f"{text}: leaves the sheet")
            continue
        # What was drawn before the box that holds the text lies below it.
        holding = max(at for at, _ in around)
        crossing = [box for at, box in boxes if at > holding and box.meets(area)]
        found += [f"{text}: crosses an edge" for box in crossing if not box.holds(area, 2)]
        found += [f"{text}: is covered" for at, box in boxes if at > number and box.meets(area)]
        found += [f"{text}: a line" for at, line in lines if at > holding and line.meets(area)]
        found += [
            f"{text}: over {other}"
            for at, place, other in texts
            if at > number and place.meets(area)
        ]
    return found
