"""Results for people, for programs, and for CI."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from xml.etree import ElementTree

import pytest

from ops.findings import good, note, problem
from ops.verification.check import Result
from ops.verification.results import junit, report, rows_of, summary
from terminal import output
from terminal.output import Format
from tests.ops.verification.checks import check

LONG = "it is not as it should be, because of many reasons: " + "a-very-long-name" * 12
RESULTS = (
    Result(check("a"), (good("x", "is right"), note("y", "is odd")), 1.23, 1.0),
    Result(check("b"), (problem("z", LONG), problem("b", "is wrong")), 0.5),
    Result(check("c"), (), 0.0, reason="b failed"),
)
BEGUN = datetime(2026, 11, 29, 12, tzinfo=UTC)


def test_a_row_has_what_was_looked_at_and_how_long() -> None:
    rows = rows_of(RESULTS)
    assert [(row["check"], row["level"], row["about"]) for row in rows] == [
        *(("a", "good", "x"), ("a", "note", "y"), ("b", "problem", "z"), ("b", "problem", "b")),
        ("c", "not checked", "c"),
    ]
    assert rows[0] == {
        **{"level": "good", "about": "x", "sentence": "is right", "check": "a"},
        **{"looks_at": "what a is", "seconds": 1.23, "waited": 1.0},
    }
    assert rows[-1]["sentence"] == "b failed"


def test_a_person_reads_verdict_name_time_and_findings_in_80_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output.results, "_width", 80)
    report(RESULTS, "table")
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert max(map(len, lines)) <= 80
    assert lines[:3] == [
        "note           a: what a is (1.2 s, 1.0 of these waiting)",
        "  good         x: is right",
        "  note         y: is odd",
    ]
    assert lines[3] == "problem        b: what b is (0.5 s)"
    assert lines[4].startswith("  problem      z: it is not as it should be")
    assert lines[-3:] == [
        "  problem      is wrong",
        "not checked    c: what c is (0.0 s)",
        "  not checked  b failed",
    ]


@pytest.mark.parametrize("format_", ["table", "text", "json"])
def test_what_a_log_would_do_to_a_terminal_is_not_printed(
    capsys: pytest.CaptureFixture[str], format_: Format
) -> None:
    found = (problem("a\x1b[2J", "b\x07\x9b31m \u4e2d\U0001f600"),)
    report([Result(check("a"), found, 0.0)], format_)
    shown = capsys.readouterr().out
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", shown.replace("\t", " "))
    sentence = json.loads(shown)[0]["sentence"] if format_ == "json" else shown
    assert "\u4e2d\U0001f600" in sentence


def test_lines_for_programs_have_no_times(capsys: pytest.CaptureFixture[str]) -> None:
    report(RESULTS[2:], "text")
    assert capsys.readouterr().out == "not checked\tc\tb failed\n"


def test_the_summary_counts_findings_and_waiting() -> None:
    assert summary(RESULTS, 2.04, 1.0) == (
        "3 checks, 2 problems, 1 note, 1 not checked; 2.0 s, 1.0 of these waiting."
    )


def test_ci_gets_one_case_per_check_with_all_problems_of_it() -> None:
    root = ElementTree.fromstring(junit("us-west-2", RESULTS, 2.5, BEGUN))  # noqa: S314
    (suite,) = root
    assert suite.attrib == {
        **{"name": "us-west-2", "tests": "3", "failures": "1", "errors": "0", "skipped": "1"},
        **{"time": "2.500", "timestamp": "2026-11-29T12:00:00"},
    }
    assert {key: root.get(key) for key in ("tests", "failures", "skipped")} == {
        **{"tests": "3", "failures": "1", "skipped": "1"}
    }
    passed, failed, skipped = suite
    assert [each.tag for each in passed] == ["system-out"]
    assert passed.findtext("system-out") == (
        "looks at what a is\ngood: x: is right\nnote: y: is odd"
    )
    assert passed.attrib == {
        **{"classname": "kf verify.us-west-2.checks", "name": "a", "time": "1.230"}
    }
    assert failed.findtext("failure") == f"z: {LONG}\nb: is wrong"
    reason = skipped.find("skipped")
    assert reason is not None
    assert reason.get("message") == "b failed"
