"""The results of checks, and how ``./kf doctor`` and ``./kf verify`` print them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import partial
from typing import Annotated

import typer
from rich.text import Text

from terminal.exit_codes import FAILED
from terminal.output import Columns, Format, format_option, show

FindingFormat = Annotated[
    Format | None, format_option("level (good, note, problem), about, sentence")
]


class Level(StrEnum):
    """Severity of a finding; a note is no obstacle."""

    GOOD = "good"
    NOTE = "note"
    PROBLEM = "problem"


_STYLES = {Level.GOOD: "green", Level.NOTE: "yellow", Level.PROBLEM: "red"}


@dataclass(frozen=True)
class Finding:
    """One sentence about one subject."""

    level: Level
    about: str
    sentence: str


good = partial(Finding, Level.GOOD)
note = partial(Finding, Level.NOTE)
problem = partial(Finding, Level.PROBLEM)


def report(findings: Sequence[Finding], format_: Format | None) -> None:
    """Print findings to standard output.

    Raises:
        typer.Exit: with code 1, if one of them is a problem.
    """
    columns: Columns = {
        "level": lambda row: Text(row["level"], style=_STYLES[row["level"]]),
        "about": "about",
        "finding": "sentence",
    }
    show([asdict(finding) for finding in findings], format_, columns)
    if any(finding.level is Level.PROBLEM for finding in findings):
        raise typer.Exit(FAILED)
