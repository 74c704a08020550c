"""The results of checks, and how ``./kf doctor`` and ``./kf verify`` print them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import partial
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ops.cli_errors import FAILED

Format = Literal["table", "json", "text"]
FindingFormat = Annotated[
    Format, typer.Option("--format", help="text: tab-separated, one finding per line.")
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


def report(findings: Sequence[Finding], format_: Format) -> None:
    """Print findings to standard output.

    Raises:
        typer.Exit: with code 1, if one of them is a problem.
    """
    match format_:
        case "json":
            typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
        case "text":
            for finding in findings:
                typer.echo("\t".join((finding.level, finding.about, finding.sentence)))
        case "table":
            table = Table("", "about", "finding")
            for finding in findings:
                level = Text(finding.level, style=_STYLES[finding.level])
                table.add_row(level, finding.about, finding.sentence)
            Console(emoji=False, highlight=False, markup=False).print(table)
    if any(finding.level is Level.PROBLEM for finding in findings):
        raise typer.Exit(FAILED)
