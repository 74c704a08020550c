"""--only and --deep: which checks run."""

from __future__ import annotations

import re

import pytest

from ops.cli_errors import Refused
from ops.verification.registry import CHECKS as EVERY
from ops.verification.selection import selected
from tests.ops.verification.checks import check

CHECKS = (
    check("cluster"),
    check("database-server"),
    check("database-tables", needs=("database-server",)),
    check("database-rows", creates=True, needs=("pipelines-run", "database-tables")),
    check("databases"),
    check("pipelines-run", creates=True),
)


def names(*only: str, deep: bool = False) -> list[str]:
    return [each.name for each in selected(CHECKS, only, deep=deep)]


def test_without_deep_nothing_that_makes_objects_runs() -> None:
    assert names() == ["cluster", "database-server", "database-tables", "databases"]
    assert names(deep=True) == [each.name for each in CHECKS]


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        (("cluster",), ["cluster"]),
        (("databases", "cluster"), ["cluster", "databases"]),
        (("databases,cluster",), ["cluster", "databases"]),
        (("database",), ["database-server", "database-tables"]),
        (("database-tables",), ["database-server", "database-tables"]),
        (("checks",), ["cluster", "database-server", "database-tables", "databases"]),
    ],
)
def test_a_name_a_first_word_a_group_and_what_they_need(
    only: tuple[str, ...], expected: list[str]
) -> None:
    assert names(*only) == expected


def test_the_name_of_a_check_is_no_group_with_other_checks() -> None:
    names = {each.name for each in EVERY}
    assert {(each.group, each.name) for each in EVERY if each.group in names} == {
        (each.name, each.name) for each in EVERY if each.group == each.name
    }


def test_what_a_deep_check_needs_runs_with_it_in_order() -> None:
    assert names("database-rows", deep=True) == [
        *("database-server", "database-tables", "database-rows", "pipelines-run")
    ]


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("database-table", "--only database-table: there is no check of that name, did you mean "),
        ("datenbank", "did you mean databases? `./kf verify --list` has all of them."),
        ("pipelines", "--only pipelines names pipelines-run, which makes objects .*: add --deep."),
    ],
)
def test_a_name_that_names_nothing_is_one_sentence(word: str, sentence: str) -> None:
    with pytest.raises(Refused, match=re.escape(sentence).replace(r"\.\*", ".*")):
        names(word)
