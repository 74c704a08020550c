"""The simulated EFS refuses what EFS refuses."""

from __future__ import annotations

import pytest

from rehearsal.account import Account, RefusedByAws
from rehearsal.file_systems import FILE_SYSTEM, SUBNET, TARGET, check_creation, check_deletion

REGION = "cn-north-1"


@pytest.fixture
def account() -> Account:
    """With a file system that has a mount target in the zone a."""
    account = Account()
    account.create(FILE_SYSTEM, REGION, lambda _: ("fs-1", {}))
    for name, zone in (("subnet-1", "a"), ("subnet-2", "a"), ("subnet-3", "b")):
        account.create(SUBNET, REGION, lambda _, name=name: (name, {}))
        account.remember(SUBNET, REGION, name, {"availabilityZone": zone})
    account.create(TARGET, REGION, lambda _: ("fsmt-1", {}))
    account.remember(TARGET, REGION, "fsmt-1", {"fileSystemId": "fs-1", "subnetId": "subnet-1"})
    return account


@pytest.mark.parametrize("subnet", ["subnet-1", "subnet-2"])
def test_a_zone_has_one_mount_target(account: Account, subnet: str) -> None:
    with pytest.raises(RefusedByAws, match="MountTargetConflict"):
        check_creation(account, REGION, {"fileSystemId": "fs-1", "subnetId": subnet})


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
