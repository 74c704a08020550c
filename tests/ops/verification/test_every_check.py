"""Each check of the registry: its form, its two tests, its row in both pages."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from ops.verification.check import Check
from ops.verification.page import PAGES, Page, with_table
from ops.verification.registry import CHECKS

ROOT = Path(__file__).resolve().parents[3]

each_check = pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)


@cache
def marked() -> frozenset[tuple[str, bool]]:
    """Name and ``broken`` of every ``@pytest.mark.check``."""
    found = set[tuple[str, bool]]()
    for path in (ROOT / "tests").rglob("test_*.py"):
        text = path.read_text("utf-8")
        if "mark.check(" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.check":
                (name,) = (ast.literal_eval(each) for each in node.args)
                options = {each.arg: ast.literal_eval(each.value) for each in node.keywords}
                found.add((name, options["broken"]))
    return frozenset(found)


@each_check
def test_a_check_has_a_test_where_it_passes_and_one_where_it_says_why_not(check: Check) -> None:
    assert {broken for name, broken in marked() if name == check.name} == {False, True}


def test_only_checks_have_such_tests() -> None:
    assert {name for name, _ in marked()} == {check.name for check in CHECKS}


@each_check
def test_a_check_has_a_name_of_words_and_says_what_it_looks_at(check: Check) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", check.name)
    assert re.fullmatch(r"[^.|\n]{8,120}", check.looks_at), "one line, without a period"
    assert check.examine.__doc__


def test_names_are_different_and_no_group_has_the_name_of_a_check_elsewhere() -> None:
    names = [check.name for check in CHECKS]
    assert len(set(names)) == len(names)
    groups = {check.group for check in CHECKS}
    assert [check.name for check in CHECKS if check.name in groups - {check.group}] == []


@each_check
def test_what_a_check_needs_runs_before_it_and_as_deep(check: Check) -> None:
    before = {each.name: each for each in CHECKS[: CHECKS.index(check)]}
    assert set(check.needs) <= set(before)
    assert check.creates or not any(before[name].creates for name in check.needs)


@each_check
def test_what_has_a_sweep_makes_something(check: Check) -> None:
    assert check.creates or check.sweep is None


@each_check
def test_the_chinese_page_says_in_chinese_what_a_check_looks_at(check: Check) -> None:
    (_, chinese) = PAGES
    assert re.search("[\u4e00-\u9fff]", chinese.texts.get(check.name, "")), (
        "ops/verification/looks_at.zh-CN.yaml"
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path.name)
def test_a_page_has_the_table_of_all_checks(page: Page) -> None:
    """``python -m ops.verification.page`` writes it."""
    text = page.path.read_text("utf-8")
    assert with_table(text, page) == text
