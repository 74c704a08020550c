"""What exists of a backend already, as the AWS provider's data sources describe it."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from components.aws.look_ups import one_or_none
from settings.context import StackContext
from settings.existing_backend import (
    ExistingBackend,
    ExistingDatabase,
    instance_name,
    key_alias,
)
from settings.sections import TAGS_OF_EVERYTHING, Settings

_SEVERAL = "multiple EFS file systems matched"


def look_up(settings: Settings, provider: aws.Provider, bucket: str) -> ExistingBackend:
    """Describes the stack's database, or the snapshot to make it from, bucket, key and files.

    Args:
        settings: of the stack; what they do not name as existing is not looked up.
        provider: of the stack's account and region.
        bucket: the name of the bucket of artifacts.

    Raises:
        Exception: AWS refuses a call.
    """
    call = pulumi.InvokeOptions(provider=provider)
    key, existing = settings.artifacts.kms_key_arn, settings.artifacts.existing
    files = settings.shared_files.file_system_id if settings.shared_files.enabled else None
    found = (
        one_or_none(lambda: aws.efs.get_file_system(file_system_id=files, opts=call))
        if files
        else None
    )
    described = one_or_none(lambda: aws.kms.get_key(key_id=key, opts=call)) if key else None
    return ExistingBackend(
        database=_database(settings, call),
        bucket=not existing
        or one_or_none(lambda: aws.s3.get_bucket(bucket=bucket, opts=call)) is not None,
        key=key is None or (described is not None and described.key_state == "Enabled"),
        own_key=described is None or described.key_manager == "CUSTOMER",
        files=files is None or found is not None,
        only_zone=found.availability_zone_name if found else "",
    )


def left_files(settings: Settings, context: StackContext, provider: aws.Provider) -> bool:
    """Whether the stack's key encrypts a file system that the stack had, and leaves in AWS.

    That is one that was switched off, or that its settings name as an existing one now; also one
    that this run deletes, because ``sharedFiles.retainOnDelete`` is false. It is found by the tags
    that the stack gave it. Without a key of its own a stack leaves none.

    Args:
        settings: of the stack.
        context: gives tags and names.
        provider: of the stack's account and region.

    Raises:
        Exception: AWS refuses a call.
    """
    if settings.keeps_key or settings.artifacts.kms_key_arn:
        return False
    call, named = pulumi.InvokeOptions(provider=provider), context.named("shared-files")
    tags = {key: named[key] for key in ("Name", *TAGS_OF_EVERYTHING) if key in named}
    try:
        files = one_or_none(lambda: aws.efs.get_file_system(tags=tags, opts=call))
    except Exception as failure:  # the SDK has no narrower class for a look-up that fails
        if _SEVERAL in str(failure):
            return True
        raise
    shared = settings.shared_files
    if files is None or (shared.enabled and shared.file_system_id is None):
        return False  # the only one is the stack's own, and a destroy deletes it by the settings
    alias = f"alias/{key_alias(context.cluster)}"
    key = one_or_none(lambda: aws.kms.get_key(key_id=alias, opts=call))
    return key is not None and key.arn.endswith(files.kms_key_id)


def _database(settings: Settings, call: pulumi.InvokeOptions) -> ExistingDatabase | None:
    name, snapshot = instance_name(settings.cluster.name), settings.database.snapshot
    # By the list: a look-up by name fails where there is no such instance.
    if name in aws.rds.get_instances(opts=call).instance_identifiers:
        instance = aws.rds.get_instance(db_instance_identifier=name, opts=call)
        return ExistingDatabase(version=instance.engine_version)
    if snapshot is None:
        return None
    found = one_or_none(lambda: aws.rds.get_snapshot(db_snapshot_identifier=snapshot, opts=call))
    if found is None:
        return ExistingDatabase(version="", snapshot=True)
    return ExistingDatabase(
        version=found.engine_version,
        storage_gib=found.allocated_storage,
        key_arn=found.kms_key_id,
        snapshot=True,
    )
