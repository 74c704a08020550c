"""Clients for the checks that call AWS, and the error of a call that fails."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ops.cli_errors import Refused
from settings import Settings
from settings.errors import is_expired
from webhook.claims import error_code

Session = Any
"""A ``boto3.Session``, which has no types of its own."""

QUICK = Config(connect_timeout=5, read_timeout=15, retries={"total_max_attempts": 3})
"""For an answer that a person waits for."""

_DENIED = ("AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation")
# A session makes one client at a time (boto3 guide "Session", section on multithreading).
_ONE_AT_A_TIME = threading.Lock()


CREDENTIALS_ENDED_BEFORE = (
    "the AWS credentials have ended; renew them (`aws sso login`, or a new session), and run this "
    "command again."
)


class CallFailed(Refused):
    """A call to AWS without a result."""


@contextmanager
def aws_call(call: str) -> Generator[None]:
    """Name a call in its error, with AWS's code alone: AWS's sentence may quote a request.

    Args:
        call: ``iam:ListAccessKeys``; of a service alone, ``ecr``, the error has the operation.

    Raises:
        CallFailed
    """
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        if isinstance(error, ClientError) and ":" not in call:
            call = f"{call}:{error.operation_name}"
        if is_expired(error):
            raise CallFailed(f"{call} fails: {CREDENTIALS_ENDED_BEFORE}") from None
        code = error_code(error)
        reason = f"the right {call} is missing" if code in _DENIED else f"{call} fails"
        raise CallFailed(
            f"{reason} ({code}): check AWS_PROFILE, the network and the permissions of the "
            "credentials."
        ) from None


def client(
    settings: Settings,
    session: Session,
    service: str,
    config: Config = QUICK,
    region: str | None = None,
) -> Any:
    """A client in the stack's region, with the URL that ``kubeflow:endpoints`` has for it."""
    # Pulumi's AWS provider, whose names the settings have, writes them without hyphens.
    url = settings.endpoints.get(service.replace("-", ""))
    where = region or settings.region
    with _ONE_AT_A_TIME:
        return session.client(service, region_name=where, endpoint_url=url, config=config)


def cluster_of(settings: Settings, session: Session) -> dict[str, Any] | None:
    """The stack's cluster as EKS describes it; None before the first ``up``.

    Raises:
        CallFailed
    """
    eks = client(settings, session, "eks")
    with aws_call("eks"):
        try:
            return eks.describe_cluster(name=settings.cluster.name)["cluster"]
        except eks.exceptions.ResourceNotFoundException:
            return None


def quota_value(settings: Settings, session: Session, service: str, code: str) -> float:
    """The value of a quota in the account.

    Raises:
        CallFailed
    """
    with aws_call(f"servicequotas:GetServiceQuota of {code}"):
        quotas = client(settings, session, "service-quotas")
        answer = quotas.get_service_quota(ServiceCode=service, QuotaCode=code)
    return float(answer["Quota"]["Value"])
