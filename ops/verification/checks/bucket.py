"""Check of the bucket of artifacts: its settings against the plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from ops.account_calls import CallFailed, aws_call
from ops.findings import Finding, good, note, problem
from ops.verification.check import Check
from ops.verification.checks.keys import key_of
from ops.verification.platform import Platform
from ops.verification.policies import denies_plain, statements_of
from settings.errors import listed
from webhook.claims import error_code

_REPAIR = "`pulumi up --refresh`"
"""Reads what there is first, so that an edit by hand is seen, and writes the plan again."""


def bucket_settings(platform: Platform) -> Iterator[Finding]:
    """The bucket against the plan: place, privacy, encryption, versions, policy."""
    name = platform.context.bucket(platform.settings.artifacts)
    about, s3 = f"bucket {name}", platform.client("s3")
    code = _head(s3, name)
    if code == "403" and _is_the_accounts(s3, name):
        raise CallFailed(
            f"the right s3:ListBucket is missing (403 of {name}): check AWS_PROFILE and the "
            "permissions of the credentials."
        )
    if code:
        reasons = {
            "301": "is in another region: name another one in kubeflow:artifacts.bucket",
            "403": "is another account's: name another one in kubeflow:artifacts.bucket",
            "404": f"does not exist: {_REPAIR} makes it, or name the right one",
        }
        yield problem(about, reasons.get(code, f"answers {code}: try again later"))
        return
    unknown: list[CallFailed] = []
    known = False
    for look in (_place, _private, _encrypted, _versioned, _lifecycle, _policy, _ownership, _cors):
        try:
            for finding in look(about, platform, s3, name):
                known = True
                yield finding
        except CallFailed as failure:
            unknown.append(failure)
    if not known:
        raise unknown[0]
    for failure in unknown:
        yield note(about, f"not checked: {failure}".rstrip("."))


def _head(s3: Any, bucket: str) -> str:
    """The HTTP status with which S3 refuses the bucket; empty: it does not."""
    with aws_call("s3:ListBucket"):
        try:
            s3.head_bucket(Bucket=bucket)
        except ClientError as error:
            if error_code(error) in ("301", "403", "404"):
                return error_code(error)
            raise
    return ""


def _is_the_accounts(s3: Any, bucket: str) -> bool:
    """Whether the account owns the bucket. Raises ``CallFailed``: the list is refused too."""
    with aws_call("s3:ListAllMyBuckets"):
        return bucket in [each["Name"] for each in s3.list_buckets()["Buckets"]]


def _read(right: str, absent: str, call: Callable[[], Any]) -> Any:
    """An answer of S3; None where there is no such configuration.

    Args:
        right: that the call takes.
        absent: the error's code for that.
        call: to S3.

    Raises:
        CallFailed
    """
    with aws_call(right):
        try:
            return call()
        except ClientError as error:
            if error_code(error) != absent:
                raise
    return None


def _place(about: str, platform: Platform, s3: Any, name: str) -> Iterator[Finding]:
    region = platform.settings.region
    with aws_call("s3:GetBucketLocation"):
        found = s3.get_bucket_location(Bucket=name)["LocationConstraint"]
    # The first region of the partition aws has none, and EU is an old name (S3 API reference,
    # GetBucketLocation).
    if found not in (None, "", "EU", region):
        yield problem(about, f"is in {found}, and the stack in {region}: name another bucket")
        return
    kept = ", which existed before the stack and is never deleted by it"
    existing = platform.settings.artifacts.existing
    yield good(about, f"is in {region}{kept if existing else ''}")


def _private(about: str, platform: Platform, s3: Any, name: str) -> Iterator[Finding]:
    del platform
    answer = _read(
        "s3:GetBucketPublicAccessBlock",
        "NoSuchPublicAccessBlockConfiguration",
        lambda: s3.get_public_access_block(Bucket=name),
    )
    block = answer["PublicAccessBlockConfiguration"] if answer else {}
    wanted = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
    off = [each for each in wanted if not block.get(each)]
    if off:
        yield problem(about, f"may become public ({listed(off, 'and')} are off): {_REPAIR}")
    else:
        yield good(about, "can never become public")


def _encrypted(about: str, platform: Platform, s3: Any, name: str) -> Iterator[Finding]:
    answer = _read(
        "s3:GetEncryptionConfiguration",
        "ServerSideEncryptionConfigurationNotFoundError",
        lambda: s3.get_bucket_encryption(Bucket=name),
    )
    rules = answer["ServerSideEncryptionConfiguration"]["Rules"] if answer else [{}]
    default = rules[0].get("ApplyServerSideEncryptionByDefault") or {}
    if default.get("SSEAlgorithm") != "aws:kms":
        has = default.get("SSEAlgorithm", "none")
        yield problem(about, f"encrypts new objects by {has}, and not with KMS: {_REPAIR}")
        return
    key, has = key_of(platform), default.get("KMSMasterKeyID", "")
    if key and has not in (key["Arn"], key["KeyId"]):
        yield problem(about, f"encrypts new objects with {has}, and not {key['Arn']}: {_REPAIR}")
    else:
        yield good(about, f"encrypts new objects with {has}")


def _versioned(about: str, platform: Platform, s3: Any, name: str) -> Iterator[Finding]:
    del platform
    with aws_call("s3:GetBucketVersioning"):
        status = s3.get_bucket_versioning(Bucket=name).get("Status", "off")
    if status == "Enabled":
        yield good(about, "keeps former versions of objects")
    else:
        yield problem(about, f"keeps no former versions (versioning is {status}): {_REPAIR}")


def _lifecycle(about: str, platform: Platform, s3: Any, name: str) -> Iterator[Finding]:
    artifacts = platform.settings.artifacts
    answer = _read(
        "s3:GetLifecycleConfiguration",
        "NoSuchLifecycleConfiguration",
        lambda: s3.get_bucket_lifecycle_configuration(Bucket=name),
    )
    rules = [each for each in (answer or {"Rules": []})["Rules"] if each["Status"] == "Enabled"]
    old = [each.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays") for each in rules]
    if artifacts.noncurrent_days in old:
        yield good(about, f"ends former versions after {artifacts.noncurrent_days} days")
    else:
        wanted = f"kubeflow:artifacts.noncurrentDays is {artifacts.noncurrent_days}"
        yield problem(about, f"ends no former versions after that, and {wanted}: {_REPAIR}")
    # Another rule may end the markers of deleted objects alone (ExpiredObjectDeleteMarker).
    ends = [each.get("Expiration", {}) for each in rules]
    days = [each["Days"] for each in ends if "Days" in each]
    wanted_days = [artifacts.expire_days] if artifacts.expire_days else []
    if days == wanted_days:
        ends = f"end after {artifacts.expire_days} days" if wanted_days else "never expire"
        yield good(about, f"artifacts {ends}, as kubeflow:artifacts.expireDays asks")
    else:
        has = listed([f"{each} days" for each in days], "and") if days else "no rule"
        wanted = f"kubeflow:artifacts.expireDays is {artifacts.expire_days}"
        yield problem(about, f"artifacts expire after {has}, and {wanted}: {_REPAIR}")


def _policy(about: str, platform: Platform, s3: Any, name: str) -> Iterator[Finding]:
    answer = _read(
        "s3:GetBucketPolicy", "NoSuchBucketPolicy", lambda: s3.get_bucket_policy(Bucket=name)
    )
    arn = platform.context.region.arn("s3", name, account="", region="")
    wanted = {arn, f"{arn}/*"}
    denied = {
        resource
        for statement in statements_of(answer["Policy"] if answer else "{}")
        if denies_plain(statement) and not {"s3:*", "*"}.isdisjoint(_texts(statement, "Action"))
        for resource in _texts(statement, "Resource")
    }
    # One statement may deny it of the bucket, and another one of its objects.
    if wanted <= denied or "*" in denied:
        yield good(about, "denies every request without TLS")
    else:
        yield problem(about, f"answers requests without TLS: {_REPAIR} writes its policy again")


def _texts(statement: Mapping[str, Any], key: str) -> list[str]:
    found = statement.get(key, [])
    return [found] if isinstance(found, str) else list(found)


def _ownership(about: str, platform: Platform, s3: Any, name: str) -> Iterator[Finding]:
    del platform
    answer = _read(
        "s3:GetBucketOwnershipControls",
        "OwnershipControlsNotFoundError",
        lambda: s3.get_bucket_ownership_controls(Bucket=name),
    )
    rules = answer["OwnershipControls"]["Rules"] if answer else [{}]
    has = rules[0].get("ObjectOwnership", "not set")
    if has == "BucketOwnerEnforced":
        yield good(about, "owns all of its objects, without ACLs")
    else:
        yield problem(about, f"has ACLs (its ownership is {has}): {_REPAIR}")


def _cors(about: str, platform: Platform, s3: Any, name: str) -> Iterator[Finding]:
    del platform
    answer = _read(
        "s3:GetBucketCORS", "NoSuchCORSConfiguration", lambda: s3.get_bucket_cors(Bucket=name)
    )
    if answer:
        origins = sorted({each for rule in answer["CORSRules"] for each in rule["AllowedOrigins"]})
        yield note(
            about,
            f"lets pages of {listed(origins, 'and')} read it (CORS), which the stack does not: "
            f"`aws s3api delete-bucket-cors --bucket {name}` ends that",
        )


CHECKS: tuple[Check, ...] = (
    Check(
        "bucket-settings",
        "the bucket: place, privacy, encryption, versions, lifecycle, policy",
        bucket_settings,
    ),
)
