"""A schema's text has the value that PyYAML reads, or is refused."""

from __future__ import annotations

import random
from textwrap import indent
from typing import Any

import pytest
import yaml

from rendering.schema_text import SchemaReader, SchemasDoNotFit

TEXTS = {
    "lists as far left as their keys": """\
          properties:
            b:
              enum:
              - one
              - 'two: 2'
              type: string
            a:
              items:
              - type: string
                maximum: 3
              - properties:
                  c: {default: {}, enum: [x, "y"]}
                required:
                - c
          required:
              - a
          type: object""",
    "values of several lines": """\
    description: The first line of it,
      the second line.
    title: 'a quoted

      text'
    x: "and an \\
      escaped: one"

    pattern: ^a#b # a comment
    y: |
      a: text
        b:
      - c

      d
    z: >-
        folded

        twice
    last: |
      with its end
""",
    "texts that count their spaces from a column": """\
        a:
          - x: |2
                two more
              end
            "y": >1-
                  more
          - |2
              of an item
""",
    "a line of spaces alone": "  a: |\n    b\n     \n    c\n  d: |\n   \n    e\n",
    "what only a reader of all YAML can read": """\
  "quoted key": 1
  a:
    b
  ? long
  : value
  # comment
  -x: &anchor
    y: 1
  c: *anchor
  - : {a: 1,
  b: 2}
""",
    "items in items": "a:\n- - 1\n  - 2\n-   b: 1\n    c: 2\n- b\n  c\n-\n  d: 1\n",
    "a line break that is none to Python": "a: b\u2028c: d\ne: 1\n",
    "keys that are no texts": "yes: 1\n",
    "a key that is a truth value": "true: 1\n",
    "a number as a key": "1: a\n",
    "nothing after a key": "a:\nb: 1\n",
    "nothing after the last key": "a: 1\nb:\n",
    "nothing": "",
    "an empty line": "\n",
    "a key below a value": "a: 1\n  b: 2\n",
    "a key below an item": "a:\n- 1\n  b: 2\n",
    "a key between two columns": "a:\n    b: 1\n  c: 2\n",
    "a key left of the first": "   a: 1\n  b: 2\n",
    "an item below a key with a value": "a: 1\n- b\n",
    "an item left of its list": "a:\n  - b\n - c\n",
    "a list alone": "- a\n- b: 1\n",
    "two equal keys": "a: 1\nb: 2\na:\n  c: 3\n",
    "a quotation without end": "a: 'b\nc: d\n",
    "a quotation that ends below": "a: 'b\nc: d'\n",
    "a list that ends below": "a: [b,\nc]\nd: 1\n",
    "a tab": "a:\n\tb: 1\n",
    "a tab after a key": "a:\t1\nb: \t2\n",
    "a value without a space": "a:1\n",
    "a second document": "a: 1\n---\nb: 2\n",
    "half a letter": "a: \ud800\n",
    "a control character": "a: \x07\n",
}
WHOLE = (1, 0, 12, -5, True, False, 0.25, "text", "two words", "yes", "1", "", "a: b", "#c", "- d")
LONG = (
    "one line that is long enough to be folded, of words and: colons",
    "two\n\nlines\n",
    " x\n y",
)


def of_pyyaml(text: str) -> Any:
    """The value that PyYAML reads; None for what is no YAML."""
    try:
        return yaml.load(text, yaml.CSafeLoader)
    except (yaml.YAMLError, UnicodeError):
        return None


def read(text: str) -> Any:
    try:
        return SchemaReader().read(text)
    except SchemasDoNotFit:
        return None


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_text_is_read_as_pyyaml_reads_it_or_not_at_all(text: str) -> None:
    value = read(text)
    assert value is None or (value, repr(value)) == (of_pyyaml(text), repr(of_pyyaml(text)))


READABLE = (
    "lists as far left as their keys",
    "values of several lines",
    "texts that count their spaces from a column",
    "a line of spaces alone",
    "items in items",
    "two equal keys",
    "a tab after a key",
)


@pytest.mark.parametrize("name", READABLE)
def test_what_programs_write_is_read(name: str) -> None:
    assert read(TEXTS[name]) is not None


def drawn(chance: random.Random, depth: int) -> Any:
    if depth and chance.random() < 0.7:
        keys = chance.sample(
            ["a", "b-c", "$ref", "x_1", "type", "properties"], chance.randint(1, 4)
        )
        if chance.random() < 0.3:
            return [drawn(chance, depth - 1) for _ in keys]
        return {key: drawn(chance, depth - 1) for key in keys}
    return chance.choice(WHOLE + LONG)


def damaged(chance: random.Random, lines: list[str]) -> str:
    """The lines with one of them moved, cut, repeated or left out."""
    place = chance.randrange(len(lines))
    line = lines[place]
    half = line[: len(line) // 2]
    changes = ([], [line, line], [" " + line], [line[1:]], [half], [line, ""], [" ", line])
    changed = chance.choice(changes)
    return "\n".join([*lines[:place], *changed, *lines[place + 1 :]])


@pytest.mark.parametrize("seed", range(20))
def test_any_value_in_any_layout_is_read_and_no_damage_to_it_is_read_wrong(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    for _ in range(30):
        value = {"type": drawn(chance, 4)}
        text = yaml.dump(
            value,
            Dumper=yaml.SafeDumper,
            indent=chance.choice((2, 4)),
            width=chance.choice((20, 80)),
            default_style=chance.choice((None, None, '"')),
            sort_keys=False,
        )
        margin = " " * chance.choice((0, 2, 6))
        text = "".join(margin + line if line != "\n" else line for line in text.splitlines(True))
        # Not the value itself: PyYAML writes a few texts that it reads otherwise.
        assert read(text) in (of_pyyaml(text), None)
        for _ in range(5):
            bad = damaged(chance, text.split("\n"))
            assert read(bad) in (of_pyyaml(bad), None), bad


def test_pyyaml_reads_each_value_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes its time is the number of different values, not the number of lines."""
    composed: list[str] = []
    really = yaml.compose

    def compose(text: str, loader: Any) -> Any:
        composed.append(text)
        return really(text, loader)

    monkeypatch.setattr(yaml, "compose", compose)
    entries = "".join(
        f"  p{number}:\n    description: Teeth,\n      all of them.\n    type:\n"
        "    - type: string\n      description: Teeth,\n        all of them.\n"
        for number in range(100)
    )
    reader, text = SchemaReader(), f"properties:\n{entries}"
    value = yaml.load(text, yaml.CSafeLoader)
    assert reader.read(text) == reader.read(indent(text, "    ")) == value
    keys = 100 + len(("properties", "description", "type"))
    assert len(composed) == keys + len(("Teeth ...", "string"))


def test_a_list_that_stands_twice_is_two_lists() -> None:
    value = SchemaReader().read("a:\n  enum: [x]\nb:\n  enum: [x]\n")
    value["a"]["enum"].append("y")
    assert value["b"]["enum"] == ["x"]
