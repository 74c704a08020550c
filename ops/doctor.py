"""``./kf doctor``: obstacles between a stack file and its deployment."""

from __future__ import annotations

from typing import Annotated

import typer

from ops import targets
from ops.account_checks import examine_account
from ops.checks import Subject, examine
from ops.cli_errors import errors_reported
from ops.findings import FindingFormat, report
from ops.node_group_fit import node_group_findings
from ops.tool_checks import tool_findings
from ops.version_checks import calendar_findings
from regions.region import Region


def doctor(
    stack: targets.Stack = targets.DEFAULT,
    format_: FindingFormat = None,
    offline: Annotated[bool, typer.Option(help="Omit the checks that call AWS.")] = False,
) -> None:
    """Lists obstacles to the deployment of a stack file; read-only.

    Example: `./kf doctor --stack cn-north-1 --offline`
    """
    with errors_reported():
        settings = targets.settings_of(stack)
        subject = Subject(settings, Region.of(settings.region), targets.stack_file(stack))
        findings = [
            *calendar_findings(subject),
            *examine(subject),
            *node_group_findings(subject),
            *tool_findings(subject),
            *([] if offline else examine_account(subject)),
        ]
    report(findings, format_)
