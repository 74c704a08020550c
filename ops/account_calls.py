"""How checks ask an AWS account, and how they say that it did not answer."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ops.checks import Subject
from webhook.claims import error_code

Session = Any
"""A ``boto3.Session``, which has no types of its own."""

# A person waits: what does not answer soon is told as such.
BRISK = Config(connect_timeout=5, read_timeout=15, retries={"total_max_attempts": 3})


class Unanswered(Exception):
    """AWS refused a call or did not answer it; the message names the call and AWS's own code."""


@contextmanager
def asking(call: str) -> Generator[None]:
    """Names the call (``iam:ListAccessKeys``) when it fails; AWS's sentence may quote a request.

    Raises:
        Unanswered
    """
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise Unanswered(f"{call} ({error_code(error)})") from None


def stack_session(stack: Subject) -> Session:
    """The credentials at hand, in the stack's region.

    Raises:
        Unanswered: what the environment says of them cannot be used.
    """
    with asking("the AWS configuration"):
        return boto3.Session(region_name=stack.region.name)


def build_session(stack: Subject) -> Session | None:
    """The credentials that copy images from another partition.

    None: nothing crosses a border, or the profile is missing, which ``ops.checks`` has told.
    """
    mirror, profile = stack.mirror, stack.settings.image_mirror.build_profile
    if not mirror.crosses_partitions or profile not in boto3.Session().available_profiles:
        return None
    return boto3.Session(profile_name=profile, region_name=mirror.build_region.name)


def client(stack: Subject, session: Session, service: str) -> Any:
    """A client of the stack's own side; a service may have another URL in the settings."""
    # Pulumi's AWS provider, whose names the settings have, writes them without hyphens.
    url = stack.settings.endpoints.get(service.replace("-", ""))
    return session.client(service, region_name=stack.region.name, endpoint_url=url, config=BRISK)


def build_client(session: Session, service: str) -> Any:
    """A client of the build side."""
    return session.client(service, config=BRISK)
