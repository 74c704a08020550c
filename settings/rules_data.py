"""Rules over the data of users: the shared file system, the team's buckets, quotas."""

from __future__ import annotations

import re
from collections.abc import Iterator

from settings import catalog_files
from settings.errors import full_key, refusal
from settings.facts import Facts
from settings.rule_frame import Rules

RULES = Rules[Facts]()

LONGEST_ROOT = 100
"""Characters in the path of an access point's root directory (botocore efs, Path)."""
_VOLUME = "pvc-01234567-89ab-cdef-0123-456789abcdef"
"""A name of a volume, as Kubernetes' provisioners make one."""


@RULES.reads("sharedFiles", "users")
def _every_namespace_has_a_directory(f: Facts) -> Iterator[str]:
    longest = LONGEST_ROOT - len(f"//{_VOLUME}")
    for index, user in enumerate(f.settings.users if f.settings.shared_files.enabled else ()):
        if len(user.namespace) > longest:
            reason = (
                f"it is in the path of every shared volume, and EFS takes {LONGEST_ROOT} characters"
            )
            way_out = f"use at most {longest} characters"
            yield refusal(("users", index, "namespace"), user.namespace, f"{reason}: {way_out}")


@RULES.reads("sharedFiles")
def _a_new_file_system_is_reachable(f: Facts) -> Iterator[str]:
    files = f.settings.shared_files
    if files.enabled and files.mount_targets is False and files.file_system_id is None:
        reason = "no node would reach the new file system: remove the line"
        yield refusal("sharedFiles.mountTargets", False, reason)


@RULES.reads("sharedFiles")
def _an_existing_file_system_is_used_as_it_is(f: Facts) -> Iterator[str]:
    files = f.settings.shared_files
    if files.file_system_id is None:
        return
    if not files.enabled:
        way_out = f"set {full_key('sharedFiles.enabled')} to true, or remove the line"
        reason = f"shared files are off: {way_out}"
        yield refusal("sharedFiles.fileSystemId", files.file_system_id, reason)
    for key in ("throughput", "infrequent_access_days", "backup", "retain_on_delete"):
        field, value = type(files).model_fields[key], getattr(files, key)
        if value != field.default:
            reason = "the stack changes no file system of fileSystemId, so that it has no effect"
            yield refusal(f"sharedFiles.{field.alias}", value, f"{reason}: remove the line")


@RULES.reads("users", "region", "cluster.name", "accountId", "artifacts.bucket")
def _buckets_are_of_the_team(f: Facts) -> Iterator[str]:
    here = f.region.partition
    for index, user in enumerate(f.settings.users):
        for place, each in enumerate(user.buckets):
            for key, value in (("bucket", each.bucket), ("kmsKeyArn", each.kms_key_arn)):
                path = ("users", index, "buckets", place, key)
                if value and value.startswith("arn:") and value.split(":")[1] != here:
                    reason = f"{f.region.name} is in the partition {here}, and no role of it gets "
                    yield refusal(path, value, f"{reason}into another: copy the data there")
                elif key == "bucket" and _is_own(f, each.name):
                    reason = "it is the stack's own, in which every profile has its artifacts"
                    yield refusal(path, value, f"{reason}: use another bucket")


def _is_own(f: Facts, bucket: str) -> bool:
    settings = f.settings
    if settings.artifacts.bucket:
        return bucket == settings.artifacts.bucket
    account = settings.account_id or r"\d{12}"
    return bool(re.fullmatch(f"{settings.cluster.name}-{account}-{f.region.name}", bucket))


@RULES.reads("users", "artifacts.credentials")
def _buckets_need_a_role(f: Facts) -> Iterator[str]:
    key = "artifacts.credentials"
    if (kind := f.settings.artifacts.credentials) == "irsa":
        return
    for index, user in enumerate(f.settings.users):
        if user.buckets:
            names = [each.bucket for each in user.buckets]
            reason = f"{full_key(key)} is {kind}, with which profiles have no role: remove the line"
            yield refusal(("users", index, "buckets"), names, reason)


@RULES.reads("users")
def _a_quota_limits_something(f: Facts) -> Iterator[str]:
    for index, user in enumerate(f.settings.users):
        if user.quota is not None and not user.quota.model_dump(exclude_none=True):
            reason = "it limits nothing: add cpus, memoryGib, gpus, gpuSlices, storageGib or pods"
            yield refusal(("users", index, "quota"), {}, f"{reason}, or remove the line")


@RULES.reads("modelCatalog.sources")
def _sources_of_the_catalog_differ(f: Facts) -> Iterator[str]:
    seen = set[str]()
    for index, each in enumerate(f.settings.model_catalog.sources):
        if each.id in seen:
            reason = "another source has it too: give each its own"
            yield refusal(("modelCatalog", "sources", index, "id"), each.id, reason)
        seen.add(each.id)


@RULES.reads("modelCatalog.sources")
def _sources_of_the_catalog_are_one_object(f: Facts) -> Iterator[str]:
    size = 0
    for index, each in enumerate(f.settings.model_catalog.sources):
        size += len(catalog_files.read(each.file).encode())
        if size > catalog_files.MOST_BYTES:
            most = f"{catalog_files.MOST_BYTES // 1024} KiB"
            reason = f"with those before it the files have more than {most}, and one ConfigMap has"
            path = ("modelCatalog", "sources", index, "file")
            yield refusal(path, each.file, f"{reason} them all: shorten them, or leave some out")
            return
