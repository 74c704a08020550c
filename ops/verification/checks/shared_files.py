"""Check of the shared file system: every zone with nodes reaches it, over TLS alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ops.account_calls import aws_call
from ops.findings import Finding, good, problem
from ops.verification.check import Check
from ops.verification.platform import Platform
from ops.verification.policies import denies_plain, statements_of
from settings.errors import listed

_REPAIR = "`pulumi up --refresh`"
"""Reads what there is first, so that an edit by hand is seen, and writes the plan again."""

_CLASS = "/apis/storage.k8s.io/v1/storageclasses"
_ZONE = "topology.kubernetes.io/zone"


def shared_files(platform: Platform) -> Iterator[Finding]:
    """The file system of StorageClass ``efs``, its policy and its mount targets."""
    settings = platform.settings.shared_files
    if not settings.enabled:
        yield good("shared files", "kubeflow:sharedFiles.enabled is false: there are none to check")
        return
    classes = {each["metadata"]["name"]: each for each in platform.cluster.all(_CLASS)}
    if "efs" not in classes:
        yield problem("StorageClass efs", f"is missing, so that no claim gets files: {_REPAIR}")
        return
    identity = classes["efs"]["parameters"]["fileSystemId"]
    about, efs = f"file system {identity}", platform.client("efs")
    if settings.file_system_id not in (None, identity):
        reason = f"is that of StorageClass efs, and the stack file has {settings.file_system_id}"
        yield problem(about, f"{reason}: {_REPAIR}")
    with aws_call("elasticfilesystem:DescribeFileSystems"):
        try:
            (files,) = efs.describe_file_systems(FileSystemId=identity)["FileSystems"]
        except efs.exceptions.FileSystemNotFound:
            files = None
    if files is None:
        way_out = "restore it from AWS Backup, and name it in kubeflow:sharedFiles.fileSystemId"
        yield problem(about, f"does not exist any more: {way_out}")
        return
    if files["LifeCycleState"] != "available":
        yield problem(
            about, f"is {files['LifeCycleState']}: wait, or `aws efs describe-file-systems`"
        )
    elif files.get("Encrypted"):
        yield good(about, f"is available and encrypted with {files.get('KmsKeyId')}")
    else:
        yield problem(about, "is not encrypted: copy its files to one that is")
    yield _policy(about, efs, identity)
    yield from _mount_targets(about, platform, efs, identity)


def _policy(about: str, efs: Any, identity: str) -> Finding:
    with aws_call("elasticfilesystem:DescribeFileSystemPolicy"):
        try:
            text = efs.describe_file_system_policy(FileSystemId=identity)["Policy"]
        except efs.exceptions.PolicyNotFound:
            text = "{}"
    if any(denies_plain(statement) for statement in statements_of(text)):
        return good(about, "has a policy, by which it is mounted with TLS and a right only")
    return problem(
        about,
        "has no policy that denies plain connections, so that whoever reaches a mount target "
        "mounts it: docs/data.md has the policy",
    )


def _mount_targets(about: str, platform: Platform, efs: Any, identity: str) -> Iterator[Finding]:
    with aws_call("elasticfilesystem:DescribeMountTargets"):
        targets = efs.describe_mount_targets(FileSystemId=identity)["MountTargets"]
    states = {each["AvailabilityZoneName"]: each["LifeCycleState"] for each in targets}
    labels = [
        node["metadata"].get("labels") or {} for node in platform.cluster.all("/api/v1/nodes")
    ]
    zones = sorted({each[_ZONE] for each in labels if _ZONE in each})
    without = [zone for zone in zones if states.get(zone) != "available"]
    for zone in without:
        state = f"is {states[zone]}" if zone in states else "is missing"
        reason = f"its mount target in {zone} {state}, so that pods of that zone wait for it"
        yield problem(about, f"{reason}: {_REPAIR}, or kubeflow:sharedFiles.mountTargets")
    if not without:
        yield good(about, f"has a mount target in {listed(zones, 'and')}, where the nodes are")


CHECKS: tuple[Check, ...] = (
    Check("shared-files", "the shared file system, its policy and mount targets", shared_files),
)
