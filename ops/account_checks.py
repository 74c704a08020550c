"""The checks of ``./kf doctor`` that call AWS, where it finds credentials; all are read-only.

A call that fails becomes one note, and the other checks go on. The age of a key of the image
mirror, on both sides of the partition border, is IAM's: the date of a secret also changes with its
tags, and shows neither a key that was deleted by hand nor a second one left behind by a rotation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import boto3

from components.mirror.credentials import Purpose, user_name
from ops.account_calls import QUICK, CallFailed, Session, aws_call, client
from ops.checks import MIRROR, Subject, profiles
from ops.findings import Finding, good, note, problem
from ops.pool_checks import pool_findings
from settings.aws_session import aws_session

AccountCheck = Callable[[Subject, Session], Iterator[Finding]]

OLDEST_DAYS = 90
"""The default of AWS Config's rule access-keys-rotated, ``maxAccessKeyAge``:
https://docs.aws.amazon.com/config/latest/developerguide/access-keys-rotated.html."""

_ABOUT = "account"


def examine_account(stack: Subject) -> list[Finding]:
    """Every finding about the account of the credentials in the environment."""
    try:
        with aws_call("loading the AWS credentials"):
            session: Session = aws_session(
                stack.settings.aws.credentials(),
                stack.region.name,
                stack.settings.endpoints.get("sts"),
            )
            credentials = session.get_credentials()
    except CallFailed as failure:
        return [note(_ABOUT, f"not checked: {failure}")]
    if credentials is None:
        sentence = (
            "not checked, because there are no credentials: set AWS_PROFILE or run `aws configure`"
        )
        return [note(_ABOUT, sentence)]
    return [finding for check in CHECKS for finding in _or_note(check, stack, session)]


def _or_note(check: AccountCheck, stack: Subject, session: Session) -> Iterator[Finding]:
    try:
        yield from check(stack, session)
    except CallFailed as failure:
        yield note(_ABOUT, f"not all was checked: {failure}")


def _account_of_credentials(stack: Subject, session: Session) -> Iterator[Finding]:
    with aws_call("sts:GetCallerIdentity"):
        account = str(client(stack.settings, session, "sts").get_caller_identity()["Account"])
    refused = stack.settings.refusal_of(account)
    if refused:
        way_out = "choose another AWS_PROFILE, or aws:profile in the stack file"
        sentence = f"the credentials are of account {account} and {refused}: {way_out}"
        yield problem(_ABOUT, sentence)
    else:
        yield good(_ABOUT, f"the credentials are of account {account}")


def _mirror_keys(stack: Subject, session: Session) -> Iterator[Finding]:
    """The key of each side, where images cross a partition border."""
    if not stack.mirror.crosses_partitions:
        return
    profile = stack.mirror.settings.build_profile
    with aws_call("iam:ListAccessKeys"):
        yield _key(stack, Purpose.PUSH, client(stack.settings, session, "iam"))
        if profile in profiles():  # else ``ops.checks`` reports that it is missing
            build: Session = boto3.Session(
                profile_name=profile, region_name=stack.mirror.build_region.name
            )
            yield _key(stack, Purpose.START, build.client("iam", config=QUICK))


def _key(stack: Subject, purpose: Purpose, iam: Any) -> Finding:
    user = user_name(stack.settings.cluster.name, stack.region, purpose)
    try:
        keys = iam.list_access_keys(UserName=user)["AccessKeyMetadata"]
    except iam.exceptions.NoSuchEntityException:
        key = f"the IAM user {user}, whose key is to {purpose},"
        return note(MIRROR, f"{key} does not exist yet: `pulumi up`")
    active = [key for key in keys if key["Status"] == "Active"]
    rotation = stack.mirror.settings.rotation + 1
    rotate = (
        f"`pulumi config set --path kubeflow:imageMirror.rotation {rotation} && pulumi up` creates "
        "a new one"
    )
    if not active:
        reason = "has no active key, so no image can be copied"
        return problem(MIRROR, f"the IAM user {user} {reason}: {rotate}")
    if len(keys) > 1:
        sentence = f"the IAM user {user} has {len(keys)} keys: `pulumi up` ends the rotation"
        return note(MIRROR, sentence)
    days = (now() - active[0]["CreateDate"]).days
    age = f"the key of the IAM user {user} is {days} days old"
    return note(MIRROR, f"{age}: {rotate}") if days > OLDEST_DAYS else good(MIRROR, age)


def now() -> datetime:
    """The present time, which tests replace."""
    return datetime.now(UTC)


CHECKS: tuple[AccountCheck, ...] = (_account_of_credentials, _mirror_keys, pool_findings)
"""In the order of their findings; each gets a session of the stack's account."""
