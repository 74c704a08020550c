"""``./kf doctor``: what stands between a stack file and its deployment."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ops import targets
from ops.account_checks import examine_account
from ops.checks import Finding, Level, Subject, examine
from ops.cli_errors import FAILED, told
from ops.images import Format
from regions.region import Region

_STYLES = {Level.GOOD: "green", Level.NOTE: "yellow", Level.PROBLEM: "red"}


def doctor(
    stack: Annotated[str, typer.Option(help="The stack: Pulumi.<stack>.yaml.")],
    format_: Annotated[
        Format, typer.Option("--format", help="text: tab-separated, one finding per line.")
    ] = Format.TABLE,
    offline: Annotated[bool, typer.Option(help="Omit the checks that call AWS.")] = False,
) -> None:
    """Lists obstacles to the deployment of a stack file; read-only."""
    with told():
        settings = targets.settings_of(stack)
        subject = Subject(settings, Region.of(settings.region))
        findings = examine(subject) + ([] if offline else examine_account(subject))
    show(findings, format_)
    if any(found.level is Level.PROBLEM for found in findings):
        raise typer.Exit(FAILED)


def show(findings: list[Finding], format_: Format) -> None:
    """Prints findings to standard output."""
    match format_:
        case Format.JSON:
            typer.echo(json.dumps([vars(found) for found in findings], indent=2))
        case Format.TEXT:
            for found in findings:
                typer.echo("\t".join((found.level, found.about, found.sentence)))
        case Format.TABLE:
            table = Table("", "about", "finding")
            for found in findings:
                level = Text(found.level, style=_STYLES[found.level])
                table.add_row(level, found.about, found.sentence)
            Console(highlight=False, markup=False).print(table)
