"""Starts the copy of one image: a repository to hold it, then one build in the global region.

Runs behind an asynchronous invocation, never inside an admission, and is the only part that reads
the credentials of the other partition. The build itself is described in
``components/mirror/build.py``.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from images.reference import Reference, parse
from webhook.claims import Claims, error_code
from webhook.mirror import target_tag

log = logging.getLogger(__name__)


class RegistryClient(Protocol):
    """The part of boto3's ECR client that creates a repository."""

    def create_repository(self, **request: Any) -> dict[str, Any]: ...

    def put_lifecycle_policy(self, **request: Any) -> dict[str, Any]: ...


class BuildClient(Protocol):
    """The part of boto3's CodeBuild client that starts a build."""

    def start_build(self, **request: Any) -> dict[str, Any]: ...


@dataclass(frozen=True, kw_only=True)
class CopyJob:
    """How copies are started in one stack.

    Attributes:
        ecr: client of the registry's region.
        builds: makes the CodeBuild client of the global region; called per copy, so that rotated
            credentials are picked up.
        claims: the in-flight table, told when a copy cannot be started.
        project: the CodeBuild project's name.
        registry: ``<ecr host>/<prefix>``.
        lifecycle: the lifecycle policy (JSON) of a new repository; empty for none.
        tags: of a new repository.
    """

    ecr: RegistryClient
    builds: Callable[[], BuildClient]
    claims: Claims
    project: str
    registry: str
    lifecycle: str = ""
    tags: Mapping[str, str] = field(default_factory=dict[str, str])

    def start(self, image: str) -> str:
        """Starts the copy of ``image``; returns the build's id.

        Raises:
            InvalidReference: ``image`` is no image reference.
            ClientError, BotoCoreError: AWS refused; the claim is released for a later attempt and
                the reason kept for people to read.
        """
        source = parse(image)
        try:
            self._ensure_repository(source)
            build = self.builds().start_build(
                projectName=self.project,
                environmentVariablesOverride=overrides([source], self.registry),
                # CodeBuild itself answers a repeated token with the build it has already started.
                idempotencyToken=_token(source),
            )
        except (ClientError, BotoCoreError) as failure:
            reason = f"the copy could not be started ({error_code(failure)})"
            log.error("%s: %s", image, reason)
            self.claims.fail(image, reason)
            raise
        self.claims.renew(image)
        identifier = str(build["build"]["id"])
        log.info("copying %s in build %s", image, identifier)
        return identifier

    def _ensure_repository(self, source: Reference) -> None:
        prefix = self.registry.partition("/")[2]
        name = f"{prefix}/{source.mirrored_repository}"
        try:
            self.ecr.create_repository(**new_repository(name, self.tags))
        except ClientError as refused:
            if error_code(refused) != "RepositoryAlreadyExistsException":
                raise
            return
        if self.lifecycle:
            self.ecr.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=self.lifecycle)


def variables(sources: Iterable[Reference], registry: str) -> dict[str, str]:
    """What one build is told: each image to copy, and where to. No secret is ever among them."""
    return {
        "IMAGES": "\n".join(
            f"{source} {registry}/{source.mirrored_repository}:{target_tag(source)}"
            for source in sources
        )
    }


def overrides(sources: Iterable[Reference], registry: str) -> list[dict[str, str]]:
    """``variables`` as CodeBuild's StartBuild takes them."""
    told = variables(sources, registry)
    return [{"name": name, "value": value, "type": "PLAINTEXT"} for name, value in told.items()]


def new_repository(
    name: str, tags: Mapping[str, str], mutability: str = "MUTABLE"
) -> dict[str, Any]:
    """ECR's CreateRepository request for copies."""
    return {
        "repositoryName": name,
        "imageTagMutability": mutability,
        "imageScanningConfiguration": {"scanOnPush": True},
        "encryptionConfiguration": {"encryptionType": "AES256"},
        "tags": [{"Key": key, "Value": value} for key, value in tags.items()],
    }


def stored_credentials(client: Any, secret: str) -> dict[str, str]:
    """boto3 arguments from a secret ``{"accessKeyId": ..., "secretAccessKey": ...}``.

    Raises:
        ValueError: the secret has another shape; the message does not quote it.
    """
    text = str(client.get_secret_value(SecretId=secret)["SecretString"])
    try:
        stored: dict[str, str] = json.loads(text)
        return {
            "aws_access_key_id": stored["accessKeyId"],
            "aws_secret_access_key": stored["secretAccessKey"],
        }
    except (ValueError, KeyError, TypeError):
        raise ValueError(
            "the credentials secret holds no accessKeyId and secretAccessKey"
        ) from None


def _token(source: Reference) -> str:
    return hashlib.sha256(str(source).encode()).hexdigest()
