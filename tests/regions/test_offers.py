"""The table of what regions offer is that of the installed cfn-lint."""

from __future__ import annotations

import pytest

from regions.offers import TABLE, Kind, families, has_mysql, lacks, names
from tests.regions import offers_of_cfn_lint


def test_the_table_is_what_cfn_lint_has() -> None:
    assert TABLE.read_text("utf-8") == offers_of_cfn_lint.text(), (
        "run `python -m tests.regions.offers_of_cfn_lint`"
    )


@pytest.mark.parametrize(
    ("kind", "region", "name", "offered"),
    [
        ("instances", "cn-north-1", "m5.xlarge", True),
        ("instances", "cn-north-1", "m7a.xlarge", False),
        ("instances", "cn-north-1", "m5.9xlarge", False),
        ("instances", "mx-central-1", "m5.xlarge", False),
        ("databases", "cn-north-1", "db.m6g.large", True),
        ("databases", "cn-northwest-1", "db.r6gd.large", False),
        ("databases", "us-gov-west-1", "db.m8g.large", False),
        ("instances", "us-iso-east-1", "m7a.xlarge", True),
    ],
)
def test_a_region_offers_a_size_of_a_family(
    kind: Kind, region: str, name: str, offered: bool
) -> None:
    assert lacks(kind, region, name) == (not offered)
    assert (name in names(kind, region)) == (offered and bool(families(kind, region)))


@pytest.mark.parametrize(
    ("version", "offered"),
    [("8.4", True), ("8.4.7", True), ("8.0.46", True), ("8.4.99", False), ("8.4.1", False)],
)
def test_a_version_of_mysql_is_a_patch_or_the_start_of_one(version: str, offered: bool) -> None:
    assert has_mysql(version) == offered
