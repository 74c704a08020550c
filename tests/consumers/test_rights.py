"""No role of a pod has a right that no program, document or decision explains."""

from __future__ import annotations

import pytest

from tests.consumers import rights
from tests.consumers.rights import (
    PAGE,
    Right,
    allowed,
    explained,
    matches,
    requested,
    table,
    written,
)


@pytest.fixture(scope="module")
def used() -> dict[Right, list[str]]:
    """What each program of the tier uses; none of them was denied what it needs."""
    return requested()


def test_every_right_is_used_or_explained(used: dict[Right, list[str]]) -> None:
    assert len(allowed()) > 40
    patterns = [pattern for pattern, _ in explained()]
    assert {
        right
        for right in allowed() - used.keys()
        if not any(matches(pattern, right) for pattern in patterns)
    } == set()


def test_no_row_explains_what_no_role_has_or_a_program_uses(used: dict[Right, list[str]]) -> None:
    open_ = allowed() - used.keys()
    stale = {
        pattern for pattern, _ in explained() if not any(matches(pattern, right) for right in open_)
    }
    assert stale == set()


def test_every_right_that_a_program_uses_is_one_of_the_plan(used: dict[Right, list[str]]) -> None:
    assumption = "sts:AssumeRoleWithWebIdentity"
    assert {right for right in used if right[1] != assumption} <= allowed()
    assert {consumer for names in used.values() for consumer in names} == {*rights.CONSUMERS}


def test_the_page_has_the_table(used: dict[Right, list[str]]) -> None:
    """`.venv/bin/python -m tests.consumers.rights` writes it."""
    assert written(PAGE.read_text()) == table(used)
