"""Which settings what exists of a backend allows: no way back to an older version, the same key."""

from __future__ import annotations

from typing import Any

import pytest

from settings import from_mapping
from settings.existing_backend import (
    ExistingBackend,
    ExistingDatabase,
    instance_name,
    problems_of_backend,
)

KEY = "arn:aws-cn:kms:cn-north-1:111122223333:key/01234567-89ab-cdef-0123-456789abcdef"
OTHER = KEY.replace("0123-456789abcdef", "0123-456789abcdee")
BUCKET = "kubeflow-111122223333-cn-north-1"


def problems(existing: ExistingBackend, **database: Any) -> list[str]:
    artifacts = {"existing": True, "kmsKeyArn": KEY}
    settings = from_mapping({"region": "cn-north-1", "artifacts": artifacts, "database": database})
    return problems_of_backend(settings, existing, BUCKET)


def of_instance(has: str, wanted: str, **database: Any) -> list[str]:
    found = ExistingBackend(database=ExistingDatabase(version=has))
    return problems(found, engineVersion=wanted, **database)


def of_snapshot(wanted: str = "8.4", key: str = KEY, **database: Any) -> list[str]:
    snapshot = ExistingDatabase(version="8.4.7", storage_gib=200, key_arn=key, snapshot=True)
    database = {"storageGib": 200, "snapshot": "last", **database}
    return problems(ExistingBackend(database=snapshot), engineVersion=wanted, **database)


def test_a_database_is_named_after_its_cluster() -> None:
    assert instance_name("ml") == "ml-kubeflow"


@pytest.mark.parametrize(
    ("has", "wanted"),
    [
        ("8.4.7", "8.4"),
        ("8.4.7", "8.4.7"),
        ("8.4.7", "8.4.10"),
        ("8.4.10", "8.4.10"),
        ("8.0.46-rds.20260908", "8.0"),
        ("8.0.46-rds.20260908", "8.0.46"),
    ],
)
def test_the_same_version_and_newer_patches_are_allowed(has: str, wanted: str) -> None:
    assert of_instance(has, wanted) == []


@pytest.mark.parametrize(
    ("has", "wanted", "line"),
    [
        ("8.4.10", "8.4.9", "8.4"),
        ("8.4.3", "8.0", "8.4"),
        ("8.0.46", "8.0.45", "8.0"),
        ("8.0.46-rds.20260908", "8.0.45", "8.0"),
    ],
)
def test_an_older_version_is_refused(has: str, wanted: str, line: str) -> None:
    reason = f"RDS runs {has}, and no database goes back to an older version: write {line}."
    expected = [f"kubeflow:database.engineVersion is {wanted}: {reason}"]
    assert of_instance(has, wanted) == of_instance(has, wanted, applyImmediately=True) == expected


@pytest.mark.parametrize("wanted", ["8.4", "8.4.7"])
def test_another_line_takes_a_word(wanted: str) -> None:
    assert of_instance("8.0.46", wanted, applyImmediately=True) == []
    assert of_instance("8.0.46", wanted) == [
        (
            f"kubeflow:database.engineVersion is {wanted}: RDS runs 8.0.46, and this upgrade stops "
            "the database for minutes and has no way back: set kubeflow:database.applyImmediately "
            "to true for it, or write 8.0."
        )
    ]


def test_a_snapshot_is_restored_as_it_is() -> None:
    assert of_snapshot() == of_snapshot("8.4.7") == of_snapshot(storageGib=300) == []


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {"wanted": "8.0"},
            (
                "kubeflow:database.engineVersion is 8.0: the snapshot is of 8.4.7, and no database "
                "goes back to an older version: write 8.4."
            ),
        ),
        (
            {"storageGib": 199},
            "kubeflow:database.storageGib is 199: the snapshot has 200: write that or more.",
        ),
        (
            {"key": OTHER},
            (
                f"kubeflow:artifacts.kmsKeyArn is {KEY[:57]}...: the snapshot is encrypted with "
                f"{OTHER}, which it keeps: write that."
            ),
        ),
        (
            {"key": ""},
            (
                "kubeflow:database.snapshot is last: the snapshot is not encrypted, and so would "
                "its database be: copy it with a key (`aws rds copy-db-snapshot --kms-key-id`), "
                "and name that in kubeflow:artifacts.kmsKeyArn and the copy here."
            ),
        ),
    ],
)
def test_what_a_restore_cannot_change_is_refused(given: dict[str, Any], sentence: str) -> None:
    assert of_snapshot(**given) == [sentence]


def test_a_snapshot_of_an_older_line_is_upgraded_after_its_restore() -> None:
    snapshot = ExistingDatabase(version="8.0.46", key_arn=KEY, snapshot=True)
    found = ExistingBackend(database=snapshot)
    assert problems(found, engineVersion="8.4", applyImmediately=True, snapshot="last") == [
        (
            "kubeflow:database.engineVersion is 8.4: the snapshot is of 8.0.46: restore it with "
            "8.0, and upgrade afterwards."
        )
    ]


def test_what_is_named_and_absent_is_told() -> None:
    absent = ExistingDatabase(version="", snapshot=True)
    found = ExistingBackend(database=absent, bucket=False, key=False)
    bucket, key, snapshot = problems(found, snapshot="last")
    assert bucket == (
        f"kubeflow:artifacts.existing is true: the account has no bucket {BUCKET}: name it in "
        "kubeflow:artifacts.bucket, or remove the line."
    )
    assert "KMS has no such key, or not enabled: `aws kms cancel-key-deletion`" in key
    assert snapshot == (
        "kubeflow:database.snapshot is last: there is no such snapshot: "
        "`aws rds describe-db-snapshots` lists all of them."
    )
    assert problems(ExistingBackend()) == []
