"""What is known about copies: asks ECR, remembers briefly, and requests each missing copy once.

Admission waits for this module, so it only makes calls inside its own region: ``describe_images``
for the one image (never a list, which pages), one conditional write to claim a missing image, and
one asynchronous invocation of the function that starts the copy (``copy_job``). Nothing here waits
for a copy, and nothing here holds a credential of another partition.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

from botocore.exceptions import BotoCoreError, ClientError

from webhook.admission import Copy, Presence
from webhook.reference import Reference

log = logging.getLogger(__name__)

PRESENT_SECONDS = 300.0
"""How long a found copy is believed: a deleted image is noticed within five minutes."""
ABSENT_SECONDS = 15.0
"""How long a missing copy is believed: a finished copy is noticed within seconds."""
SILENT_SECONDS = 3.0
"""How long a registry that did not answer is not asked again: the API server waits five seconds for
a whole pod, and each of its images would wait for a time-out of its own."""
RETRY_SECONDS = 120
"""How long a copy that could not be started is left alone; twice as long after each further try."""
LONGEST_RETRY_SECONDS = 6 * 3600
MOST_ATTEMPTS = 8
"""Copies of one image that admissions ask for before they leave it to a person. The count ends with
its row, which DynamoDB removes within days after its end."""
_MOST_REMEMBERED = 4096


class EcrClient(Protocol):
    """The part of boto3's ECR client that admission uses."""

    def describe_images(self, **request: Any) -> dict[str, Any]: ...


class DynamoDbClient(Protocol):
    """The part of boto3's DynamoDB client that this module uses."""

    def update_item(self, **request: Any) -> dict[str, Any]: ...


def target_tag(source: Reference) -> str:
    """The tag a copy gets: its own, or one made of its digest.

    A digest always gets its own tag, even beside one: the tag may have moved on since, and an
    untagged copy would be swept away by the repository's lifecycle rule.
    """
    if source.digest:
        # Not "sha256-<hex>" alone: that name is taken by OCI 1.1 for an image's referrers.
        return f"digest-{source.digest.replace(':', '-')}"[:128]
    return source.tag or "latest"


def is_there(ecr: EcrClient, prefix: str, source: Reference) -> bool:
    """Does the account's registry hold the copy of ``source`` below ``prefix``?

    Raises:
        ClientError, BotoCoreError: the registry does not tell.
    """
    wanted = {"imageDigest": source.digest} if source.digest else {"imageTag": source.tag}
    try:
        ecr.describe_images(
            repositoryName=f"{prefix}/{source.mirrored_repository}", imageIds=[wanted]
        )
    except ClientError as refused:
        if error_code(refused) in ("ImageNotFoundException", "RepositoryNotFoundException"):
            return False
        raise
    return True


@dataclass(frozen=True)
class Claims:
    """Which images are being copied: one row per image in DynamoDB, each with an end.

    A row lives until ``expires`` (epoch seconds, also the table's TTL attribute). TTL deletion may
    take days, so the condition compares the time itself; a failed copy never blocks its image for
    longer than ``seconds``.
    """

    client: DynamoDbClient
    table: str
    seconds: int
    clock: Callable[[], float] = time.time

    def take(self, image: str) -> Copy | None:
        """Claims ``image`` for this caller; None when claimed, else what the present row says.

        Exactly one of any number of concurrent callers gets None, until the row expires.
        """
        now = int(self.clock())
        try:
            self.client.update_item(
                TableName=self.table,
                Key={"image": {"S": image}},
                UpdateExpression="SET expires = :end ADD attempts :one REMOVE reason",
                ConditionExpression="attribute_not_exists(expires) OR "
                "(expires < :now AND attempts < :most)",
                ExpressionAttributeValues={
                    ":end": {"N": str(now + self.seconds)},
                    ":now": {"N": str(now)},
                    ":one": {"N": "1"},
                    ":most": {"N": str(MOST_ATTEMPTS)},
                },
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as refused:
            if error_code(refused) != "ConditionalCheckFailedException":
                raise
            row: dict[str, Any] = cast("dict[str, Any]", refused.response).get("Item") or {}
            return _standing(row, now)
        return None

    def renew(self, image: str) -> None:
        """Holds the claim from now on, for a copy that has begun (perhaps at a second attempt)."""
        self.client.update_item(
            TableName=self.table,
            Key={"image": {"S": image}},
            UpdateExpression="SET expires = :end REMOVE reason",
            ExpressionAttributeValues={":end": {"N": str(int(self.clock()) + self.seconds)}},
        )

    def fail(self, image: str, reason: str) -> None:
        """Records why a copy could not be started; the image may be claimed again after a while."""
        key = {"image": {"S": image}}
        row = self.client.update_item(
            TableName=self.table,
            Key=key,
            UpdateExpression="SET reason = :reason",
            ExpressionAttributeValues={":reason": {"S": reason[:500]}},
            ReturnValues="ALL_NEW",
        )
        wait = min(
            RETRY_SECONDS * 2 ** (_attempts(row.get("Attributes")) - 1), LONGEST_RETRY_SECONDS
        )
        self.client.update_item(
            TableName=self.table,
            Key=key,
            UpdateExpression="SET expires = :end",
            ExpressionAttributeValues={":end": {"N": str(int(self.clock()) + wait)}},
        )


def _standing(row: Mapping[str, Any], now: int) -> Copy:
    """What a row that could not be claimed says."""
    reason = str(row.get("reason", {}).get("S", ""))
    if _attempts(row) >= MOST_ATTEMPTS and int(row.get("expires", {}).get("N", now)) < now:
        last = f", the last time because {reason}" if reason else ""
        tried = f"tried {MOST_ATTEMPTS} times{last}: copy it with `./kf images mirror`"
        return Copy(Presence.FAILED, tried)
    return Copy(Presence.FAILED if reason else Presence.COPYING, reason)


def _attempts(row: Mapping[str, Any] | None) -> int:
    return max(1, int((row or {}).get("attempts", {}).get("N", 1)))


class EcrMirror:
    """Answers ``admission.Mirror`` from ECR, with a short memory; for any number of threads.

    Args:
        ecr: a boto3 ECR client of the registry's own region.
        claims: the in-flight table.
        request: hands one image to whatever starts its copy; must return at once.
        prefix: the account's own repository prefix.
        clock: seconds, for the memory; monotonic.
    """

    def __init__(
        self,
        ecr: EcrClient,
        claims: Claims,
        request: Callable[[str], None],
        *,
        prefix: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ecr = ecr
        self._claims = claims
        self._request = request
        self._prefix = prefix
        self._clock = clock
        self._remembered: dict[str, tuple[float, Copy]] = {}
        self._silent: tuple[float, Copy] = (0.0, Copy(Presence.UNKNOWN))
        self._remembering = threading.Lock()

    def ask(self, source: Reference, *, start: bool) -> Copy:
        """See ``admission.Mirror.ask``; a failing AWS call is logged and answered as unknown."""
        key = str(source)
        known = self._recall(key)
        if known and not (start and known.presence is Presence.ABSENT):
            return known
        until, silence = self._silent
        if self._clock() < until:
            return silence
        try:
            if is_there(self._ecr, self._prefix, source):
                return self._remember(key, Copy(Presence.PRESENT), PRESENT_SECONDS)
            if not start:
                return self._remember(key, Copy(Presence.ABSENT), ABSENT_SECONDS)
            return self._remember(key, self._start(key), ABSENT_SECONDS)
        except (ClientError, BotoCoreError) as failure:
            log.warning("cannot tell whether %s is mirrored: %s", key, error_code(failure))
            silence = Copy(Presence.UNKNOWN, error_code(failure))
            self._silent = (self._clock() + SILENT_SECONDS, silence)
            return silence

    def _start(self, image: str) -> Copy:
        standing = self._claims.take(image)
        if standing:
            return standing
        try:
            self._request(image)
        except (ClientError, BotoCoreError) as failure:
            reason = f"the copy could not be requested ({error_code(failure)})"
            log.warning("%s: %s", image, reason)
            self._claims.fail(image, reason)
            return Copy(Presence.FAILED, reason)
        log.info("requested a copy of %s", image)
        return Copy(Presence.COPYING)

    def _recall(self, key: str) -> Copy | None:
        until, copy = self._remembered.get(key, (0.0, Copy(Presence.UNKNOWN)))
        return copy if self._clock() < until else None

    def _remember(self, key: str, copy: Copy, seconds: float) -> Copy:
        # Threads of the in-cluster server share this memory: a look at the oldest entry raises when
        # another thread adds one meanwhile.
        with self._remembering:
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.pop(next(iter(self._remembered)), None)
            self._remembered.pop(key, None)  # a renewed entry counts as young again
            self._remembered[key] = (self._clock() + seconds, copy)
        return copy


def asynchronous_request(client: Any, function: str) -> Callable[[str], None]:
    """A ``request`` that queues the image for the Lambda ``function`` (``copy_job``)."""

    def request(image: str) -> None:
        client.invoke(
            FunctionName=function,
            InvocationType="Event",
            Payload=json.dumps({"image": image}).encode(),
        )

    return request


def error_code(failure: Exception) -> str:
    """The error's own short name: its text may quote a request, and with it a secret."""
    if isinstance(failure, ClientError):
        response: dict[str, Any] = cast("dict[str, Any]", failure.response)
        return str(response.get("Error", {}).get("Code", "ClientError"))
    return type(failure).__name__
