"""Checks one after the other: what fails in one leaves the others their results."""

from __future__ import annotations

import re
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError

from ops.cli_errors import Refused
from ops.current_cluster import Unreachable
from ops.findings import good, note, problem
from ops.verification.check import Verdict
from ops.verification.once import Once
from ops.verification.platform import Platform
from tests.ops.verification.checks import NO_PLATFORM, check, run


def test_a_check_is_as_bad_as_its_worst_finding() -> None:
    run_of = run(
        check("a", good("x", "")),
        check("b", good("x", ""), note("y", "")),
        check("c", note("x", ""), problem("y", ""), good("z", "")),
    )
    assert [each.verdict for each in run_of.results] == [
        *(Verdict.GOOD, Verdict.NOTE, Verdict.PROBLEM)
    ]


def test_what_needs_a_check_that_failed_is_not_checked() -> None:
    results = run(
        check("a", problem("x", "")),
        check("b", needs=("a",)),
        check("c", needs=("b",)),
        check("d"),
    ).results
    assert [(each.verdict, each.reason) for each in results[1:]] == [
        (Verdict.NOT_CHECKED, "a failed"),
        (Verdict.NOT_CHECKED, "b was not checked"),
        (Verdict.GOOD, ""),
    ]


def test_a_note_is_no_failure_of_what_is_needed() -> None:
    results = run(check("a", note("x", "")), check("b", needs=("a",))).results
    assert results[1].verdict is Verdict.GOOD


def test_a_refusal_leaves_one_check_out_with_its_sentence() -> None:
    results = run(check("a", raises=Refused("a right is missing: ask.")), check("b")).results
    assert (results[0].verdict, results[0].reason) == (
        *(Verdict.NOT_CHECKED, "a right is missing: ask."),
    )
    assert results[0].findings == ()
    assert results[1].verdict is Verdict.GOOD


def test_a_problem_found_before_a_refusal_stays_a_problem() -> None:
    (result,) = run(check("a", problem("x", "is wrong"), raises=Refused("no right."))).results
    assert result.verdict is Verdict.PROBLEM
    assert [each.sentence for each in result.findings] == [
        *("is wrong", "not all was checked: no right.")
    ]


def test_a_fault_of_a_check_is_reported_without_what_it_quotes() -> None:
    results = run(check("a", good("x", ""), raises=KeyError("a secret")), check("b")).results
    assert results[0].verdict is Verdict.PROBLEM
    (_, found) = results[0].findings
    assert re.search(r"ended with KeyError at ops/verification/run\.py:\d+: ", found.sentence)
    assert "report" in found.sentence
    assert "secret" not in found.sentence
    assert results[1].verdict is Verdict.GOOD


def test_a_call_that_aws_denies_is_not_checked_with_the_right() -> None:
    denied = ClientError({"Error": {"Code": "AccessDenied", "Message": "m"}}, "DescribeDBInstances")
    (result,) = run(check("a", raises=denied)).results
    assert "the right AWS:DescribeDBInstances is missing (AccessDenied)" in result.reason


def test_an_api_server_that_does_not_answer_the_first_check_ends_them_all() -> None:
    with pytest.raises(Unreachable, match="it is gone"):
        run(check("a", raises=Unreachable("it is gone.")), check("b"))


def test_an_api_server_that_is_lost_later_leaves_the_results_so_far() -> None:
    made = run(check("a"), check("b", raises=Unreachable("it is gone.")), check("c"))
    assert made.lost == "it is gone."
    assert [(each.verdict, each.reason) for each in made.results] == [
        (Verdict.GOOD, ""),
        (Verdict.NOT_CHECKED, "it is gone."),
        (Verdict.NOT_CHECKED, "it is gone."),
    ]


def test_a_check_without_a_finding_is_not_taken_for_good() -> None:
    (result,) = run(check("a", examine=lambda _: iter(()))).results
    assert result.verdict is Verdict.NOT_CHECKED


def test_an_answer_that_takes_too_long_is_the_end_of_its_own_check_alone() -> None:
    def answer(*_: object) -> dict[str, str]:
        return {"gitVersion": "v1.36.1"}

    cluster = SimpleNamespace(remembering=nullcontext, forget=lambda: None, answer=answer)
    made = run(
        check("a"),
        check("b", raises=Unreachable("the read timed out.")),
        check("c"),
        platform=SimpleNamespace(cluster=cluster),
    )
    assert made.lost == ""
    assert [each.verdict for each in made.results] == [
        *(Verdict.GOOD, Verdict.NOT_CHECKED, Verdict.GOOD)
    ]


def test_a_value_that_cannot_be_made_has_the_same_error_for_every_check() -> None:
    def fault(_: Platform) -> str:
        raise KeyError("a secret")

    once = Once(fault)
    for _ in range(2):
        with pytest.raises(KeyError):
            once.of(NO_PLATFORM)
