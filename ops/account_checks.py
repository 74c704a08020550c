"""What ``./kf doctor`` asks of the account, where it finds credentials: reading calls only.

A check that AWS does not answer is one note, whatever it was about; the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from botocore.exceptions import BotoCoreError, ClientError

from ops.account_calls import Session, Unanswered, asking, client, stack_session
from ops.checks import Finding, Level, Subject
from ops.key_checks import mirror_credentials
from ops.pool_checks import pool_findings
from webhook.claims import error_code

AccountCheck = Callable[[Subject, Session], Iterator[Finding]]

_ABOUT = "account"


def examine_account(stack: Subject) -> list[Finding]:
    """Every finding about the account that the credentials at hand belong to."""
    try:
        session = stack_session(stack)
        with asking("the credentials"):
            found = session.get_credentials()
    except Unanswered as why:
        return [_note(f"nothing was asked of it: {why} cannot be used")]
    if found is None:
        told = (
            "nothing was asked of it, for there are no credentials: set AWS_PROFILE (or run `aws "
            "configure`), and `./kf doctor` looks there too"
        )
        return [_note(told)]
    return [finding for check in CHECKS for finding in _answered(check, stack, session)]


def _answered(check: AccountCheck, stack: Subject, session: Session) -> Iterator[Finding]:
    try:
        yield from check(stack, session)
    except Unanswered as why:
        yield _unanswered(str(why))
    except ClientError as refused:
        yield _unanswered(f"{refused.operation_name} ({error_code(refused)})")
    except BotoCoreError as failure:
        yield _unanswered(f"a call ({error_code(failure)})")


def _unanswered(call: str) -> Finding:
    return _note(
        f"AWS does not answer {call}, so something was not looked at: look at AWS_PROFILE, at the "
        "network and at what the credentials may do"
    )


def _note(sentence: str) -> Finding:
    return Finding(Level.NOTE, _ABOUT, sentence)


def _is_the_stacks(stack: Subject, session: Session) -> Iterator[Finding]:
    with asking("sts:GetCallerIdentity"):
        account = str(client(stack, session, "sts").get_caller_identity()["Account"])
    wanted = stack.settings.account_id
    if wanted in (None, account):
        yield Finding(Level.GOOD, _ABOUT, f"the credentials are of account {account}")
    else:
        yield Finding(
            Level.PROBLEM,
            _ABOUT,
            f"the credentials are of account {account} and kubeflow:accountId is {wanted}: choose "
            "another AWS_PROFILE",
        )


def _node_pools(stack: Subject, session: Session) -> Iterator[Finding]:
    if stack.settings.gpu_pool.enabled:
        yield from pool_findings(stack, session)


CHECKS: tuple[AccountCheck, ...] = (_is_the_stacks, mirror_credentials, _node_pools)
"""In the order in which they are told; each gets the stack's own session."""
