"""Check of the KMS keys of the stack: of artifacts, database and secrets, and of the cluster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ops.account_calls import CallFailed, aws_call
from ops.findings import Finding, good, note, problem
from ops.verification.check import Check
from ops.verification.platform import Platform
from settings.existing_backend import key_alias


def key_of(platform: Platform, named: str | None = None) -> dict[str, Any] | None:
    """A key as KMS describes it; None: there is none of that name.

    Args:
        platform: whose account and region have it.
        named: its alias or ARN; None: the backend's key.

    Raises:
        CallFailed
    """
    settings = platform.settings
    own = settings.artifacts.kms_key_arn or f"alias/{key_alias(settings.cluster.name)}"
    kms = platform.client("kms")
    with aws_call("kms:DescribeKey"):
        try:
            return kms.describe_key(KeyId=named or own)["KeyMetadata"]
        except kms.exceptions.NotFoundException:
            return None


def kms_keys(platform: Platform) -> Iterator[Finding]:
    """The keys, without which nothing of what they encrypt can be read, and their rotation.

    Raises:
        CallFailed: KMS describes none of them.
    """
    settings = platform.settings
    existing, cluster = settings.artifacts.kms_key_arn, settings.cluster.name
    own = f"alias/{key_alias(cluster)}"
    encrypts = "artifacts, database and secrets"
    looked_for = {existing or own: (encrypts, not existing)}
    looked_for[f"alias/eks/{cluster}/secrets"] = ("Kubernetes' Secrets", True)
    unknown: dict[str, CallFailed] = {}
    for name, (what, rotates) in looked_for.items():
        try:
            yield from _key(platform, name, what, rotates=rotates)
        except CallFailed as failure:
            unknown[name] = failure
    if len(unknown) == len(looked_for):
        raise next(iter(unknown.values()))
    for name, failure in unknown.items():
        yield note(f"key {name}", f"not checked: {failure}".rstrip("."))


def _key(platform: Platform, name: str, encrypts: str, *, rotates: bool) -> Iterator[Finding]:
    about, key = f"key {name}", key_of(platform, name)
    if key is None:
        yield problem(
            about, f"is not in KMS, and encrypts {encrypts}: `pulumi up --refresh`, or name the key"
        )
        return
    state = key["KeyState"]
    if state == "PendingDeletion":
        date = f" on {key['DeletionDate']:%Y-%m-%d}" if "DeletionDate" in key else ""
        way_out = f"`aws kms cancel-key-deletion --key-id {key['KeyId']}`, then enable-key"
        yield problem(about, f"is deleted{date}, and {encrypts} with it: {way_out} saves them")
        return
    if state != "Enabled":
        way_out = f"`aws kms enable-key --key-id {key['KeyId']}`"
        yield problem(about, f"is {state}, so that {encrypts} cannot be read: {way_out}")
        return
    if not rotates:
        yield good(about, f"is enabled and encrypts {encrypts}; its rotation is up to its owner")
        return
    kms = platform.client("kms")
    try:
        with aws_call("kms:GetKeyRotationStatus"):
            rotated = kms.get_key_rotation_status(KeyId=key["KeyId"])["KeyRotationEnabled"]
    except CallFailed as failure:
        yield note(
            about,
            f"is enabled and encrypts {encrypts}; rotation not checked: {failure}".rstrip("."),
        )
        return
    if rotated:
        yield good(about, f"is enabled, encrypts {encrypts} and is renewed every year")
    else:
        yield problem(about, f"encrypts {encrypts} and is never renewed: `pulumi up --refresh`")


CHECKS: tuple[Check, ...] = (Check("kms-keys", "state and rotation of the KMS keys", kms_keys),)
