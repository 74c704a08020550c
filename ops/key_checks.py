"""How old the image mirror's credentials are, on both sides of the partition border.

IAM itself is asked for the age of a key, by the name the stack gives its user: a secret's own date
also changes with its tags, and would tell neither a key that was removed by hand nor a second one
that a rotation left behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from components.mirror.credentials import Purpose, user_name
from ops.account_calls import Session, asking, build_client, build_session, client
from ops.checks import Finding, Level, Subject
from webhook.claims import error_code

Ask = Callable[[str], Any]
"""Makes the client of a service, of one side."""

OLDEST_DAYS = 90
"""As AWS Config's rule access-keys-rotated has it."""

_ABOUT = "image mirror"


def mirror_credentials(stack: Subject, session: Session) -> Iterator[Finding]:
    """The key of each side, by the account it belongs to.

    Raises:
        Unanswered: names the call.
    """
    if not stack.mirror.crosses_partitions:
        return
    abroad = build_session(stack)
    yield _key(stack, Purpose.PUSH, partial(client, stack, session))
    if abroad is not None:
        yield _key(stack, Purpose.START, partial(build_client, abroad))


def _key(stack: Subject, purpose: Purpose, ask: Ask) -> Finding:
    user = user_name(stack.settings.cluster.name, stack.region, purpose)
    with asking("iam:ListAccessKeys"):
        try:
            keys = ask("iam").list_access_keys(UserName=user)["AccessKeyMetadata"]
        except ClientError as refused:
            if error_code(refused) != "NoSuchEntity":
                raise
            return _note(f"there is no IAM user {user} yet, whose key is to {purpose}: `pulumi up`")
    active = [key for key in keys if key["Status"] == "Active"]
    if not active:
        return Finding(
            Level.PROBLEM,
            _ABOUT,
            f"the IAM user {user} has no active key, so nothing can be copied: {_rotate(stack)}",
        )
    if len(keys) > 1:
        return _note(f"the IAM user {user} has {len(keys)} keys: `pulumi up` ends the rotation")
    days = (now() - active[0]["CreateDate"]).days
    if days > OLDEST_DAYS:
        return _note(f"the key of the IAM user {user} is {days} days old: {_rotate(stack)}")
    return Finding(Level.GOOD, _ABOUT, f"the key of the IAM user {user} is {days} days old")


def _rotate(stack: Subject) -> str:
    following = stack.settings.image_mirror.rotation + 1
    key = "kubeflow:imageMirror.rotation"
    return f"`pulumi config set --path {key} {following} && pulumi up` makes another one"


def _note(sentence: str) -> Finding:
    return Finding(Level.NOTE, _ABOUT, sentence)


def now() -> datetime:
    """The present time, for tests to choose."""
    return datetime.now(UTC)
