"""The simulated EFS refuses what EFS refuses."""

from __future__ import annotations

import pytest

from regions.region import Region
from rehearsal.account import Account, RefusedByAws
from rehearsal.file_systems import (
    ALIAS,
    FILE_SYSTEM,
    GET_FILE_SYSTEM,
    GET_KEY,
    KEY,
    SUBNET,
    TARGET,
    answer,
    check_creation,
    check_deletion,
)

REGION = "cn-north-1"


@pytest.fixture
def account() -> Account:
    """With a file system that has a mount target in the zone a."""
    account = Account()
    account.create(FILE_SYSTEM, REGION, lambda _: ("fs-1", {}))
    for name, zone, vpc in (
        ("subnet-1", "a", "vpc-1"),
        ("subnet-2", "a", "vpc-1"),
        ("subnet-3", "b", "vpc-1"),
        ("subnet-4", "b", "vpc-2"),
    ):
        account.create(SUBNET, REGION, lambda _, name=name: (name, {}))
        account.remember(SUBNET, REGION, name, {"availabilityZone": zone, "vpcId": vpc})
    account.create(TARGET, REGION, lambda _: ("fsmt-1", {}))
    account.remember(TARGET, REGION, "fsmt-1", {"fileSystemId": "fs-1", "subnetId": "subnet-1"})
    return account


@pytest.mark.parametrize("subnet", ["subnet-1", "subnet-2"])
def test_a_zone_has_one_mount_target(account: Account, subnet: str) -> None:
    with pytest.raises(RefusedByAws, match="MountTargetConflict"):
        check_creation(account, REGION, {"fileSystemId": "fs-1", "subnetId": subnet})


def test_all_mount_targets_are_in_one_vpc(account: Account) -> None:
    with pytest.raises(RefusedByAws, match="not in the same VPC"):
        check_creation(account, REGION, {"fileSystemId": "fs-1", "subnetId": "subnet-4"})
    check_creation(account, REGION, {"fileSystemId": "fs-2", "subnetId": "subnet-4"})


def test_a_file_system_of_one_zone_is_in_no_other(account: Account) -> None:
    account.create(FILE_SYSTEM, REGION, lambda _: ("fs-2", {}))
    account.remember(FILE_SYSTEM, REGION, "fs-2", {"availabilityZoneName": "b"})
    with pytest.raises(RefusedByAws, match="AvailabilityZonesMismatch"):
        check_creation(account, REGION, {"fileSystemId": "fs-2", "subnetId": "subnet-1"})
    check_creation(account, REGION, {"fileSystemId": "fs-2", "subnetId": "subnet-3"})


@pytest.mark.parametrize(("files", "subnet"), [("fs-1", "subnet-3"), ("fs-2", "subnet-1")])
def test_another_zone_or_file_system_is_free(account: Account, files: str, subnet: str) -> None:
    check_creation(account, REGION, {"fileSystemId": files, "subnetId": subnet})


def test_a_subnet_of_nobody_is_its_own_place(account: Account) -> None:
    account.remember(TARGET, REGION, "fsmt-1", {"fileSystemId": "fs-1", "subnetId": "theirs"})
    with pytest.raises(RefusedByAws):
        check_creation(account, REGION, {"fileSystemId": "fs-1", "subnetId": "theirs"})
    check_creation(account, REGION, {"fileSystemId": "fs-1", "subnetId": "subnet-1"})


def test_a_file_system_ends_after_its_mount_targets(account: Account) -> None:
    with pytest.raises(RefusedByAws, match="FileSystemInUse"):
        check_deletion(account, REGION, FILE_SYSTEM, "fs-1")
    check_deletion(account, REGION, FILE_SYSTEM, "fs-2")
    check_deletion(account, REGION, TARGET, "fs-1")
    account.delete(TARGET, REGION, "fsmt-1")
    check_deletion(account, REGION, FILE_SYSTEM, "fs-1")


def test_data_sources_find_one_or_fail(account: Account) -> None:
    region = Region.of(REGION)

    def found(token: str, **args: object) -> dict[str, object]:
        return answer(account, region, "111122223333", token, args)

    account.create(KEY, REGION, lambda _: ("01-23", {}))
    account.create(ALIAS, REGION, lambda _: ("alias/a/kubeflow", {}))
    account.remember(ALIAS, REGION, "alias/a/kubeflow", {"targetKeyId": "01-23"})
    arn = region.arn("kms", "key/01-23", account="111122223333")
    for asked in ("alias/a/kubeflow", "01-23", arn):
        assert found(GET_KEY, keyId=asked)["arn"] == arn
    for asked in ("alias/b/kubeflow", "01-24"):
        with pytest.raises(LookupError, match="NotFoundException"):
            found(GET_KEY, keyId=asked)

    account.remember(FILE_SYSTEM, REGION, "fs-1", {"kmsKeyId": arn, "tags": {"a": "1", "b": "1"}})
    for args in ({"tags": {"a": "1"}}, {"fileSystemId": "fs-1"}):
        one = found(GET_FILE_SYSTEM, **args)
        assert (one["fileSystemId"], one["kmsKeyId"]) == ("fs-1", arn)
        assert one["availabilityZoneName"] == ""
    for args in ({"tags": {"a": "2"}}, {"fileSystemId": "fs-2"}):
        with pytest.raises(LookupError, match="no matching"):
            found(GET_FILE_SYSTEM, **args)
    account.create(FILE_SYSTEM, REGION, lambda _: ("fs-2", {}))
    account.remember(FILE_SYSTEM, REGION, "fs-2", {"tags": {"a": "1"}})
    with pytest.raises(LookupError, match="multiple"):
        found(GET_FILE_SYSTEM, tags={"a": "1"})
