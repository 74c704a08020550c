"""Clients for the checks that call AWS, and the error of a call that fails."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ops.checks import Subject, profiles
from ops.cli_errors import Refused
from webhook.claims import error_code

Session = Any
"""A ``boto3.Session``, which has no types of its own."""

# Short limits, because a person waits for the answer.
_CONFIG = Config(connect_timeout=5, read_timeout=15, retries={"total_max_attempts": 3})


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
        raise CallFailed(
            f"{call} fails ({error_code(error)}): check AWS_PROFILE, the network and the "
            "permissions of the credentials."
        ) from None


def client(stack: Subject, session: Session, service: str) -> Any:
    """A client in the stack's region, with the URL that ``kubeflow:endpoints`` has for it."""
    # Pulumi's AWS provider, whose names the settings have, writes them without hyphens.
    url = stack.settings.endpoints.get(service.replace("-", ""))
    return session.client(service, region_name=stack.region.name, endpoint_url=url, config=_CONFIG)


def build_client(stack: Subject, service: str) -> Any | None:
    """A client of the account that copies images from another partition.

    None if the profile is missing, which ``ops.checks`` reports.
    """
    profile = stack.settings.image_mirror.build_profile
    if profile not in profiles():
        return None
    session: Session = boto3.Session(
        profile_name=profile, region_name=stack.mirror.build_region.name
    )
    return session.client(service, config=_CONFIG)
