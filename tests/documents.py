"""Documents as a reader has them: headings with their anchors, links, blocks of code, commands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import ops.__main__

ROOT = Path(__file__).resolve().parent.parent
CHINESE = ".zh-CN.md"
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
ACCOUNT = "<!-- needs an account -->"
"""On the line before a block with commands that call AWS or a cluster."""

# Programs where a command may begin. `doctor` calls AWS unless it is told not to.
_CALLS = re.compile(
    r"(?:^|[|&;(]|\bsudo\b[^|&;]*?)\s*"
    r"(?:aws|kubectl|pulumi|\./kf (?:dashboard|leftovers|resume|verify"
    r"|images (?:check|mirror|lock[^|&;]*--from-account)|doctor(?![^|&;]*--offline)))\b"
)
_KF = re.compile(r"\./kf ([a-z][^|&;)`\n]*)")


class Block(NamedTuple):
    """A block of code.

    Attributes:
        language: after its fence.
        text: its lines, in a list without the list's indentation.
        marked: whether ``ACCOUNT`` is on the line before it.
    """

    language: str
    text: str
    marked: bool

    def lines(self) -> list[str]:
        """Its commands, one per line, without comments."""
        joined = self.text.replace("\\\n", " ")
        return [line for each in joined.splitlines() if (line := re.sub(r"(^|\s)#.*", "", each))]

    @property
    def calls(self) -> bool:
        """Whether a command in it calls AWS or a cluster."""
        return any(_CALLS.search(line) for line in self.lines())


def text_of(page: Path) -> str:
    """A page."""
    return page.read_text("utf-8")


def prose(text: str) -> str:
    """A text without its blocks of code."""
    return FENCE.sub("", text)


def blocks(text: str) -> Iterator[Block]:
    """Every block of code in a text."""
    for found in FENCE.finditer(text):
        before = text[: found.start()].rstrip("\n").rpartition("\n")[2].strip()
        lines = [line.removeprefix(found[1]) for line in found[3].splitlines()]
        yield Block(found[2], "\n".join(lines), before == ACCOUNT)


def quoted(text: str) -> list[str]:
    """Everything in single backticks outside blocks of code."""
    return re.findall(r"`([^`\n]+)`", prose(text))


def headings(text: str) -> list[str]:
    """The headings of a text in their order, with their marks (``## Users``)."""
    return re.findall(r"^#+ .+$", prose(text), flags=re.MULTILINE)


def slug(heading: str) -> str:
    """GitHub's anchor of a heading, which GitLab's agrees with for these."""
    shown = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", heading.lstrip("#").strip().lower())
    return re.sub(r"[^\w\- ]", "", shown).replace(" ", "-")


def anchors(text: str) -> list[str]:
    """The anchors of a text in their order: of its headings, and those that HTML sets."""
    return [slug(heading) for heading in headings(text)] + re.findall(r'<a id="([^"]+)">', text)


def links(text: str) -> list[tuple[str, str]]:
    """File and anchor of every link inside the project; either may be empty."""
    found = re.findall(r"\]\(([^):\s]*)\)", prose(text))
    return [(file, anchor) for link in found for file, _, anchor in [link.partition("#")]]


def broken(page: Path) -> list[str]:
    """The links of a page that lead to no file, or to no heading of it."""
    found: list[str] = []
    for file, anchor in links(text_of(page)):
        target = page.parent / file if file else page
        if not target.exists():
            found.append(file)
        elif anchor and anchor not in anchors(text_of(target)):
            found.append(f"{file}#{anchor}")
    return found


def make_targets() -> set[str]:
    """The targets of the Makefile."""
    names = re.findall(r"^([a-z][a-z -]*):(?!=)", text_of(ROOT / "Makefile"), flags=re.MULTILINE)
    return {target for line in names for target in line.split()}


def calls_of_kf(text: str) -> list[list[str]]:
    """The words of every call of ``./kf`` in a text, beginning with the command."""
    return [shlex.split(call, comments=True) for call in _KF.findall(text)]


def kf_command(words: list[str]) -> Any:
    """The command of ``./kf`` that the words begin with.

    Raises:
        KeyError: there is no such command.
    """
    command = ops.__main__.imported(words[0])
    for word in words[1:]:
        command = getattr(command, "commands", {}).get(word, command)
    return command


def unknown_words(call: list[str]) -> list[str]:
    """The command, or the options, that ``./kf`` does not have."""
    if call[0] not in ops.__main__.COMMANDS:
        return call[:1]
    command = kf_command([word for word in call if re.fullmatch("[a-z]+", word)])
    known = {
        option
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
    }
    given = {word.partition("=")[0] for word in call if word.startswith("--")}
    return sorted(given - known - {"--help"})
