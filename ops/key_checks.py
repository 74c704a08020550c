"""The age of the image mirror's access keys, on both sides of the partition border.

The age is IAM's: the date of a secret also changes with its tags, and shows neither a key that was
deleted by hand nor a second one left behind by a rotation.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from components.mirror.credentials import Purpose, user_name
from ops.account_calls import Session, aws_call, build_client, client
from ops.checks import Subject
from ops.findings import Finding, good, note, problem

OLDEST_DAYS = 90
"""The default of AWS Config's rule access-keys-rotated, ``maxAccessKeyAge``:
https://docs.aws.amazon.com/config/latest/developerguide/access-keys-rotated.html."""

_ABOUT = "image mirror"


def mirror_credentials(stack: Subject, session: Session) -> Iterator[Finding]:
    """The key of each side, where images cross a partition border.

    Raises:
        CallFailed
    """
    if not stack.mirror.crosses_partitions:
        return
    with aws_call("iam:ListAccessKeys"):
        yield _key(stack, Purpose.PUSH, client(stack, session, "iam"))
        build_iam = build_client(stack, "iam")
        if build_iam is not None:
            yield _key(stack, Purpose.START, build_iam)


def _key(stack: Subject, purpose: Purpose, iam: Any) -> Finding:
    user = user_name(stack.settings.cluster.name, stack.region, purpose)
    try:
        keys = iam.list_access_keys(UserName=user)["AccessKeyMetadata"]
    except iam.exceptions.NoSuchEntityException:
        sentence = (
            f"the IAM user {user}, whose key is to {purpose}, does not exist yet: `pulumi up`"
        )
        return note(_ABOUT, sentence)
    active = [key for key in keys if key["Status"] == "Active"]
    rotation = stack.settings.image_mirror.rotation + 1
    rotate = (
        f"`pulumi config set --path kubeflow:imageMirror.rotation {rotation} && pulumi up` creates "
        "a new one"
    )
    if not active:
        return problem(
            _ABOUT, f"the IAM user {user} has no active key, so no image can be copied: {rotate}"
        )
    if len(keys) > 1:
        return note(
            _ABOUT, f"the IAM user {user} has {len(keys)} keys: `pulumi up` ends the rotation"
        )
    days = (now() - active[0]["CreateDate"]).days
    age = f"the key of the IAM user {user} is {days} days old"
    return note(_ABOUT, f"{age}: {rotate}") if days > OLDEST_DAYS else good(_ABOUT, age)


def now() -> datetime:
    """The present time, which tests replace."""
    return datetime.now(UTC)
