"""One setting refuses and allows the end of everything that holds data."""

from __future__ import annotations

from typing import Any

import pytest

from settings import from_mapping
from tests.components.backend.simulated_backend import backend

INSTANCE = "aws:rds/instance:Instance"
KEPT = ("aws:s3/bucket:Bucket", "aws:kms/key:Key", INSTANCE)


@pytest.mark.parametrize(
    ("given", "engine", "rds"),
    [
        ({}, True, True),
        ({"deletionProtection": True}, True, True),
        ({"deletionProtection": False}, False, False),
        ({"deletionProtection": False, "database": {"deletionProtection": True}}, False, False),
        ({"database": {"deletionProtection": False}}, False, False),
        ({"deletionProtection": True, "database": {"deletionProtection": False}}, True, False),
    ],
)
def test_one_setting_protects_and_lifts_it_all(
    given: dict[str, Any], engine: bool, rds: bool
) -> None:
    made = backend(**given)
    assert [bool(made.only(kind).protect) for kind in KEPT] == [engine] * 3
    assert made.only(INSTANCE).inputs["deletionProtection"] is rds


@pytest.mark.parametrize("protected", [True, False])
def test_an_unprotected_database_may_end_without_a_snapshot(protected: bool) -> None:
    database = {"skipFinalSnapshot": True, "deletionProtection": not protected}
    raw = {"region": "cn-north-1", "deletionProtection": protected, "database": database}
    assert from_mapping(raw).protected is protected
