"""The report for a screen: one file that needs nothing else, and that programs can read out."""

from __future__ import annotations

import re

import pytest

from review.html import html
from tests.review.pages import Page
from tests.review.plans import SETTINGS, renamed_cluster, reviewed
from tests.review.test_markdown import HOSTILE, MANY, RENAMED, everywhere, huge


def test_the_page_is_whole_and_refers_to_nothing_outside() -> None:
    text = html([reviewed(huge(), settings=RENAMED)])
    page = Page.of(text)
    assert page.problems == []
    assert text.splitlines()[-1] == "</html>"
    assert page.count("script") == 0
    for tag, attributes in page.elements:
        assert not {"src", "onclick", "onload", "style"} & attributes.keys(), tag
        assert (attributes.get("href") or "#").startswith("#")
    assert "http://" not in text
    assert "https://" not in text.replace("https://old", "").replace("https://new", "")


@pytest.mark.parametrize("value", HOSTILE)
def test_no_value_becomes_a_tag(value: str) -> None:
    pages = [Page.of(html([everywhere(each)])) for each in ("word", value)]
    assert pages[1].problems == []
    assert sorted(tag for tag, _ in pages[0].elements if tag not in ("ins", "del")) == sorted(
        tag for tag, _ in pages[1].elements if tag not in ("ins", "del")
    )


def test_a_screen_reader_finds_its_way() -> None:
    page = Page.of(html([reviewed(renamed_cluster(20), settings=RENAMED)]))
    attributes = [each for _, each in page.elements]
    assert ("html", {"lang": "en"}) in page.elements
    assert page.count("h1") == page.count("main") == page.count("title") == 1
    targets = {each["id"] for each in attributes if "id" in each}
    assert {str(each["href"])[1:] for each in attributes if "href" in each} == targets
    headers = [each for tag, each in page.elements if tag == "th"]
    assert headers
    assert all(each.get("scope") in ("col", "row") for each in headers)


def luminance(colour: str) -> float:
    digits = colour if len(colour) == 6 else "".join(2 * each for each in colour)
    parts = [int(digits[n : n + 2], 16) / 255 for n in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_text_stands_out_in_light_and_in_dark() -> None:
    """WCAG 2.2, 1.4.3: 4.5 to 1."""
    style = html([reviewed([], settings=(SETTINGS, {**SETTINGS, "kubeflow:a": 1}))])
    schemes = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    assert len(schemes) == 2
    for scheme in schemes:
        colours = dict(re.findall(r"--(\w+): #([0-9a-f]+)", scheme))
        for ground in ("paper", "soft"):
            for text in ("ink", "bad", "good", "link"):
                pair = sorted(luminance(colours[each]) for each in (ground, text))
                assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4.5, (ground, text)


def test_nothing_is_left_out() -> None:
    text = html([reviewed(huge(), settings=RENAMED)])
    assert all(f"q-{n}<" in text and f"new {n} 39" in text for n in range(MANY))
