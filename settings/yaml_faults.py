"""What is wrong with a text that is no YAML, and in which line, for a sentence.

A parser names the line in which it gives up, often the one after the fault, and not the character
that only looks like a sign of YAML. Of the text's own words nothing is shown: they may be secret.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import yaml
from yaml.parser import ParserError
from yaml.scanner import ScannerError

from settings.errors import not_ascii

_OUTSIDE = re.compile(r""""(?:[^"\\]|\\.)*"|'[^']*'|(?:^|(?<=\s))#.*""")
"""Whole quoted text, and comments."""
_OPEN_QUOTE = re.compile(r"""(?:^|[:,\[{-])\s*["'][^"']*$""")
_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
"""Of lines, as marks count them (PyYAML reader.py, ``forward``)."""
_CONFLICT = re.compile(r"^(<{7}|={7}|>{7})( |$)")
_QUOTED = re.compile("'([^']*)'")


def fault(error: yaml.YAMLError, text: str) -> str:
    """``line 3: what is wrong there``; empty where the parser names no line."""
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        return f"line {line}: invisible character U+{error.character:04X}"
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return ""
    given_up = error.problem_mark.line
    if not isinstance(error, (ScannerError, ParserError)):
        return f"line {given_up + 1}: {without_quoted(error.problem or '')}"
    lines = [_OUTSIDE.sub("", line) for line in _BREAK.split(text)]
    at, reason = given_up, _in_other_words(error.problem or "", lines[given_up])
    if r"'\t'" in (error.problem or ""):
        reason = "a tab, where YAML has spaces only"
    elif (found := _first(_CONFLICT, lines)) is not None:
        at, reason = found, "git's mark of a conflict"
    elif (found := _first(_OPEN_QUOTE, lines[: given_up + 1])) is not None:
        at, reason = found, "a quote without its end"
    else:
        for near in _near(lines, given_up):
            if found := _against(lines[near]):
                at, reason = near, found
                break
    return f"line {at + 1}: {reason}"


def _in_other_words(problem: str, line: str) -> str:
    if "<block mapping start>" in problem or "<block sequence start>" in problem:
        return "its indent is that of no line above"
    if problem.startswith("mapping values are not allowed"):
        twice = len(re.findall(r":\s", line)) > 1
        return "text with a colon and a space has no quotes" if twice else "its indent is too deep"
    return without_quoted(problem)


def without_quoted(problem: str) -> str:
    """A parser's words without those of the file: the name of an alias may be a secret."""
    return _QUOTED.sub(lambda m: "..." if m[1][1:] and m[1][0] != "<" else m[0], problem)


def _first(pattern: re.Pattern[str], lines: Sequence[str]) -> int | None:
    return next((number for number, line in enumerate(lines) if pattern.search(line)), None)


def _near(lines: Sequence[str], at: int) -> list[int]:
    """A line, after the nearest one above it that is neither empty nor a comment."""
    written = [number for number, line in enumerate(lines[:at]) if line.strip()]
    return [*written[-1:], at]


def _against(line: str) -> str:
    """What is wrong with a line on its own; empty where nothing is."""
    if foreign := not_ascii("".join(filter(_is_foreign_sign, line))):
        return foreign
    if re.match(r"\s*-[^\s-]", line):
        return "no space after -"
    if re.fullmatch(r"\s*[A-Za-z](?!.*:(\s|$))[^\[\]{}]*", line):
        return "a key without a colon and a space after it"
    return ""


def _is_foreign_sign(character: str) -> bool:
    return not character.isascii() and unicodedata.category(character)[0] in "PSZ"
