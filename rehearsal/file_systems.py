"""What EFS refuses: a second mount target in a zone, the end of a file system that has one.

The errors are those of botocore's model of EFS.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rehearsal.account import Account, RefusedByAws

FILE_SYSTEM, TARGET = "aws:efs/fileSystem:FileSystem", "aws:efs/mountTarget:MountTarget"
SUBNET = "aws:ec2/subnet:Subnet"


def check_creation(account: Account, region: str, plain: Mapping[str, Any]) -> None:
    """Checks a new mount target.

    Args:
        account: has mount targets and subnets.
        region: of both.
        plain: its inputs.

    Raises:
        RefusedByAws: the file system has a mount target in the zone, or in the subnet.
    """
    subnets = account.inputs_of(SUBNET, region)

    def place(subnet: str) -> str:
        return str(subnets.get(subnet, {}).get("availabilityZone", subnet))

    for target, made in account.inputs_of(TARGET, region).items():
        same = made["fileSystemId"] == plain["fileSystemId"]
        if same and place(made["subnetId"]) == place(plain["subnetId"]):
            raise RefusedByAws(
                f"MountTargetConflict: mount target already exists in this AZ: {target}"
            )


def check_deletion(account: Account, region: str, type_: str, identifier: str) -> None:
    """Checks that a file system has no mount target.

    Raises:
        RefusedByAws: it has one.
    """
    targets = account.inputs_of(TARGET, region).values() if type_ == FILE_SYSTEM else ()
    if any(each["fileSystemId"] == identifier for each in targets):
        raise RefusedByAws("FileSystemInUse: The file system has mount targets")
