"""Starts the copy of one image: one build in the global region, which makes its repository.

Which image is next, and when, is ``copy_queue``'s.

Runs behind an asynchronous invocation, never inside an admission, and is the only part that reads
the credentials of the other partition. The build: ``components/mirror/build.py``.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from images.reference import Reference, parse
from webhook.claims import Claims, error_code, passing
from webhook.copy_reasons import CopyReason, words
from webhook.mirror import copy_name

log = logging.getLogger(__name__)

MADE, USED = "made", "used"
"""Values of the tag with which a stack marks a repository."""
_STACK_TAG = "kubeflow-cluster/"


def stack_tag(cluster: str) -> str:
    """The key of the tag with which the stack of a cluster marks a repository."""
    return f"{_STACK_TAG}{cluster}"


def marks_of(tags: Mapping[str, str]) -> dict[str, str]:
    """Cluster -> MADE or USED, for each stack that has marked the repository with these tags."""
    return {
        key.removeprefix(_STACK_TAG): value
        for key, value in tags.items()
        if key.startswith(_STACK_TAG)
    }


@dataclass(frozen=True, kw_only=True)
class CopyJob:
    """How copies are started in one stack.

    Attributes:
        builds: makes boto3's CodeBuild client of the global region; called per copy, so that
            rotated credentials take effect.
        claims: the table of copies.
        project: the CodeBuild project's name.
        registry: ``<ecr host>/<prefix>``.
        known: copy -> the digest that its source is known to have (``inventory.load``).
    """

    builds: Callable[[], Any]
    claims: Claims
    project: str
    registry: str
    known: Mapping[str, str | None] = field(default_factory=dict[str, "str | None"])

    def start(self, image: str, *, namespace: str = "", asked: int = 0) -> str:
        """Starts the copy of ``image``; returns the build's id.

        Args:
            image: a claimed source.
            namespace: that asked for it.
            asked: when, in epoch seconds.

        Raises:
            InvalidReference: ``image`` is no image reference.
            ClientError, BotoCoreError: AWS refused. For now (``claims.passing``): nothing is
                recorded, and the image waits on. Else the claim ends with the reason, for a later
                attempt.
        """
        source = parse(image)
        try:
            build = self.builds().start_build(
                projectName=self.project,
                environmentVariablesOverride=overrides(
                    [source], self.registry, known=self.known, namespace=namespace
                ),
                # CodeBuild answers a token that it got in the last minutes with the build that it
                # started then; a later claim of the image needs a build of its own.
                idempotencyToken=hashlib.sha256(f"{source} {asked}".encode()).hexdigest(),
            )
        except (ClientError, BotoCoreError) as failure:
            if not passing(failure):
                log.error("%s: %s (%s)", image, words(CopyReason.NOT_STARTED), error_code(failure))
                self.claims.fail(image, CopyReason.NOT_STARTED)
            raise
        self.claims.start(image, namespace)
        identifier = str(build["build"]["id"])
        log.info("copying %s in build %s", image, identifier)
        return identifier


def overrides(
    sources: Iterable[Reference],
    registry: str,
    *,
    known: Mapping[str, str | None] | None = None,
    namespace: str = "",
) -> list[dict[str, str]]:
    """The variables of one build, as StartBuild takes them; no secret.

    Args:
        sources: the images.
        registry: ``<ecr host>/<prefix>`` of their copies.
        known: copy -> the digest that its source must have; the target names it too.
        namespace: whose bytes they are; empty: the platform's own, which no budget counts.
    """
    digests = known or {}
    images = "\n".join(
        f"{source} {registry}/{name}{f'@{digest}' if digest else ''}"
        for source in sources
        for name in [copy_name(source)]
        for digest in [digests.get(name)]
    )
    variables = {"IMAGES": images, **({"NAMESPACE": namespace} if namespace else {})}
    return [
        {"name": name, "value": value, "type": "PLAINTEXT"} for name, value in variables.items()
    ]


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
