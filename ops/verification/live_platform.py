"""The platform of a stack, with the cluster of the kubeconfig and the credentials of the stack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ops.account_calls import Session, aws_call, client
from ops.cli_errors import Refused
from ops.current_cluster import connect_command, current_cluster
from ops.live_cluster import LiveCluster
from ops.verification.platform import Platform
from ops.verification.workspace import Workspace
from settings import Settings
from settings.aws_session import aws_session
from settings.context import StackContext


class AccountClients:
    """Makes clients of the stack's account, whose credentials are looked at once.

    Args:
        settings: of the stack.
        account: of the kubeconfig's cluster; empty: it has none.
    """

    def __init__(self, settings: Settings, account: str = "") -> None:
        self._settings = settings
        self._expected = account
        self._session: Session | None = None
        self._account = ""
        self._refusal = ""

    def __call__(self, service: str) -> Any:
        """A client of an AWS service in the stack's region.

        Raises:
            Refused: there are no credentials, or those of another account.
        """
        return client(self._settings, self._of_account(), service)

    @property
    def account(self) -> str:
        """The account's number. Raises as the call."""
        self._of_account()
        return self._account

    def _of_account(self) -> Session:
        if self._session is None and not self._refusal:
            try:
                self._session = self._begun()
            except Refused as refused:
                self._refusal = str(refused)
        if self._refusal:
            raise Refused(self._refusal)
        return self._session

    def _begun(self) -> Session:
        settings = self._settings
        with aws_call("loading the AWS credentials"):
            session: Session = aws_session(
                settings.aws.credentials(), settings.region, settings.endpoints.get("sts")
            )
            credentials = session.get_credentials()
        if credentials is None:
            raise Refused("there are no AWS credentials: set AWS_PROFILE or run `aws configure`.")
        with aws_call("sts:GetCallerIdentity"):
            account = str(client(settings, session, "sts").get_caller_identity()["Account"])
        reason = settings.refusal_of(account)
        if not reason and self._expected not in ("", account):
            reason = f"the kubeconfig's cluster is of account {self._expected}"
        if reason:
            raise Refused(
                f"the credentials are of account {account} and {reason}: choose another "
                "AWS_PROFILE, or aws:profile in the stack file."
            )
        self._account = account
        return session


def live_platform(
    stack: str,
    settings: Settings,
    cluster: LiveCluster,
    workspace: Callable[[str], Workspace],
    user: str | None = None,
) -> Platform:
    """The platform that the current kubeconfig leads to; nothing is called where it is not needed.

    Args:
        stack: its name.
        settings: of its stack file.
        cluster: of the kubeconfig.
        workspace: of the verification.
        user: in whose profile checks run.
    """
    known = settings.account_id or current_cluster(connect_command(settings)).account
    clients = AccountClients(settings, known)
    return Platform(
        stack=stack,
        settings=settings,
        context=StackContext.of(settings, known or _account_of(clients), {}),
        cluster=cluster,
        client=clients,
        workspace=workspace,
        user=user,
    )


def _account_of(clients: AccountClients) -> str:
    """The account of the credentials; empty: there are none."""
    try:
        return clients.account
    except Refused:
        return ""
