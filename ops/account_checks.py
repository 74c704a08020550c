"""The checks of ``./kf doctor`` that call AWS, where it finds credentials; all are read-only.

A call that fails becomes one note, and the other checks go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import boto3

from ops.account_calls import CallFailed, Session, aws_call, client
from ops.checks import Subject
from ops.findings import Finding, good, note, problem
from ops.key_checks import mirror_credentials
from ops.pool_checks import pool_findings

AccountCheck = Callable[[Subject, Session], Iterator[Finding]]

_ABOUT = "account"


def examine_account(stack: Subject) -> list[Finding]:
    """Every finding about the account of the credentials in the environment."""
    try:
        with aws_call("loading the AWS credentials"):
            session: Session = boto3.Session(region_name=stack.region.name)
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
        account = str(client(stack, session, "sts").get_caller_identity()["Account"])
    configured = stack.settings.account_id
    if configured in (None, account):
        yield good(_ABOUT, f"the credentials are of account {account}")
    else:
        yield problem(
            _ABOUT,
            f"the credentials are of account {account} and kubeflow:accountId is {configured}: "
            "choose another AWS_PROFILE",
        )


CHECKS: tuple[AccountCheck, ...] = (_account_of_credentials, mirror_credentials, pool_findings)
"""In the order of their findings; each gets a session of the stack's account."""
