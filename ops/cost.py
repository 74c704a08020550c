"""``./kf cost``: what a stack costs, from its plan and dated price tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from costs import cost_of, report
from ops import targets
from ops.cli_errors import Refused, errors_reported
from ops.rights import plan_of
from regions.price_list import PricesRejected
from terminal.output import Format, chosen, say, tab_separated


def cost(
    stack: targets.Stack = targets.DEFAULT,
    prices: Annotated[
        Path | None,
        typer.Option(
            envvar=report.OWN,
            help="A file of your own prices, which win (docs/cost.md).",
            show_default=False,
        ),
    ] = None,
    format_: Annotated[
        Format | None,
        typer.Option(
            "--format",
            help="json: one object. text: tab-separated, one row per line.",
            show_default="table on a terminal, else text",
        ),
    ] = None,
) -> None:
    """Shows what a stack costs: a month, the busiest hour, each pool; unknown prices by name.

    From the plan of the last `make preview`, without credentials, tax, discounts and free quotas.

    Example: `./kf cost --stack cn-north-1`
    """
    with errors_reported():
        region = targets.settings_of(stack).region
        try:
            found = cost_of(plan_of(stack), region, own=report.own_prices(prices))
        except PricesRejected as error:
            raise Refused(str(error)) from None
    match chosen(format_):
        case "json":
            say(json.dumps(report.json_of(found, stack), indent=2))
        case "text":
            for row in report.rows_of(found):
                say(tab_separated(row))
        case "table":
            for line in report.table(found):
                say(line)
