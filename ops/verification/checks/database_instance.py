"""Check of the RDS instances: what each is against the stack file, and what RDS will do to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ops.account_calls import CallFailed, aws_call
from ops.findings import Finding, good, note, problem
from ops.verification.check import Check
from ops.verification.checks.keys import key_of
from ops.verification.platform import Platform
from settings import model_catalog
from settings.errors import full_key, listed
from settings.existing_backend import instance_name

_REPAIR = "`pulumi up --refresh`"
"""Reads what there is first, so that an edit by hand is seen, and writes the plan again."""

# RDS user guide, accessing-monitoring.html, "Viewing Amazon RDS DB instance status".
_WORKING = frozenset(
    {"available", "backing-up", "configuring-log-exports", "storage-optimization", "modifying"}
    | {"configuring-enhanced-monitoring", "storage-initialization", "configuring-iam-database-auth"}
    | {"resetting-master-credentials", "storage-config-upgrade", "delete-precheck"}
)
_WAYS_OUT = {
    "stopped": "`aws rds start-db-instance` starts it; RDS does so by itself after seven days",
    "storage-full": f"raise kubeflow:database.storageGib, and {_REPAIR}",
    "inaccessible-encryption-credentials": "enable its KMS key, then RDS has to restore it",
    "inaccessible-encryption-credentials-recoverable": "enable its KMS key, then start it",
    "incompatible-parameters": "reset the parameter group, then reboot it",
}
_LATE = timedelta(hours=1)
"""RDS uploads logs every five minutes (user guide, USER_PIT.html)."""
_SOON = timedelta(days=30)
_FULL = 0.1
"""Free share of the storage at which RDS adds some (USER_PIOPS.Autoscaling.html)."""
_GIB = 1024**3


@dataclass(frozen=True)
class _Expected:
    """An instance as the stack file has it.

    Attributes:
        name: its identifier.
        section: of the stack file.
        engine: as RDS writes it.
        title: as people write it.
        version: the setting of its section.
        multi_az: likewise.
        protected: whether RDS refuses to delete it.
        clients: who uses it.
    """

    name: str
    section: str
    engine: str
    title: str
    version: str
    multi_az: bool
    protected: bool
    clients: str

    def key(self, name: str) -> str:
        """A setting of its section."""
        return full_key(f"{self.section}.{name}")


def _expected(platform: Platform) -> Iterator[_Expected]:
    settings, protected = platform.settings, platform.context.protected
    cluster, database, catalog = settings.cluster.name, settings.database, settings.model_catalog
    yield _Expected(
        name=instance_name(cluster),
        section="database",
        engine="mysql",
        title="MySQL",
        version=database.engine_version,
        multi_az=database.multi_az,
        protected=protected and database.deletion_protection,
        clients="Kubeflow's components use",
    )
    if catalog.enabled:
        yield _Expected(
            name=model_catalog.instance_name(cluster),
            section="modelCatalog",
            engine="postgres",
            title="PostgreSQL",
            version=catalog.engine_version,
            multi_az=catalog.multi_az,
            protected=protected and catalog.deletion_protection,
            clients="the model catalog uses",
        )


def database_instance(platform: Platform) -> Iterator[Finding]:
    """Each instance against the stack file, and what RDS will do to it."""
    for expected in _expected(platform):
        yield from _findings(platform, expected)
    if snapshot := platform.settings.database.snapshot:
        try:
            yield _snapshot(next(_expected(platform)), platform, snapshot)
        except CallFailed as failure:
            yield note(f"snapshot {snapshot}", f"not checked: {failure}".rstrip("."))


def _findings(platform: Platform, expected: _Expected) -> Iterator[Finding]:
    name = expected.name
    rds, about = platform.client("rds"), f"database {name}"
    with aws_call("rds:DescribeDBInstances"):
        try:
            (instance,) = rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"]
        except rds.exceptions.DBInstanceNotFoundFault:
            instance = None
    if instance is None:
        place = f"{platform.settings.region} of account {platform.context.account_id}"
        yield problem(about, f"RDS has no such instance in {place}: {_REPAIR} makes it")
        return
    yield _state(about, instance)
    yield _version(about, expected, instance)
    yield from _protection(about, expected, instance)
    yield _backups(about, platform, instance)
    for look in (_encryption, _storage, _certificate, _maintenance):
        try:
            yield from look(about, platform, instance)
        except CallFailed as failure:
            yield note(about, f"not checked: {failure}".rstrip("."))


def _state(about: str, instance: Mapping[str, Any]) -> Finding:
    state = instance["DBInstanceStatus"]
    endpoint = instance.get("Endpoint") or {}
    if state == "available":
        return good(about, f"is available at {endpoint.get('Address')}:{endpoint.get('Port')}")
    if state in _WORKING:
        return note(about, f"is {state}, and serves meanwhile")
    way_out = _WAYS_OUT.get(state, "`aws rds describe-events --source-type db-instance` says why")
    return problem(about, f"is {state}: {way_out}")


def _version(about: str, expected: _Expected, instance: Mapping[str, Any]) -> Finding:
    wanted, has = expected.version, instance["EngineVersion"]
    title, key = expected.title, expected.key("engineVersion")
    parts = wanted.split(".")
    if instance["Engine"] != expected.engine:
        reason = f"is {instance['Engine']}, and {expected.clients} {expected.engine}"
        return problem(about, reason)
    if has.split(".")[: len(parts)] == parts:
        return good(about, f"runs {title} {has}, as {key} {wanted} asks")
    pending = (instance.get("PendingModifiedValues") or {}).get("EngineVersion")
    if pending and pending.split(".")[: len(parts)] == parts:
        window = instance.get("PreferredMaintenanceWindow", "its maintenance window")
        return note(about, f"runs {title} {has}, and becomes {pending} in its window {window}")
    reason = f"runs {title} {has}, and {key} is {wanted}"
    return problem(about, f"{reason}: {_REPAIR} upgrades it, or write the version that it has")


def _protection(about: str, expected: _Expected, instance: Mapping[str, Any]) -> Iterator[Finding]:
    key, asked = expected.key("multiAz"), str(expected.multi_az).lower()
    if instance.get("PubliclyAccessible"):
        yield problem(about, f"is public: {_REPAIR} makes it private again")
    else:
        yield good(about, "has no public address")
    pending = instance.get("PendingModifiedValues") or {}
    if pending.get("MultiAZ", instance["MultiAZ"]) == expected.multi_az:
        zones = "a standby in another zone" if expected.multi_az else "one zone alone"
        yield good(about, f"has {zones}, as {key} asks")
    else:
        has = "a standby in another zone" if instance["MultiAZ"] else "no standby"
        reason = f"has {has}, and {key} is {asked}"
        yield problem(about, f"{reason}: {_REPAIR} changes that")
    wanted = expected.protected
    if instance["DeletionProtection"] == wanted:
        state = "is protected from deletion" if wanted else "may be deleted"
        yield good(about, f"{state}, as {expected.key('deletionProtection')} asks")
    elif wanted:
        yield problem(about, f"may be deleted: {_REPAIR} turns deletion protection on again")
    else:
        yield note(
            about, f"is protected from deletion, which the stack file does not ask: {_REPAIR}"
        )


def _backups(about: str, platform: Platform, instance: Mapping[str, Any]) -> Finding:
    days, wanted = instance["BackupRetentionPeriod"], platform.settings.database.backup_days
    if not days:
        return problem(about, f"has no automatic backups: {_REPAIR} keeps {wanted} days of them")
    newest: datetime | None = instance.get("LatestRestorableTime")
    if newest is None:
        return note(about, "has no point in time to restore yet: its first backup is to come")
    age = datetime.now(UTC) - newest
    if age > _LATE:
        reason = f"can be restored to {newest:%Y-%m-%d %H:%M} UTC at the latest, {_hours(age)} ago"
        way_out = "`aws rds describe-events --source-type db-instance` says why backups stopped"
        return problem(about, f"{reason}: {way_out}")
    sentence = f"can be restored to any second until {newest:%H:%M} UTC, {days} days back"
    if days != wanted:
        return note(about, f"{sentence}, and kubeflow:database.backupDays is {wanted}: {_REPAIR}")
    return good(about, sentence)


def _hours(age: timedelta) -> str:
    hours = round(age.total_seconds() / 3600)
    return f"{hours} h" if hours < 48 else f"{hours // 24} days"


def _encryption(about: str, platform: Platform, instance: Mapping[str, Any]) -> Iterator[Finding]:
    if not instance.get("StorageEncrypted"):
        yield problem(about, "is not encrypted: restore an encrypted copy of its snapshot")
        return
    key = key_of(platform)
    if key is None or instance.get("KmsKeyId") == key["Arn"]:
        yield good(about, f"is encrypted with {instance.get('KmsKeyId')}")
    else:
        reason = f"is encrypted with {instance.get('KmsKeyId')}, and the stack's key is"
        yield problem(about, f"{reason} {key['Arn']}: name the former in kubeflow:artifacts")


def _storage(about: str, platform: Platform, instance: Mapping[str, Any]) -> Iterator[Finding]:
    total = instance["AllocatedStorage"]
    most = instance.get("MaxAllocatedStorage") or total
    metrics = platform.client("cloudwatch")
    now = datetime.now(UTC)
    with aws_call("cloudwatch:GetMetricStatistics"):
        points = metrics.get_metric_statistics(
            Namespace="AWS/RDS",
            MetricName="FreeStorageSpace",
            Dimensions=[
                {"Name": "DBInstanceIdentifier", "Value": instance["DBInstanceIdentifier"]}
            ],
            StartTime=now - timedelta(minutes=30),
            EndTime=now,
            Period=300,
            Statistics=["Minimum"],
        )["Datapoints"]
    limit = f"grows by itself to {most} GiB" if most > total else "does not grow by itself"
    if not points:
        yield note(about, f"has {total} GiB, {limit}; CloudWatch has no number of what is free yet")
        return
    free = max(points, key=lambda point: point["Timestamp"])["Minimum"] / _GIB
    sentence = f"has {free:.1f} of {total} GiB free, and {limit}"
    if free >= total * _FULL:
        yield good(about, sentence)
    elif most > total:
        yield note(about, sentence)
    else:
        yield problem(about, f"{sentence}: raise kubeflow:database.maxStorageGib, and {_REPAIR}")


def _certificate(about: str, platform: Platform, instance: Mapping[str, Any]) -> Iterator[Finding]:
    details = instance.get("CertificateDetails") or {}
    authority = details.get("CAIdentifier") or instance.get("CACertificateIdentifier")
    now = datetime.now(UTC)
    till: datetime | None = details.get("ValidTill")
    if till and till - now < _SOON:
        yield problem(
            about,
            f"has a certificate that ends on {till:%Y-%m-%d}, and clients refuse it from then on: "
            "`aws rds describe-pending-maintenance-actions` has its renewal",
        )
    elif till:
        yield good(about, f"has a certificate of {authority} until {till:%Y-%m-%d}")
    rds = platform.client("rds")
    with aws_call("rds:DescribeCertificates"):
        try:
            found = rds.describe_certificates(CertificateIdentifier=authority)["Certificates"]
        except rds.exceptions.CertificateNotFoundFault:
            found = []
    end = next((each["ValidTill"] for each in found if each.get("ValidTill")), None)
    if end is None:
        yield problem(
            about, f"has a certificate of {authority}, which RDS no longer offers: rotate"
        )
    elif end - now < 12 * _SOON:
        yield note(
            about,
            f"has a certificate of {authority}, which itself ends on {end:%Y-%m-%d}: another "
            "authority of the region is needed before (`aws rds describe-certificates`)",
        )
    else:
        yield good(about, f"has a certificate of {authority}, an authority until {end:%Y-%m-%d}")


def _maintenance(about: str, platform: Platform, instance: Mapping[str, Any]) -> Iterator[Finding]:
    rds = platform.client("rds")
    window = instance.get("PreferredMaintenanceWindow", "")
    pending = instance.get("PendingModifiedValues") or {}
    if pending:
        # Without values: a new password of the master user would be among them.
        changes = listed(sorted(pending), "and")
        yield note(about, f"has changes that wait for its window {window}: {changes}")
    groups = instance.get("DBParameterGroups") or []
    for group in groups:
        if group["ParameterApplyStatus"] == "pending-reboot":
            reason = f"has parameters of {group['DBParameterGroupName']} that a restart applies"
            yield note(about, f"{reason}: `aws rds reboot-db-instance` in a quiet hour")
    with aws_call("rds:DescribePendingMaintenanceActions"):
        answer = rds.describe_pending_maintenance_actions(
            ResourceIdentifier=instance["DBInstanceArn"]
        )
    actions = [
        action
        for resource in answer["PendingMaintenanceActions"]
        for action in resource["PendingMaintenanceActionDetails"]
    ]
    for action in actions:
        date = action.get("CurrentApplyDate") or action.get("ForcedApplyDate")
        when = f"on {date:%Y-%m-%d}" if date else "when somebody applies it"
        yield note(
            about, f"gets {action['Action']} {when}: {action.get('Description', 'no details')}"
        )
    if not pending and not actions:
        yield good(about, f"waits for no change and no maintenance; its window is {window}")


def _snapshot(expected: _Expected, platform: Platform, name: str) -> Finding:
    """The snapshot that the settings name, without effect on an instance that exists."""
    rds, subject = platform.client("rds"), f"snapshot {name}"
    with aws_call("rds:DescribeDBSnapshots"):
        try:
            (found,) = rds.describe_db_snapshots(DBSnapshotIdentifier=name)["DBSnapshots"]
        except rds.exceptions.DBSnapshotNotFoundFault:
            found = None
    if found and found["Status"] == "available":
        needless = f"database {expected.name} needs it no more"
        return good(subject, f"is there, of {found['EngineVersion']}; {needless}")
    state = f"is {found['Status']}" if found else "is gone"
    way_out = "remove kubeflow:database.snapshot, or name another"
    return note(subject, f"{state}, so that no new database could be made from it: {way_out}")


CHECKS: tuple[Check, ...] = (
    Check(
        "database-instance",
        "the RDS instances: state, version, zones, encryption, backups, storage, certificate, "
        "maintenance",
        database_instance,
    ),
)
