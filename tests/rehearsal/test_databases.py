"""The simulated RDS refuses what RDS refuses."""

from __future__ import annotations

from typing import Any

import pytest

from rehearsal import databases
from rehearsal.account import DATABASE, LOG_GROUP, Account, RefusedByAws
from rehearsal.databases import PARAMETER_GROUP

REGION = "cn-north-1"
INPUTS: dict[str, Any] = {
    "identifier": "ml",
    "engineVersion": "8.0.45",
    "allocatedStorage": 100,
    "kmsKeyId": "key",
    "parameterGroupName": "old",
    "autoMinorVersionUpgrade": True,
    "username": "kubeflow",
    "password": "not kept",
}


@pytest.fixture
def account() -> Account:
    """With an instance and the parameter groups of two families."""
    account = Account()
    for name, family in (("old", "mysql8.0"), ("new", "mysql8.4")):
        account.create(PARAMETER_GROUP, REGION, lambda _, name=name: (name, {}))
        account.remember(PARAMETER_GROUP, REGION, name, {"family": family})
    made = databases.changed(account, REGION, INPUTS, "")
    account.create(DATABASE, REGION, lambda _: ("db-1", INPUTS))
    account.remember(DATABASE, REGION, "db-1", made)
    return account


def changed(account: Account, **inputs: Any) -> dict[str, Any]:
    made = databases.changed(account, REGION, {**INPUTS, **inputs}, "db-1")
    account.remember(DATABASE, REGION, "db-1", made)
    return made


NEW = {"engineVersion": "8.4", "parameterGroupName": "new"}
WORD = {"allowMajorVersionUpgrade": True, "applyImmediately": True}


@pytest.mark.parametrize(
    ("inputs", "error"),
    [
        ({"engineVersion": "8.0.44"}, "Cannot upgrade mysql from 8.0.45 to 8.0.44"),
        (NEW, "The AllowMajorVersionUpgrade flag must be present"),
        ({**NEW, **WORD, "parameterGroupName": "old"}, "group old can't be used"),
        ({"parameterGroupName": "new"}, "group new can't be used"),
    ],
)
def test_a_change_is_refused(account: Account, inputs: dict[str, Any], error: str) -> None:
    with pytest.raises(RefusedByAws, match=error):
        changed(account, **inputs)


def test_an_upgrade_frees_the_old_group_unless_it_waits_for_the_window(account: Account) -> None:
    waiting = changed(account, **NEW, allowMajorVersionUpgrade=True)
    assert (waiting["engineVersion"], waiting["parameterGroupName"]) == ("8.0.45", "old")
    with pytest.raises(RefusedByAws, match=r"InvalidDBParameterGroupState.* group old"):
        databases.check_deletion(account, REGION, PARAMETER_GROUP, "old")
    assert changed(account, **NEW, **WORD)["engineVersion"].startswith("8.4.")
    databases.check_deletion(account, REGION, PARAMETER_GROUP, "old")
    with pytest.raises(RefusedByAws, match=r"Cannot upgrade mysql from 8\.4"):
        changed(account)


def test_a_window_brings_patches_where_they_are_asked_for(account: Account) -> None:
    changed(account, autoMinorVersionUpgrade=False)
    databases.maintain(account, REGION)
    assert changed(account)["engineVersion"] == "8.0.45"
    databases.maintain(account, REGION)
    with pytest.raises(RefusedByAws, match=r"from 8\.0\.4[6-9] to 8\.0\.45"):
        changed(account)
    assert changed(account, engineVersion="8.0")["engineVersion"] > "8.0.45"


def restored(account: Account, **inputs: Any) -> dict[str, Any]:
    given = {**INPUTS, "identifier": "other", "snapshotIdentifier": "last", **inputs}
    return databases.changed(account, REGION, given, "")


def test_a_restore_has_version_and_key_of_a_snapshot_that_exists(account: Account) -> None:
    with pytest.raises(RefusedByAws, match="DBInstanceAlreadyExists"):
        account.create(DATABASE, REGION, lambda _: ("db-2", INPUTS))
    with pytest.raises(RefusedByAws, match="DBSnapshotNotFound: last"):
        restored(account)
    account.delete(DATABASE, REGION, "db-1", {"finalSnapshotIdentifier": "last"})
    assert "not kept" not in str(databases.snapshot(account, REGION, "last"))
    assert restored(account, engineVersion="8.0")["engineVersion"] == "8.0.45"
    arn = f"arn:aws-cn:rds:{REGION}:111122223333:snapshot:last"
    assert restored(account, snapshotIdentifier=arn, allocatedStorage=200)
    for inputs, error in (
        ({"allocatedStorage": 99}, "Invalid storage size"),
        ({"kmsKeyId": "another"}, "has the key key"),
        ({"parameterGroupName": "new"}, "group new can't be used"),
    ):
        with pytest.raises(RefusedByAws, match=error):
            restored(account, **inputs)


def test_a_restore_has_the_master_user_of_its_snapshot(account: Account) -> None:
    account.delete(DATABASE, REGION, "db-1", {"finalSnapshotIdentifier": "last"})
    made = restored(account, username="another")
    account.create(DATABASE, REGION, lambda _: ("db-2", {"identifier": "other"}))
    account.remember(DATABASE, REGION, "db-2", made)
    given = {**INPUTS, "username": "another", "identifier": "other"}
    account.remember(DATABASE, REGION, "db-2", databases.changed(account, REGION, given, "db-2"))
    assert databases.master_user(account, REGION, "db-2") == {"username": "kubeflow"}
    assert databases.master_user(account, REGION, "db-3") == {}


def test_the_control_planes_log_group_comes_back_bare() -> None:
    account, group = Account(), "/aws/eks/kubeflow/cluster"
    for name in (group, "/aws/codebuild/copy"):
        account.create(LOG_GROUP, REGION, lambda _, name=name: (name, {}))
        account.remember(LOG_GROUP, REGION, name, {"name": name, "retentionInDays": 90})
        account.delete(LOG_GROUP, REGION, name)
    assert account.inputs_of(LOG_GROUP, REGION) == {group: {"name": group}}
    with pytest.raises(RefusedByAws, match="ResourceAlreadyExistsException"):
        account.create(LOG_GROUP, REGION, lambda _: (group, {}))


# -- PostgreSQL ------------------------------------------------------------------------------------

POSTGRES = {
    "identifier": "catalog",
    "engine": "postgres",
    "engineVersion": "17",
    "allocatedStorage": 20,
    "storageType": "gp3",
    "username": "kubeflow",
    "dbName": "modelcatalog",
}


def test_postgresql_has_lines_of_one_number(account: Account) -> None:
    made = databases.changed(account, REGION, POSTGRES, "")
    assert made["engineVersion"].startswith("17.")
    assert made["engine"] == "postgres"


@pytest.mark.parametrize(
    ("inputs", "error"),
    [
        ({"username": "admin"}, "MasterUsername admin cannot be used as it is a reserved word"),
        ({"username": "rdsadmin"}, "reserved word used by the engine"),
        ({"username": "7kubeflow"}, "MasterUsername must begin with a letter"),
        ({"username": "k" * 64}, "MasterUsername must begin with a letter"),
        ({"dbName": "model-catalog"}, "DBName must begin with a letter"),
        ({"allocatedStorage": 19}, "Invalid storage size for engine name postgres .* gp3: 19"),
    ],
)
def test_postgresql_that_cannot_be_made(
    account: Account, inputs: dict[str, Any], error: str
) -> None:
    with pytest.raises(RefusedByAws, match=error):
        databases.changed(account, REGION, {**POSTGRES, **inputs}, "")


def test_a_parameter_group_is_of_the_engine_and_its_line(account: Account) -> None:
    account.create(PARAMETER_GROUP, REGION, lambda _: ("mine", {}))
    account.remember(PARAMETER_GROUP, REGION, "mine", {"family": "postgres16"})
    inputs = {**POSTGRES, "parameterGroupName": "mine"}
    with pytest.raises(RefusedByAws, match="DBParameterGroupFamily postgres17"):
        databases.changed(account, REGION, inputs, "")
    account.remember(PARAMETER_GROUP, REGION, "mine", {"family": "postgres17"})
    assert databases.changed(account, REGION, inputs, "")["parameterGroupName"] == "mine"
