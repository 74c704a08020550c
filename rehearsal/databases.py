"""What RDS refuses: versions, snapshots, parameter groups in use.

The errors are RDS' own words where a report has them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from packaging.version import Version

from regions.offers import is_version, mysql_versions, postgres_versions
from rehearsal.account import DATABASE, SNAPSHOT, Account, RefusedByAws

PARAMETER_GROUP = "aws:rds/parameterGroup:ParameterGroup"
INSTANCES, INSTANCE = "aws:rds/getInstances:getInstances", "aws:rds/getInstance:getInstance"
ANSWERED = (INSTANCES, INSTANCE, "aws:rds/getSnapshot:getSnapshot")
"""Data sources."""
_REPORTED = (
    *("identifier", "engine", "engineVersion", "allocatedStorage", "kmsKeyId"),
    *("parameterGroupName", "autoMinorVersionUpgrade", "username"),
)
_ENGINES = {"mysql": (mysql_versions, 2, "8.4"), "postgres": (postgres_versions, 1, "17")}
"""Its versions, how many of their parts are the line, and the line of an instance without one."""
_LEAST_GIB = 20
"""Of gp3 (RDS user guide, CHAP_Storage.html)."""
_RESERVED = frozenset({"rdsadmin", "admin", "rds_superuser", "all", "user", "table", "default"})
"""Some of the names that no master user has. What an engine reserves is in its own manual
(botocore rds, CreateDBInstance, MasterUsername; PostgreSQL manual, appendix "SQL Key Words")."""


def _newest(engine: str, prefix: str) -> str:
    versions, _, _ = _ENGINES[engine]
    plain = [each for each in versions(prefix) if "-" not in each]
    return max(plain, key=Version)


def _line(engine: str, version: str) -> str:
    _, parts, _ = _ENGINES[engine]
    return ".".join(version.split(".")[:parts])


def instance(account: Account, region: str, name: str) -> tuple[str, dict[str, Any]] | None:
    """The id and what RDS has of the instance of that identifier."""
    all_of_them = account.inputs_of(DATABASE, region).items()
    return next(((id_, made) for id_, made in all_of_them if made["identifier"] == name), None)


def snapshot(account: Account, region: str, name: str) -> dict[str, Any] | None:
    """What RDS has of a snapshot, by its name or ARN."""
    return account.inputs_of(SNAPSHOT, region).get(name.rpartition(":")[2])


def master_user(account: Account, region: str, identifier: str) -> dict[str, Any]:
    """What the provider reads of an instance's master user into its state, which it compares.

    A snapshot keeps its own, whatever the inputs name: RestoreDBInstanceFromDBSnapshot has no such
    member (botocore rds), and the provider sets ``username``, which forces a replacement, on every
    read (hashicorp/terraform-provider-aws internal/service/rds/instance.go).

    Args:
        account: has the instances.
        region: of the instance.
        identifier: its id.
    """
    username = account.inputs_of(DATABASE, region).get(identifier, {}).get("username")
    return {"username": username} if username else {}


def changed(
    account: Account, region: str, plain: Mapping[str, Any], identifier: str
) -> dict[str, Any]:
    """What RDS has of an instance after it is made or changed.

    Args:
        account: has instances, snapshots and parameter groups.
        region: of the instance.
        plain: its inputs.
        identifier: its id; empty: it is made now.

    Returns:
        Those of the inputs that RDS reports here, with the version in full. An upgrade to another
        line that waits for the maintenance window has not happened.

    Raises:
        RefusedByAws: see above.
    """
    engine = str(plain.get("engine", "mysql"))
    wanted = str(plain.get("engineVersion", _ENGINES[engine][2]))
    made = {key: plain.get(key) for key in _REPORTED}
    made |= {"engine": engine, "engineVersion": _newest(engine, wanted)}
    if not identifier:
        _check_names(engine, plain)
        if plain.get("snapshotIdentifier"):
            made |= _restored(account, region, plain)
    else:
        before = account.inputs_of(DATABASE, region)[identifier]
        has, made["username"] = before["engineVersion"], before["username"]
        made["engineVersion"] = has
        if not is_version(has, wanted):
            made["engineVersion"] = new = _newest(engine, wanted)
            if Version(new) < Version(has):
                raise RefusedByAws(
                    f"InvalidParameterCombination: Cannot upgrade {engine} from {has} to {new}"
                )
            if _line(engine, new) != _line(engine, has):
                if not plain.get("allowMajorVersionUpgrade"):
                    raise RefusedByAws(
                        "InvalidParameterCombination: The AllowMajorVersionUpgrade flag must be "
                        "present when upgrading to a new major version."
                    )
                if not plain.get("applyImmediately"):
                    waiting = ("engineVersion", "parameterGroupName")
                    return {**made, **{key: before[key] for key in waiting}}
    _check_group(account, region, made)
    return made


def _check_names(engine: str, plain: Mapping[str, Any]) -> None:
    """What RDS refuses of a new instance beside its version (botocore rds, CreateDBInstance)."""
    storage, type_ = plain.get("allocatedStorage", _LEAST_GIB), plain.get("storageType", "gp2")
    if type_ == "gp3" and storage < _LEAST_GIB:
        raise RefusedByAws(
            f"InvalidParameterValue: Invalid storage size for engine name {engine} and storage "
            f"type {type_}: {storage}"
        )
    user = str(plain.get("username", ""))
    if user.lower() in _RESERVED:
        raise RefusedByAws(
            f"InvalidParameterValue: MasterUsername {user} cannot be used as it is a reserved "
            "word used by the engine"
        )
    for key, most in (("username", 63 if engine == "postgres" else 32), ("dbName", 63)):
        name = plain.get(key)
        if name is not None and not re.fullmatch(rf"[A-Za-z][A-Za-z0-9_]{{0,{most - 1}}}", name):
            member = {"username": "MasterUsername", "dbName": "DBName"}[key]
            raise RefusedByAws(
                f"InvalidParameterValue: {member} must begin with a letter and contain only "
                "alphanumeric characters."
            )


def _restored(account: Account, region: str, plain: Mapping[str, Any]) -> dict[str, Any]:
    """What an instance has of the snapshot that it is made from."""
    kept = snapshot(account, region, plain["snapshotIdentifier"])
    if kept is None:
        raise RefusedByAws(f"DBSnapshotNotFound: {plain['snapshotIdentifier']} not found")
    if plain["allocatedStorage"] < kept["allocatedStorage"]:
        raise RefusedByAws(
            "InvalidParameterValue: Invalid storage size for engine name mysql and storage type "
            f"gp3: {plain['allocatedStorage']}"
        )
    if plain.get("kmsKeyId") != kept["kmsKeyId"]:
        # A restore has no key of its own (botocore rds, RestoreDBInstanceFromDBSnapshot), so that
        # the next preview would replace the instance.
        raise RefusedByAws(f"the restored instance has the key {kept['kmsKeyId']}")
    return {key: kept[key] for key in ("engineVersion", "username")}


def _check_group(account: Account, region: str, made: Mapping[str, Any]) -> None:
    name = str(made.get("parameterGroupName"))
    group = account.inputs_of(PARAMETER_GROUP, region).get(name)
    engine = made["engine"]
    family = f"{engine}{_line(engine, made['engineVersion'])}"
    if group and group["family"] != family:
        raise RefusedByAws(
            f"InvalidParameterCombination: The parameter group {name} can't be used for this "
            f"instance. Please use a parameter group with DBParameterGroupFamily {family}"
        )


def check_deletion(account: Account, region: str, type_: str, name: str) -> None:
    """Checks that nothing uses a parameter group.

    Raises:
        RefusedByAws: an instance is a member.
    """
    instances = account.inputs_of(DATABASE, region).values()
    members = [each for each in instances if each.get("parameterGroupName") == name]
    if type_ == PARAMETER_GROUP and members:
        raise RefusedByAws(
            "InvalidDBParameterGroupState: One or more database instances are still members of "
            f"this parameter group {name}, so the group cannot be deleted"
        )


def maintain(account: Account, region: str) -> None:
    """A maintenance window: instances that upgrade by themselves get the newest patch."""
    for id_, made in account.inputs_of(DATABASE, region).items():
        if made.get("autoMinorVersionUpgrade", True):
            engine = made["engine"]
            newest = _newest(engine, _line(engine, made["engineVersion"]))
            account.remember(DATABASE, region, id_, {**made, "engineVersion": newest})


def answer(account: Account, region: str, token: str, args: Mapping[str, Any]) -> dict[str, Any]:
    """The result of a data source.

    Raises:
        LookupError: there is no such instance or snapshot.
    """
    if token == INSTANCES:
        made = account.inputs_of(DATABASE, region).values()
        return {"instanceIdentifiers": sorted(each["identifier"] for each in made)}
    if token == INSTANCE:
        found = instance(account, region, args["dbInstanceIdentifier"])
        made = found[1] if found else None
    else:
        made = snapshot(account, region, args["dbSnapshotIdentifier"])
    if made is None:
        raise LookupError("Your query returned no results. Please change your search criteria")
    return {key: made.get(key) for key in ("engineVersion", "allocatedStorage", "kmsKeyId")}
