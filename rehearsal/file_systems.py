"""What EFS refuses, and what the AWS provider's data sources find of file systems and their keys.

The errors are those of botocore's model of EFS.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from regions.region import Region
from rehearsal.account import Account, RefusedByAws

FILE_SYSTEM, TARGET = "aws:efs/fileSystem:FileSystem", "aws:efs/mountTarget:MountTarget"
SUBNET = "aws:ec2/subnet:Subnet"
KEY, ALIAS = "aws:kms/key:Key", "aws:kms/alias:Alias"
GET_FILE_SYSTEM, GET_KEY = "aws:efs/getFileSystem:getFileSystem", "aws:kms/getKey:getKey"
ANSWERED = (GET_FILE_SYSTEM, GET_KEY)


def check_creation(account: Account, region: str, plain: Mapping[str, Any]) -> None:
    """Checks a new mount target.

    Args:
        account: has mount targets and subnets.
        region: of both.
        plain: its inputs.

    Raises:
        RefusedByAws: the file system has a mount target in the zone, in the subnet, or in another
            VPC; or it is in another zone alone.
    """
    subnets = account.inputs_of(SUBNET, region)
    files = account.inputs_of(FILE_SYSTEM, region).get(plain["fileSystemId"], {})

    def place(subnet: str) -> str:
        return str(subnets.get(subnet, {}).get("availabilityZone", subnet))

    def network(subnet: str) -> str | None:
        return subnets.get(subnet, {}).get("vpcId")

    zone, vpc = place(plain["subnetId"]), network(plain["subnetId"])
    if files.get("availabilityZoneName", zone) != zone:
        only = files["availabilityZoneName"]
        raise RefusedByAws(f"AvailabilityZonesMismatch: the file system is in {only} alone")
    for target, made in account.inputs_of(TARGET, region).items():
        if made["fileSystemId"] != plain["fileSystemId"]:
            continue
        if place(made["subnetId"]) == zone:
            raise RefusedByAws(
                f"MountTargetConflict: mount target already exists in this AZ: {target}"
            )
        if None not in (vpc, theirs := network(made["subnetId"])) and vpc != theirs:
            raise RefusedByAws(
                "MountTargetConflict: requested subnet for new mount target is not in the same VPC "
                f"as existing mount targets: {target}"
            )


def check_deletion(account: Account, region: str, type_: str, identifier: str) -> None:
    """Checks that a file system has no mount target.

    Raises:
        RefusedByAws: it has one.
    """
    targets = account.inputs_of(TARGET, region).values() if type_ == FILE_SYSTEM else ()
    if any(each["fileSystemId"] == identifier for each in targets):
        raise RefusedByAws("FileSystemInUse: The file system has mount targets")


def answer(
    account: Account, region: Region, number: str, token: str, args: Mapping[str, Any]
) -> dict[str, Any]:
    """The answer of a data source of ``ANSWERED``.

    Args:
        account: has file systems, keys and aliases.
        region: of them.
        number: the account's.
        token: of the data source.
        args: a file system's ID or tags; a key's ID, ARN or alias.

    Raises:
        LookupError: as the provider's, which finds one or fails
            (hashicorp/terraform-provider-aws internal/tfresource/not_found_error.go).
    """
    if token == GET_KEY:
        asked = str(args["keyId"])
        alias = account.inputs_of(ALIAS, region.name).get(asked, {})
        key = str(alias.get("targetKeyId", asked)).rpartition("/")[2]
        if not account.has(KEY, region.name, key):
            raise LookupError(f"reading KMS Key ({asked}): NotFoundException: it does not exist")
        arn = region.arn("kms", f"key/{key}", account=number)
        made = account.inputs_of(KEY, region.name).get(key, {})
        manager = made.get("keyManager", "CUSTOMER")
        return {**args, "keyState": "Enabled", "keyManager": manager, "arn": arn}
    tags: Mapping[str, str] = args.get("tags") or {}
    found = [
        (identifier, inputs)
        for identifier in account.ids(FILE_SYSTEM, region.name)
        for inputs in [account.inputs_of(FILE_SYSTEM, region.name).get(identifier, {})]
        if args.get("fileSystemId", identifier) == identifier
        and tags.items() <= (inputs.get("tags") or {}).items()
    ]
    if len(found) != 1:
        many = "multiple EFS file systems matched; use additional constraints to reduce matches to "
        raise LookupError(f"{many}a single one" if found else "no matching EFS file system found")
    identifier, inputs = found[0]
    given = {key: inputs.get(key, "") for key in ("kmsKeyId", "availabilityZoneName")}
    return {**args, **given, "fileSystemId": identifier}
