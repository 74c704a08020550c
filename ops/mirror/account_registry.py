"""The account's own registry (ECR), asked and prepared through its API."""

from __future__ import annotations

import base64
from collections.abc import Generator, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from components.registry.ecr_repositories import PARALLEL, EcrRepositories
from ops.cli_errors import Refused
from settings import Settings
from webhook.claims import error_code


@dataclass(frozen=True)
class Login:
    """To the whole registry of an account in a region."""

    account: str
    user: str
    password: str = field(repr=False)
    expires: datetime


@dataclass(frozen=True)
class AccountRegistry:
    """ECR of one account and region; any call may raise ``Refused`` with AWS's error code.

    Attributes:
        ecr: a boto3 client.
        tags: of every repository that is made, besides its ``Name``.
    """

    ecr: Any
    tags: Mapping[str, str]

    @classmethod
    def of(cls, settings: Settings, tags: Mapping[str, str]) -> AccountRegistry:
        """The registry that belongs to the credentials at hand, in the stack's region."""
        with _told("ecr"):
            # Not the default session: it would remember whoever asked first.
            client = boto3.Session().client(
                "ecr",
                region_name=settings.region,
                endpoint_url=settings.endpoints.get("ecr"),
                config=Config(
                    retries={"mode": "adaptive", "max_attempts": 8},
                    connect_timeout=10,
                    read_timeout=30,
                    max_pool_connections=PARALLEL,
                ),
            )
        return cls(client, tags)

    def login(self) -> Login:
        """A login of about 12 hours; the registry's address in it names the account."""
        with _told("ecr:GetAuthorizationToken"):
            (granted,) = self.ecr.get_authorization_token()["authorizationData"]
        user, _, password = base64.b64decode(granted["authorizationToken"]).decode().partition(":")
        account = (urlsplit(granted["proxyEndpoint"]).hostname or "").partition(".")[0]
        return Login(account, user, password, granted["expiresAt"].astimezone(UTC))

    def digests(self, repositories: Iterable[str]) -> dict[str, dict[str, str]]:
        """Repository -> tag -> digest, of those of these repositories that exist."""
        with _told("ecr:DescribeRepositories"):
            known = self._repositories().existing()
        existing = sorted(known.keys() & set(repositories))
        with ThreadPoolExecutor(PARALLEL, thread_name_prefix="ecr") as executor:
            return dict(zip(existing, executor.map(self._tagged, existing), strict=True))

    def _tagged(self, repository: str) -> dict[str, str]:
        with _told("ecr:ListImages"):
            pages = self.ecr.get_paginator("list_images").paginate(
                repositoryName=repository,
                filter={"tagStatus": "TAGGED"},
                PaginationConfig={"PageSize": 1000},
            )
            return {
                each["imageTag"]: each["imageDigest"] for page in pages for each in page["imageIds"]
            }

    def prepare(self, wanted: Mapping[str, str]) -> list[str]:
        """See ``EcrRepositories.prepare``."""
        with _told("ecr"):
            return self._repositories().prepare(wanted)

    def _repositories(self) -> EcrRepositories:
        return EcrRepositories(self.ecr, self.tags)


def past_half(login: Login, since: datetime, now: datetime) -> bool:
    """Is it time to log in again?"""
    return now - since > (login.expires - since) / 2


@contextmanager
def _told(call: str) -> Generator[None]:
    """Only AWS's short code is told: its sentence may quote a request."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        if isinstance(error, ClientError):
            call = f"ecr:{error.operation_name}"
        raise Refused(
            f"AWS does not answer {call} ({error_code(error)}): look at AWS_PROFILE, at the "
            "credentials and at what they may do."
        ) from None
