"""What exists of a backend already, as the AWS provider's data sources describe it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pulumi
import pulumi_aws as aws

from settings.existing_backend import ExistingBackend, ExistingDatabase, instance_name
from settings.sections import Settings

# hashicorp/terraform-provider-aws internal/tfresource/not_found_error.go, and of s3 and kms the
# errors of HeadBucket and DescribeKey.
_ABSENT = re.compile("no results|no matching|couldn't find|empty result|NotFound")


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
    return ExistingBackend(
        database=_database(settings, call),
        bucket=not existing or _present(lambda: aws.s3.get_bucket(bucket=bucket, opts=call)),
        key=key is None
        or _present(lambda: aws.kms.get_key(key_id=key, opts=call), key_state="Enabled"),
        files=files is None
        or _present(lambda: aws.efs.get_file_system(file_system_id=files, opts=call)),
    )


def _database(settings: Settings, call: pulumi.InvokeOptions) -> ExistingDatabase | None:
    name, snapshot = instance_name(settings.cluster.name), settings.database.snapshot
    # By the list: a look-up by name fails where there is no such instance.
    if name in aws.rds.get_instances(opts=call).instance_identifiers:
        instance = aws.rds.get_instance(db_instance_identifier=name, opts=call)
        return ExistingDatabase(version=instance.engine_version)
    if snapshot is None:
        return None
    found: list[aws.rds.GetSnapshotResult] = []
    if not _present(
        lambda: found.append(aws.rds.get_snapshot(db_snapshot_identifier=snapshot, opts=call))
    ):
        return ExistingDatabase(version="", snapshot=True)
    return ExistingDatabase(
        version=found[0].engine_version,
        storage_gib=found[0].allocated_storage,
        key_arn=found[0].kms_key_id,
        snapshot=True,
    )


def _present(look: Callable[[], Any], **state: str) -> bool:
    """Whether a data source of one thing finds it, in this state."""
    try:
        found = look()
    except Exception as failure:  # the SDK has no narrower class for a look-up that fails
        if _ABSENT.search(str(failure)):
            return False
        raise
    return all(getattr(found, key) == value for key, value in state.items())
