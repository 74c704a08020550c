"""The account's own registry (ECR) through its API: login, digests, repositories."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlsplit

from botocore.config import Config

from components.registry.ecr_repositories import PARALLEL, EcrRepositories
from ops.account_calls import aws_call, client
from settings import Settings
from settings.aws_session import aws_session

PATIENT = Config(
    retries={"mode": "adaptive", "max_attempts": 8},
    connect_timeout=10,
    read_timeout=30,
    max_pool_connections=PARALLEL,
)
"""For a run of hours, once ECR has answered."""
AT_ONCE = Config(retries={"total_max_attempts": 1}, connect_timeout=8, read_timeout=15)
"""For the first call: where ECR is not reached, a person reads so within seconds."""


@dataclass(frozen=True)
class Login:
    """A login to the whole registry of an account in a region.

    Attributes:
        account: its number.
        token: ``user:password`` in base64.
        renew_at: half of its lifetime from now.
    """

    account: str
    token: str = field(repr=False)
    renew_at: datetime


class AccountRegistry(EcrRepositories):
    """ECR of one account and region; any call may raise ``CallFailed``."""

    @classmethod
    def of(
        cls, settings: Settings, tags: Mapping[str, str], config: Config = PATIENT
    ) -> AccountRegistry:
        """The registry of the account of the credentials, in the stack's region."""
        with aws_call("loading the AWS credentials"):
            session = aws_session(
                settings.aws.credentials(), settings.region, settings.endpoints.get("sts")
            )
            ecr = client(settings, session, "ecr", config)
            return cls(ecr, tags, settings.cluster.name)

    def login(self) -> Login:
        """A login of about 12 hours; the registry's address in it has the account's number."""
        with aws_call("ecr:GetAuthorizationToken"):
            (granted,) = self.ecr.get_authorization_token()["authorizationData"]
        account = (urlsplit(granted["proxyEndpoint"]).hostname or "").partition(".")[0]
        now = datetime.now(UTC)
        return Login(account, granted["authorizationToken"], now + (granted["expiresAt"] - now) / 2)

    def digests(self, repositories: Iterable[str]) -> dict[str, dict[str, str]]:
        """Repository -> tag -> digest, of those of these repositories that exist."""
        with aws_call("ecr:DescribeRepositories"):
            existing = sorted(self.existing().keys() & set(repositories))
        with (
            aws_call("ecr:ListImages"),
            ThreadPoolExecutor(PARALLEL, thread_name_prefix="ecr") as executor,
        ):
            return dict(zip(existing, executor.map(self._tags, existing), strict=True))

    def _tags(self, repository: str) -> dict[str, str]:
        pages = self.ecr.get_paginator("list_images").paginate(
            repositoryName=repository,
            filter={"tagStatus": "TAGGED"},
            PaginationConfig={"PageSize": 1000},
        )
        images = [image for page in pages for image in page["imageIds"]]
        return {image["imageTag"]: image["imageDigest"] for image in images}

    def prepare(self, mutability: Mapping[str, str]) -> list[str]:
        """See ``EcrRepositories.prepare``."""
        with aws_call("ecr"):
            return super().prepare(mutability)
