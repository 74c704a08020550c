"""The bucket of artifacts, whose name may be taken; the bucket and the key of Pulumi's state."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml
from botocore.exceptions import ClientError

from ops.account_calls import Session, aws_call, client, cluster_of
from ops.checks import Subject
from ops.findings import Finding, good, note, problem
from ops.pulumi_cli import CliFailed, PulumiCli
from ops.targets import PROJECT
from settings.context import StackContext
from settings.errors import full_key, refusal
from webhook.claims import error_code

ABOUT, STATE = "artifacts", "state"

BACKEND = "PULUMI_BACKEND_URL"
"""Pulumi's own variable: the URL of the backend in place of ``pulumi login``."""


def bucket_findings(stack: Subject, session: Session) -> Iterator[Finding]:
    """Whether the bucket of artifacts can be made, or is the stack's own."""
    settings = stack.settings
    with aws_call("sts"):
        account = client(settings, session, "sts").get_caller_identity()["Account"]
    name = StackContext.of(settings, account, {}).bucket(settings.artifacts)
    code = _answer(client(settings, session, "s3"), name)
    if settings.artifacts.existing and code:
        reason = f"S3 answers {code} for {name}: name the bucket in artifacts.bucket"
        yield problem(ABOUT, refusal("artifacts.existing", True, reason).rstrip("."))
    elif settings.artifacts.existing:
        yield good(ABOUT, f"the bucket {name} exists and will be used")
    elif code == "404":
        yield good(ABOUT, f"the name {name} is free")
    elif code:
        reason = f"S3 answers {code}: the name is taken, in another account or region: set another"
        yield problem(ABOUT, refusal("artifacts.bucket", name, reason).rstrip("."))
    elif cluster_of(settings, session):
        yield good(ABOUT, f"the bucket {name} exists, as the cluster does")
    else:
        yield problem(
            ABOUT,
            f"the bucket {name} exists and the cluster does not, so `pulumi up` would end at it: "
            f"set {full_key('artifacts.existing')} (docs/backup-and-restore.md, The way back), or "
            f"another name in {full_key('artifacts.bucket')}",
        )


def _answer(s3: Any, bucket: str) -> str:
    """The HTTP status with which S3 refuses a bucket; empty: it is this account's.

    Raises:
        CallFailed: no answer.
    """
    with aws_call("s3:ListBucket"):
        try:
            s3.head_bucket(Bucket=bucket)
        except ClientError as error:
            if error_code(error) not in ("301", "403", "404"):
                raise
            return error_code(error)
    return ""


def state_findings(stack: Subject, session: Session) -> Iterator[Finding]:
    """Whether the backend that this machine is logged in to can hold the stack's state."""
    try:
        url = _backend()
    except CliFailed:
        yield note(STATE, "this machine is logged in to no backend: `pulumi login`")
        return
    parts = urlsplit(url)
    if parts.scheme == "file":
        yield note(STATE, f"it is in {url}, on this machine alone: `pulumi login` to a bucket")
    elif parts.scheme == "s3":
        region = _region(parts.query)
        yield from _state_bucket(stack, session, parts.netloc, region)
        yield from _state_key(stack, session)
    elif url:
        yield good(STATE, f"it is in {parts.scheme}://{parts.netloc}")


def _backend() -> str:
    """The URL of the backend; empty without the CLI, from which it is read."""
    if BACKEND in os.environ:
        return os.environ[BACKEND]
    path = shutil.which("pulumi")
    return PulumiCli(Path(path), PROJECT, "").backend() if path else ""


def _region(query: str) -> str | None:
    return next(iter(parse_qs(query).get("region", [])), None)


def _state_bucket(
    stack: Subject, session: Session, bucket: str, region: str | None
) -> Iterator[Finding]:
    s3 = client(stack.settings, session, "s3", region=region)
    code = _answer(s3, bucket)
    if code == "404":
        place = region or stack.region.name
        yield problem(STATE, f"the bucket {bucket} does not exist: create it in {place}")
    elif code:
        yield problem(
            STATE, f"S3 answers {code} for the bucket {bucket}: check its region, AWS_PROFILE"
        )
    else:
        with aws_call("s3:GetBucketVersioning"):
            versioned = s3.get_bucket_versioning(Bucket=bucket).get("Status") == "Enabled"
        if versioned:
            yield good(STATE, f"the bucket {bucket} exists and keeps former versions")
        else:
            command = f"aws s3api put-bucket-versioning --bucket {bucket}"
            on = "--versioning-configuration Status=Enabled"
            reason = f"the bucket {bucket} has no versioning, so a lost state stays lost"
            yield note(STATE, f"{reason}: `{command} {on}`")


def _state_key(stack: Subject, session: Session) -> Iterator[Finding]:
    """The key that encrypts the secrets in the state, ``secretsprovider`` of the stack file.

    Its URL is ``awskms://<key ID or alias>?region=...``, or ``awskms:///<ARN>?region=...``
    (https://gocloud.dev/howto/secrets/#aws).
    """
    text = stack.file.read_text("utf-8") if stack.file and stack.file.exists() else ""
    url = str((yaml.safe_load(text) or {}).get("secretsprovider", ""))
    if not url.startswith("awskms://"):
        way_out = "`pulumi stack init --secrets-provider=awskms://...`"
        yield note(STATE, f"no KMS key encrypts its secrets: {way_out} names one")
        return
    parts = urlsplit(url)
    key = unquote(parts.netloc + parts.path).strip("/")
    kms = client(stack.settings, session, "kms", region=_region(parts.query))
    with aws_call("kms"):
        try:
            state = kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"]
        except kms.exceptions.NotFoundException:
            state = "absent"
    if state == "Enabled":
        yield good(STATE, f"the key {key} encrypts its secrets")
    else:
        reason = f"the key {key}, which encrypts its secrets, is {state}"
        yield problem(STATE, f"{reason}: create or enable it, or check AWS_PROFILE")
