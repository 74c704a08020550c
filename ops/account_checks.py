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
from ops import bucket_checks, network_checks, quota_checks, version_checks
from ops.account_calls import QUICK, CallFailed, Session, aws_call, client
from ops.checks import MIRROR, Subject, profiles
from ops.findings import Finding, good, note, problem
from ops.parallel import in_order
from ops.pool_checks import pool_findings
from ops.reach_checks import reach_findings
from ops.source_login_checks import source_logins
from settings.aws_session import aws_session
from settings.context import StackContext
from settings.rules_access import problems_of_caller

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
    # Nearly all of their time is waiting for AWS.
    found = in_order(CHECKS, lambda check: list(_or_note(check, stack, session)), len(CHECKS), "")
    return [finding for findings in found for finding in findings]


def _or_note(check: AccountCheck, stack: Subject, session: Session) -> Iterator[Finding]:
    try:
        yield from check(stack, session)
    except CallFailed as failure:
        yield note(_ABOUT, f"not all was checked: {failure}")
    except Exception as failure:  # an answer of another form must not hide the other findings
        subject = check.__name__.strip("_").replace("_", " ")
        yield note(_ABOUT, f"not all was checked: {subject}: {type(failure).__name__}")


def _account_of_credentials(stack: Subject, session: Session) -> Iterator[Finding]:
    with aws_call("sts:GetCallerIdentity"):
        identity = client(stack.settings, session, "sts").get_caller_identity()
    account = str(identity["Account"])
    refused = stack.settings.refusal_of(account)
    if refused:
        way_out = "choose another AWS_PROFILE, or aws:profile in the stack file"
        sentence = f"the credentials are of account {account} and {refused}: {way_out}"
        yield problem(_ABOUT, sentence)
    else:
        yield good(_ABOUT, f"the credentials are of account {account}")
    problems = problems_of_caller(stack.settings, identity["Arn"])
    yield from (problem("API server", sentence.rstrip(".")) for sentence in problems)
    if not problems:
        yield good("API server", f"the cluster admits {identity['Arn']}")


def mirror_keys(stack: Subject, session: Session) -> Iterator[Finding]:
    """The key of each side, where images cross a partition border."""
    if not stack.mirror.crosses_partitions:
        return
    profile = stack.mirror.settings.build_profile
    with aws_call("sts:GetCallerIdentity"):
        account = client(stack.settings, session, "sts").get_caller_identity()["Account"]
    context = StackContext.of(stack.settings, str(account), {})
    with aws_call("iam:ListAccessKeys"):
        yield _key(context, Purpose.PUSH, client(stack.settings, session, "iam"))
        if profile in profiles():  # else ``ops.checks`` reports that it is missing
            build: Session = boto3.Session(
                profile_name=profile, region_name=stack.mirror.build_region.name
            )
            yield _key(context, Purpose.START, build.client("iam", config=QUICK))


def _key(context: StackContext, purpose: Purpose, iam: Any) -> Finding:
    user = user_name(context, purpose)
    try:
        keys = iam.list_access_keys(UserName=user)["AccessKeyMetadata"]
    except iam.exceptions.NoSuchEntityException:
        key = f"the IAM user {user}, whose key is to {purpose},"
        return note(MIRROR, f"{key} does not exist yet: `pulumi up`")
    active = [key for key in keys if key["Status"] == "Active"]
    rotation = context.mirror.settings.rotation + 1
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


CHECKS: tuple[AccountCheck, ...] = (
    _account_of_credentials,
    reach_findings,
    bucket_checks.state_findings,
    version_checks.eks_findings,
    version_checks.mysql_findings,
    version_checks.postgres_findings,
    network_checks.existing_vpc_findings,
    network_checks.offer_findings,
    quota_checks.new_vpc_findings,
    quota_checks.node_group_findings,
    quota_checks.lambda_findings,
    bucket_checks.bucket_findings,
    mirror_keys,
    source_logins,
    pool_findings,
)
"""In the order of their findings; each gets a session of the stack's account."""
