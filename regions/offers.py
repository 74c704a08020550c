"""Instance types, classes and versions of databases that regions offer (``offers.json``).

The table has its date and source; ``python -m tests.regions.offers_of_cfn_lint`` writes it anew,
and a test compares it with the installed cfn-lint.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

TABLE = Path(__file__).with_suffix(".json")
Kind = Literal["instances", "databases", "postgresDatabases"]
"""Machines of EC2 (``m5.xlarge``), of RDS for MySQL (``db.m6g.large``) or for PostgreSQL."""


@lru_cache(maxsize=1)
def _table() -> dict[str, Any]:
    return json.loads(TABLE.read_text("utf-8"))


@lru_cache(maxsize=64)
def families(kind: Kind, region: str) -> Mapping[str, tuple[str, ...]]:
    """Family -> sizes that a region offers; empty where the table lacks the region."""
    return {
        family: tuple(sizes.split())
        for family, by_sizes in _table()[kind].items()
        for sizes, regions in by_sizes.items()
        if region in regions.split()
    }


def names(kind: Kind, region: str) -> tuple[str, ...]:
    """Every type or class that a region offers; none where the table lacks the region."""
    start = "" if kind == "instances" else "db."
    of_region = families(kind, region).items()
    return tuple(f"{start}{family}.{size}" for family, sizes in of_region for size in sizes)


def lacks(kind: Kind, region: str, name: str) -> bool:
    """Whether a region of the table does not offer a type or class."""
    offered = names(kind, region)
    return bool(offered) and name not in offered


def mysql_versions(version: str) -> list[str]:
    """The versions of MySQL 8 that RDS has and that begin with these parts.

    https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBInstance.html has versions
    in full; the AWS provider takes a prefix too (hashicorp/terraform-provider-aws
    website/docs/r/db_instance.html.markdown, ``engine_version``).
    """
    return [each for each in _table()["mysql"].split() if is_version(each, version)]


def has_mysql(version: str) -> bool:
    """Whether RDS has a version of MySQL 8; a prefix stands for its newest patch."""
    return bool(mysql_versions(version))


def postgres_versions(version: str) -> list[str]:
    """The versions of PostgreSQL from 17 on that RDS has and that begin with these parts."""
    return [each for each in _table()["postgres"].split() if is_version(each, version)]


def has_postgres(version: str) -> bool:
    """Whether RDS has a version of PostgreSQL; a prefix stands for its newest patch."""
    return bool(postgres_versions(version))


def is_version(version: str, asked: str) -> bool:
    """Whether a version is the one that is asked for, in full or by its first parts."""
    return f"{version}.".startswith(f"{asked}.")
