"""The RDS instance against the stack file, as RDS describes it (API reference, DBInstance)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from ops.account_calls import CallFailed
from ops.findings import Finding, Level
from ops.verification.checks.database_instance import database_instance
from tests.ops.verification.storage import found, passes, sentences, storage

pytestmark = pytest.mark.usefixtures("aws")
REGIONS = ("cn-north-1", "us-west-2", "us-gov-west-1")
PARTITION = {"cn-north-1": "aws-cn", "us-west-2": "aws", "us-gov-west-1": "aws-us-gov"}
GIB = 1024**3
PASSWORD = "plantedPassword1"


def key(region: str) -> str:
    """The ARN of the stack's key, made at the first call."""
    kms: Any = boto3.client("kms", region_name=region)
    name = "alias/kubeflow/kubeflow"
    if name not in [each["AliasName"] for each in kms.list_aliases()["Aliases"]]:
        kms.create_alias(AliasName=name, TargetKeyId=kms.create_key()["KeyMetadata"]["KeyId"])
    return kms.describe_key(KeyId=name)["KeyMetadata"]["Arn"]


def described(region: str = "cn-north-1", **changes: Any) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "DBInstanceIdentifier": "kubeflow-kubeflow",
        "DBInstanceArn": f"arn:{PARTITION[region]}:rds:{region}:123456789012:db:kubeflow-kubeflow",
        "DBInstanceStatus": "available",
        "Engine": "mysql",
        "EngineVersion": "8.4.7",
        "Endpoint": {"Address": "kubeflow-kubeflow.abc.rds", "Port": 3306},
        "MultiAZ": True,
        "PubliclyAccessible": False,
        "DeletionProtection": True,
        "BackupRetentionPeriod": 7,
        "LatestRestorableTime": now - timedelta(minutes=4),
        "StorageEncrypted": True,
        "AllocatedStorage": 100,
        "MaxAllocatedStorage": 500,
        "PendingModifiedValues": {},
        "PreferredMaintenanceWindow": "sun:18:00-sun:18:30",
        "DBParameterGroups": [
            {"DBParameterGroupName": "parameters", "ParameterApplyStatus": "in-sync"}
        ],
        "CACertificateIdentifier": "rds-ca-rsa2048-g1",
        "CertificateDetails": {
            "CAIdentifier": "rds-ca-rsa2048-g1",
            "ValidTill": now + timedelta(days=300),
        },
        **changes,
    }


def examined(
    region: str = "cn-north-1",
    *,
    rds: dict[str, Any] | None = None,
    database: dict[str, Any] | None = None,
    free: float = 80,
    **changes: Any,
) -> list[Finding]:
    """The findings about an instance that differs in some fields.

    Args:
        region: of the stack.
        rds: other answers of AWS.
        database: the section of the stack file.
        free: GiB of storage.
        changes: fields of the instance.
    """
    arn = key(region)
    instance = {"KmsKeyId": arn, **described(region, **changes)}
    authority_end = datetime.now(UTC) + timedelta(days=9000)
    point = {"Timestamp": datetime.now(UTC), "Minimum": free * GIB}
    answers = {
        "rds.DescribeDBInstances": {"DBInstances": [instance]},
        "rds.DescribeCertificates": {"Certificates": [{"ValidTill": authority_end}]},
        "rds.DescribePendingMaintenanceActions": {"PendingMaintenanceActions": []},
        "cloudwatch.GetMetricStatistics": {"Datapoints": [point]},
        **(rds or {}),
    }
    sections: dict[str, Any] = {"database": database} if database else {}
    if database and "snapshot" in database:
        sections["artifacts"] = {"kmsKeyArn": arn}
    return found(database_instance, storage(region, answers=answers, **sections).platform)


@pytest.mark.check("database-instance", broken=False)
@pytest.mark.parametrize("region", REGIONS)
def test_an_instance_as_the_stack_file_has_it_passes(region: str) -> None:
    findings = examined(region)
    assert passes(findings), sentences(findings)
    text = "\n".join(sentences(findings, Level.GOOD))
    assert "runs MySQL 8.4.7, as kubeflow:database.engineVersion 8.4 asks" in text
    assert "has 80.0 of 100 GiB free, and grows by itself to 500 GiB" in text
    assert "can be restored to any second until" in text


@pytest.mark.check("database-instance", broken=True)
def test_an_instance_that_is_not_there_is_told() -> None:
    (told,) = sentences(examined(rds={"rds.DescribeDBInstances": "DBInstanceNotFound"}))
    assert told == (
        "database kubeflow-kubeflow: RDS has no such instance in cn-north-1 of account "
        "123456789012: `pulumi up --refresh` makes it"
    )


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "stopped": ({"DBInstanceStatus": "stopped"}, "is stopped: `aws rds start-db-instance`"),
    "another state": ({"DBInstanceStatus": "failed"}, "is failed: `aws rds describe-events"),
    "full": ({"DBInstanceStatus": "storage-full"}, "raise kubeflow:database.storageGib"),
    "engine": ({"Engine": "mariadb"}, "is mariadb, and Kubeflow's components use mysql"),
    "older": (
        {"EngineVersion": "8.0.46"},
        "runs MySQL 8.0.46, and kubeflow:database.engineVersion",
    ),
    "a name like it": ({"EngineVersion": "8.40.1"}, "runs MySQL 8.40.1, and"),
    "public": ({"PubliclyAccessible": True}, "is public: `pulumi up --refresh`"),
    "one zone": ({"MultiAZ": False}, "has no standby, and kubeflow:database.multiAz is true"),
    "deletable": ({"DeletionProtection": False}, "may be deleted: `pulumi up --refresh`"),
    "no backups": ({"BackupRetentionPeriod": 0}, "has no automatic backups"),
    "not encrypted": ({"StorageEncrypted": False}, "is not encrypted"),
    "another key": ({"KmsKeyId": "arn:other"}, "is encrypted with arn:other, and the stack's key"),
    "old backups": (
        {"LatestRestorableTime": datetime.now(UTC) - timedelta(hours=3)},
        "UTC at the latest, 3 h ago",
    ),
    "certificate": (
        {"CertificateDetails": {"ValidTill": datetime.now(UTC) + timedelta(days=9)}},
        "has a certificate that ends on",
    ),
}


@pytest.mark.check("database-instance", broken=True)
@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_named(name: str) -> None:
    changes, sentence = BROKEN[name]
    (told,) = sentences(examined(**changes))
    assert sentence in told


NOTES: dict[str, tuple[dict[str, Any], str]] = {
    "backing up": ({"DBInstanceStatus": "backing-up"}, "is backing-up, and serves meanwhile"),
    "a new password": (
        {"DBInstanceStatus": "resetting-master-credentials"},
        "is resetting-master-credentials, and serves meanwhile",
    ),
    "new storage": (
        {"DBInstanceStatus": "storage-config-upgrade"},
        "is storage-config-upgrade, and serves meanwhile",
    ),
    "a new one": ({"LatestRestorableTime": None}, "its first backup is to come"),
    "other days": ({"BackupRetentionPeriod": 3}, "and kubeflow:database.backupDays is 7"),
    "restart": (
        {
            "DBParameterGroups": [
                {"DBParameterGroupName": "mine", "ParameterApplyStatus": "pending-reboot"}
            ]
        },
        "has parameters of mine that a restart applies",
    ),
    "pending": (
        {"PendingModifiedValues": {"MasterUserPassword": PASSWORD, "DBInstanceClass": "db.m6g.xl"}},
        "that wait for its window sun:18:00-sun:18:30: DBInstanceClass and MasterUserPassword",
    ),
}


@pytest.mark.parametrize("name", NOTES)
def test_what_changes_by_itself_is_a_note(name: str) -> None:
    changes, sentence = NOTES[name]
    findings = examined(**changes)
    assert sentences(findings) == []
    (told,) = sentences(findings, Level.NOTE)
    assert sentence in told
    assert PASSWORD not in told


def test_an_upgrade_that_waits_for_its_window_is_a_note() -> None:
    findings = examined(EngineVersion="8.0.46", PendingModifiedValues={"EngineVersion": "8.4.7"})
    assert sentences(findings) == []
    version, waiting = sentences(findings, Level.NOTE)
    assert "runs MySQL 8.0.46, and becomes 8.4.7 in its window sun:18:00" in version
    assert waiting.endswith(": EngineVersion")


def test_a_standby_that_is_being_made_is_no_problem() -> None:
    assert sentences(examined(MultiAZ=False, PendingModifiedValues={"MultiAZ": True})) == []


def test_maintenance_is_told_with_its_date() -> None:
    action = {
        "Action": "ca-certificate-rotation",
        "CurrentApplyDate": datetime(2027, 1, 2, tzinfo=UTC),
        "Description": "a new certificate",
    }
    pending = {"PendingMaintenanceActions": [{"PendingMaintenanceActionDetails": [action]}]}
    findings = examined(rds={"rds.DescribePendingMaintenanceActions": pending})
    assert sentences(findings, Level.NOTE) == [
        "database kubeflow-kubeflow: gets ca-certificate-rotation on 2027-01-02: a new certificate"
    ]


@pytest.mark.parametrize(
    ("free", "most", "level"),
    [(10, 100, Level.GOOD), (9.9, 500, Level.NOTE), (9.9, 100, Level.PROBLEM)],
)
def test_little_storage_is_a_problem_where_none_is_added(
    free: float, most: int, level: Level
) -> None:
    findings = examined(free=free, MaxAllocatedStorage=most)
    assert [each.level for each in findings if "GiB free" in each.sentence] == [level]


def test_an_authority_that_ends_is_told() -> None:
    soon = {"Certificates": [{"ValidTill": datetime.now(UTC) + timedelta(days=100)}]}
    (told,) = sentences(examined(rds={"rds.DescribeCertificates": soon}), Level.NOTE)
    assert "rds-ca-rsa2048-g1, which itself ends on" in told
    (told,) = sentences(examined(rds={"rds.DescribeCertificates": "CertificateNotFound"}))
    assert "which RDS no longer offers" in told


def test_settings_that_ask_for_less_are_met_with_less() -> None:
    less = {"multiAz": False, "deletionProtection": False, "engineVersion": "8.4.7"}
    assert passes(examined(database=less, MultiAZ=False, DeletionProtection=False))
    (told,) = sentences(examined(database=less, MultiAZ=False), Level.NOTE)
    assert "is protected from deletion, which the stack file does not ask" in told
    (told,) = sentences(examined(database=less, MultiAZ=True, DeletionProtection=False))
    assert "has a standby in another zone, and kubeflow:database.multiAz is false" in told


def test_the_snapshot_of_the_settings_is_looked_up() -> None:
    there = {"DBSnapshots": [{"Status": "available", "EngineVersion": "8.4.6"}]}
    database = {"snapshot": "before"}
    findings = examined(database=database, rds={"rds.DescribeDBSnapshots": there})
    assert passes(findings)
    assert findings[-1].about == "snapshot before"
    gone = examined(database=database, rds={"rds.DescribeDBSnapshots": "DBSnapshotNotFound"})
    (told,) = sentences(gone, Level.NOTE)
    assert told.startswith("snapshot before: is gone, so that no new database could be made")


def test_who_may_not_describe_it_is_told_which_right_is_missing() -> None:
    with pytest.raises(CallFailed, match="the right rds:DescribeDBInstances is missing"):
        examined(rds={"rds.DescribeDBInstances": "AccessDenied"})


@pytest.mark.parametrize(
    "call",
    [
        "cloudwatch.GetMetricStatistics",
        "rds.DescribeCertificates",
        "rds.DescribePendingMaintenanceActions",
        "kms.DescribeKey",
    ],
)
def test_a_missing_right_leaves_the_rest_checked(call: str) -> None:
    findings = examined(rds={call: "AccessDeniedException"})
    assert sentences(findings) == []
    (told,) = sentences(findings, Level.NOTE)
    assert f"not checked: the right {call.replace('.', ':')} is missing" in told
    assert len(findings) > 8


# -- the database of the model catalog -------------------------------------------------------------

CATALOG = "kubeflow-model-catalog"


def with_catalog(region: str = "cn-north-1", **changes: Any) -> list[Finding]:
    """The findings about both instances; the catalog's differs in some fields."""
    arn = key(region)
    own = {
        **{"DBInstanceIdentifier": CATALOG, "Engine": "postgres", "EngineVersion": "17.6"},
        **{"MultiAZ": False, "AllocatedStorage": 20, "MaxAllocatedStorage": 20},
    }
    instances = {
        "kubeflow-kubeflow": {"KmsKeyId": arn, **described(region)},
        CATALOG: {"KmsKeyId": arn, **described(region, **own), **changes},
    }

    def asked(params: dict[str, Any]) -> dict[str, Any]:
        return {"DBInstances": [instances[params["body"]["DBInstanceIdentifier"]]]}

    end = datetime.now(UTC) + timedelta(days=9000)
    point = {"Timestamp": datetime.now(UTC), "Minimum": 19 * GIB}
    answers = {
        "rds.DescribeDBInstances": asked,
        "rds.DescribeCertificates": {"Certificates": [{"ValidTill": end}]},
        "rds.DescribePendingMaintenanceActions": {"PendingMaintenanceActions": []},
        "cloudwatch.GetMetricStatistics": {"Datapoints": [point]},
    }
    sections: dict[str, Any] = {"modelCatalog": {"enabled": True}}
    return found(database_instance, storage(region, answers=answers, **sections).platform)


@pytest.mark.parametrize("region", REGIONS)
def test_the_catalogs_instance_is_looked_at_beside_the_other(region: str) -> None:
    findings = with_catalog(region)
    assert passes(findings), sentences(findings)
    text = "\n".join(sentences(findings, Level.GOOD))
    assert "runs MySQL 8.4.7, as kubeflow:database.engineVersion 8.4 asks" in text
    assert "runs PostgreSQL 17.6, as kubeflow:modelCatalog.engineVersion 17 asks" in text
    assert "has one zone alone, as kubeflow:modelCatalog.multiAz asks" in text


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"Engine": "mysql"}, "is mysql, and the model catalog uses postgres"),
        ({"EngineVersion": "16.4"}, "kubeflow:modelCatalog.engineVersion is 17"),
        ({"MultiAZ": True}, "kubeflow:modelCatalog.multiAz is false"),
        ({"DeletionProtection": False}, "may be deleted"),
        ({"PubliclyAccessible": True}, "is public"),
        ({"StorageEncrypted": False}, "is not encrypted"),
    ],
)
def test_what_is_broken_of_the_catalogs_instance_is_named(
    changes: dict[str, Any], sentence: str
) -> None:
    (told,) = [each for each in with_catalog(**changes) if each.level is Level.PROBLEM]
    assert told.about == f"database {CATALOG}"
    assert sentence in told.sentence
