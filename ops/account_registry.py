"""The account's own registry (ECR), asked and prepared through its API."""

from __future__ import annotations

import base64
import json
from collections.abc import Generator, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from components.image_mirror_policies import lifecycle_policy
from components.settings import Settings
from ops.failures import Refused
from webhook.copy_job import new_repository
from webhook.mirror import error_code

_PARALLEL = 8


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
            client = boto3.client(
                "ecr",
                region_name=settings.region,
                endpoint_url=settings.endpoints.get("ecr"),
                config=Config(
                    retries={"mode": "adaptive", "max_attempts": 8},
                    connect_timeout=10,
                    read_timeout=30,
                    max_pool_connections=_PARALLEL,
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

    def repositories(self) -> dict[str, dict[str, Any]]:
        """Every repository, by name, as ECR describes it."""
        with _told("ecr:DescribeRepositories"):
            pages = self.ecr.get_paginator("describe_repositories").paginate(
                PaginationConfig={"PageSize": 1000}
            )
            return {each["repositoryName"]: each for page in pages for each in page["repositories"]}

    def digests(self, repositories: Iterable[str]) -> dict[str, dict[str, str]]:
        """Repository -> tag -> digest, of those of these repositories that exist."""
        existing = sorted(self.repositories().keys() & set(repositories))
        with ThreadPoolExecutor(_PARALLEL, thread_name_prefix="ecr") as executor:
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

    def prepare(self, repositories: Iterable[str]) -> list[str]:
        """Makes what is missing and mends what differs from ``components.image_repositories``.

        Returns:
            The repositories it made.
        """
        existing = self.repositories()
        wanted = sorted(set(repositories))
        with ThreadPoolExecutor(_PARALLEL, thread_name_prefix="ecr") as executor:
            list(executor.map(partial(self._prepare_one, existing), wanted))
        return [name for name in wanted if name not in existing]

    def _prepare_one(self, existing: Mapping[str, dict[str, Any]], name: str) -> None:
        wanted = new_repository(name, {**self.tags, "Name": name})
        described = existing.get(name)
        if described is None:
            with _told("ecr:CreateRepository"):
                described = self._create(wanted)
        self._mend(described, wanted)

    def _create(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return self.ecr.create_repository(**wanted)["repository"]
        except ClientError as refused:
            # The webhook's copier may have been faster.
            if error_code(refused) != "RepositoryAlreadyExistsException":
                raise
            names = [wanted["repositoryName"]]
            return self.ecr.describe_repositories(repositoryNames=names)["repositories"][0]

    def _mend(self, described: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
        name, arn = described["repositoryName"], described["repositoryArn"]
        tagging, scanning = wanted["imageTagMutability"], wanted["imageScanningConfiguration"]
        if described.get("imageTagMutability") != tagging:
            with _told("ecr:PutImageTagMutability"):
                self.ecr.put_image_tag_mutability(repositoryName=name, imageTagMutability=tagging)
        if not described.get("imageScanningConfiguration", {}).get("scanOnPush"):
            with _told("ecr:PutImageScanningConfiguration"):
                self.ecr.put_image_scanning_configuration(
                    repositoryName=name, imageScanningConfiguration=scanning
                )
        with _told("ecr:ListTagsForResource"):
            present = self.ecr.list_tags_for_resource(resourceArn=arn)["tags"]
        lacking = [tag for tag in wanted["tags"] if tag not in present]
        if lacking:
            with _told("ecr:TagResource"):
                self.ecr.tag_resource(resourceArn=arn, tags=lacking)
        # Written without a look: the text ECR gives back is not the text it was given.
        with _told("ecr:PutLifecyclePolicy"):
            self.ecr.put_lifecycle_policy(
                repositoryName=name, lifecyclePolicyText=json.dumps(lifecycle_policy())
            )


def past_half(login: Login, since: datetime, now: datetime) -> bool:
    """Is it time to log in again?"""
    return now - since > (login.expires - since) / 2


@contextmanager
def _told(call: str) -> Generator[None]:
    """Only AWS's short code is told: its sentence may quote a request."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise Refused(
            f"AWS does not answer {call} ({error_code(error)}): look at AWS_PROFILE, at the "
            "credentials and at what they may do."
        ) from None
