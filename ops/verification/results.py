"""The results of a verification, as rows, for people, and as a JUnit file for CI."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

from ops.findings import Level
from ops.verification.check import Check, Result, Verdict
from terminal.output import Cells, Columns, Format, chosen, sections, show, tab_separated

_STYLES = {
    Verdict.GOOD: "green",
    Verdict.NOTE: "yellow",
    Verdict.PROBLEM: "red",
    Verdict.NOT_CHECKED: "magenta",
}
# Control characters, which logs have: XML 1.0 cannot (https://www.w3.org/TR/xml/#charsets), and a
# terminal obeys them.
_NOT_PRINTED = re.compile("[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def rows_of(results: Sequence[Result]) -> list[dict[str, Any]]:
    """One row per finding, and one per check that was not examined."""
    return [row for result in results for row in _rows(result)]


def _rows(result: Result) -> Iterator[dict[str, Any]]:
    seconds = {"seconds": round(result.seconds, 2), "waited": round(result.waited, 2)}
    of_check = {"check": result.check.name, "looks_at": result.check.looks_at, **seconds}
    if result.reason:
        about = {"level": Verdict.NOT_CHECKED, "about": result.check.name}
        yield {**about, "sentence": _printed(result.reason), **of_check}
    for finding in result.findings:
        about = {"level": finding.level, "about": _printed(finding.about)}
        yield {**about, "sentence": _printed(finding.sentence), **of_check}


def report(results: Sequence[Result], format_: Format | None) -> None:
    """Print the results to standard output; the text format has no times, so that it is stable."""
    if chosen(format_) == "table":
        sections(map(_section, results))
        return
    keys = ("level", "about", "sentence")
    show(
        rows_of(results),
        format_,
        {},
        line=lambda row: tab_separated({key: row[key] for key in keys}),
    )


def _section(result: Result) -> tuple[Cells, list[Cells]]:
    waited = f", {result.waited:.1f} of these waiting" if result.waited >= 0.05 else ""
    heading = f"{result.check.name}: {result.check.looks_at} ({result.seconds:.1f} s{waited})"
    lines = [
        Cells(row["level"], _STYLES[Verdict(row["level"])], _line(row)) for row in _rows(result)
    ]
    return Cells(result.verdict, _STYLES[result.verdict], heading), lines


def _line(row: dict[str, Any]) -> str:
    return row["sentence"] if row["about"] == row["check"] else f"{row['about']}: {row['sentence']}"


def summary(results: Sequence[Result], seconds: float, waited: float) -> str:
    """The last line: how many checks, of which result, and how long they took."""
    levels = [finding.level for result in results for finding in result.findings]
    missing = sum(result.verdict is Verdict.NOT_CHECKED for result in results)
    counts = (
        _counted(len(results), "check"),
        _counted(levels.count(Level.PROBLEM), "problem"),
        _counted(levels.count(Level.NOTE), "note"),
        f"{missing} not checked",
    )
    return f"{', '.join(counts)}; {seconds:.1f} s, {waited:.1f} of these waiting."


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def junit(stack: str, results: Sequence[Result], seconds: float, begun: datetime) -> bytes:
    """A report that GitLab and Jenkins read.

    https://docs.gitlab.com/ci/testing/unit_test_reports/ and jenkinsci/xunit-plugin 3.1.5
    src/main/resources/org/jenkinsci/plugins/xunit/types/model/xsd/junit-10.xsd.
    """
    failed = sum(result.verdict is Verdict.PROBLEM for result in results)
    skipped = sum(result.verdict is Verdict.NOT_CHECKED for result in results)
    counts = {
        "tests": str(len(results)),
        "failures": str(failed),
        "errors": "0",
        "skipped": str(skipped),
        "time": f"{seconds:.3f}",
    }
    root = ElementTree.Element("testsuites", {"name": "kf verify", **counts})
    stamp = begun.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    suite = ElementTree.SubElement(
        root, "testsuite", {"name": _printed(stack), **counts, "timestamp": stamp}
    )
    for result in results:
        suite.append(_case(stack, result))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)


def _case(stack: str, result: Result) -> ElementTree.Element:
    case = ElementTree.Element(
        "testcase",
        {
            "classname": _printed(f"kf verify.{stack}.{result.check.group}"),
            "name": result.check.name,
            "time": f"{result.seconds:.3f}",
        },
    )
    problems = [each for each in result.findings if each.level is Level.PROBLEM]
    others = [each for each in result.findings if each.level is not Level.PROBLEM]
    if problems:
        lines = [f"{each.about}: {each.sentence}" for each in problems]
        failure = ElementTree.SubElement(
            case, "failure", {"message": _printed(lines[0]), "type": "problem"}
        )
        failure.text = _printed("\n".join(lines))
    if result.reason:
        ElementTree.SubElement(case, "skipped", {"message": _printed(result.reason)})
    out = ElementTree.SubElement(case, "system-out")
    out.text = _printed(
        "\n".join(
            [
                f"looks at {result.check.looks_at}",
                *(f"{each.level}: {each.about}: {each.sentence}" for each in others),
            ]
        )
    )
    return case


def _printed(text: str) -> str:
    return _NOT_PRINTED.sub("\ufffd", text)


def list_of(checks: Sequence[Check], format_: Format | None) -> None:
    """Print the checks themselves."""
    rows = [
        {
            "check": check.name,
            "group": check.group,
            "deep": check.creates,
            "needs": list(check.needs),
            "looks_at": check.looks_at,
        }
        for check in checks
    ]
    columns: Columns = {
        "check": "check",
        "deep": lambda row: "deep" if row["deep"] else "",
        "looks at": "looks_at",
    }
    show(rows, format_, columns)
