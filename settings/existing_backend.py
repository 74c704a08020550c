"""What exists of a backend, and which settings it allows: database or snapshot, bucket, key."""

from __future__ import annotations

import re
from dataclasses import dataclass

from settings.errors import full_key, refusal
from settings.sections import Settings

_KEY = "artifacts.kmsKeyArn"


def instance_name(cluster: str) -> str:
    """The identifier of a cluster's database."""
    return f"{cluster}-kubeflow"


def key_alias(cluster: str) -> str:
    """The alias, after ``alias/``, of the key that a cluster's backend makes."""
    return f"{cluster}/kubeflow"


@dataclass(frozen=True, kw_only=True)
class ExistingDatabase:
    """An instance, or the snapshot that one is to be made from.

    Attributes:
        version: of MySQL in full: ``8.4.7``; empty: there is no such snapshot.
        storage_gib: what is allocated.
        key_arn: of the KMS key that encrypts it; empty: none.
        snapshot: whether it is a snapshot.
    """

    version: str
    storage_gib: int = 0
    key_arn: str = ""
    snapshot: bool = False


@dataclass(frozen=True, kw_only=True)
class ExistingBackend:
    """The part of a backend that exists before a run.

    Attributes:
        database: None: neither the instance nor a snapshot to make it from.
        bucket: whether the bucket that the settings name as existing is there.
        key: whether the key that they name is there and enabled.
        own_key: whether that key is the account's own, and not one that AWS has for one service.
        files: whether the file system that they name is there.
        only_zone: the zone of that file system; empty: it is in all of the region.
    """

    database: ExistingDatabase | None = None
    bucket: bool = True
    key: bool = True
    own_key: bool = True
    files: bool = True
    only_zone: str = ""


def _parts(version: str) -> tuple[int, ...]:
    """``8.0.46-rds.20260908``: 8, 0, 46."""
    return tuple(int(part) for part in re.findall("[0-9]+", version))


def problems_of_backend(settings: Settings, existing: ExistingBackend, bucket: str) -> list[str]:
    """Why a run would end at what exists, or without it, one sentence each.

    Args:
        settings: of the stack.
        existing: see there.
        bucket: the name of the bucket of artifacts.
    """
    problems: list[str] = []
    if not existing.bucket:
        reason = f"the account has no bucket {bucket}: name it in {full_key('artifacts.bucket')}"
        problems.append(refusal("artifacts.existing", True, f"{reason}, or remove the line"))
    if not existing.key:
        reason = "KMS has no such key, or not enabled: `aws kms cancel-key-deletion` saves one"
        key = settings.artifacts.kms_key_arn
        problems.append(refusal(_KEY, key, f"{reason} in its last 30 days"))
    elif not existing.own_key:
        reason = "AWS has this key for one service, and others cannot use it: make one of your own"
        way_out = "(`aws kms create-key`), and for a snapshot copy it with that"
        problems.append(refusal(_KEY, settings.artifacts.kms_key_arn, f"{reason} {way_out}"))
    if not existing.files:
        key, value = "sharedFiles.fileSystemId", settings.shared_files.file_system_id
        reason = "EFS has no such file system in the account and region: correct it"
        problems.append(refusal(key, value, f"{reason}, or remove the line for a new one"))
    if existing.only_zone:
        key, value = "sharedFiles.fileSystemId", settings.shared_files.file_system_id
        reason = f"it is in {existing.only_zone} alone (One Zone), and the nodes are in other zones"
        problems.append(refusal(key, value, f"{reason} too: copy its files to a Regional one"))
    if existing.database:
        problems += _problems_of_database(settings, existing.database)
    return problems


def _problems_of_database(settings: Settings, existing: ExistingDatabase) -> list[str]:
    """Why RDS would refuse the settings, or replace the database by them, one sentence each.

    RDS upgrades alone (user guide, USER_UpgradeDBInstance.MySQL.html), and restores with the
    version and key of the snapshot and at least its storage (API, RestoreDBInstanceFromDBSnapshot).
    """
    database, has = settings.database, existing.version
    if not has:
        reason = "there is no such snapshot: `aws rds describe-db-snapshots` lists all of them"
        return [refusal("database.snapshot", database.snapshot, reason)]
    wanted, current = _parts(database.engine_version), _parts(has)
    line = ".".join(map(str, current[:2]))
    problems: list[str] = []

    def refuse(key: str, value: object, reason: str) -> None:
        problems.append(refusal(key, value, reason))

    if wanted < current[: len(wanted)]:
        subject = "the snapshot is of" if existing.snapshot else "RDS runs"
        reason = f"{subject} {has}, and no database goes back to an older version: write {line}"
        refuse("database.engineVersion", database.engine_version, reason)
    elif wanted[:2] > current[:2] and existing.snapshot:
        reason = f"the snapshot is of {has}: restore it with {line}, and upgrade afterwards"
        refuse("database.engineVersion", database.engine_version, reason)
    elif wanted[:2] > current[:2] and not database.apply_immediately:
        refuse(
            "database.engineVersion",
            database.engine_version,
            f"RDS runs {has}, and this upgrade stops the database for minutes and has no way back: "
            f"set {full_key('database.applyImmediately')} to true for it, or write {line}",
        )
    if existing.snapshot and database.storage_gib < existing.storage_gib:
        reason = f"the snapshot has {existing.storage_gib}: write that or more"
        refuse("database.storageGib", database.storage_gib, reason)
    if existing.snapshot and not existing.key_arn:
        reason = "the snapshot is not encrypted, and so would its database be: copy it with a key"
        way_out = f"(`aws rds copy-db-snapshot --kms-key-id`), and name that in {full_key(_KEY)}"
        refuse("database.snapshot", database.snapshot, f"{reason} {way_out} and the copy here")
    elif existing.snapshot and existing.key_arn != settings.artifacts.kms_key_arn:
        reason = f"the snapshot is encrypted with {existing.key_arn}, which it keeps: write that"
        refuse(_KEY, settings.artifacts.kms_key_arn, reason)
    return problems
