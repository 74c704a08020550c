"""The images being copied, and the result of each last copy: one row per image in DynamoDB.

A row is valid until ``expires`` (epoch seconds, also the table's TTL attribute). Its copy is under
way (neither ``reason`` nor ``digest``), has failed (``reason``), or is there and was compared with
its source (``digest``). TTL deletion may take days, so conditions compare the time itself.

The build that copies writes ``reason`` and ``digest``, with the expressions of this module
(``components.mirror.buildspec``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from botocore.exceptions import ClientError

from webhook.admission import Copy, Presence
from webhook.copy_reasons import CopyReason, words

RETRY_SECONDS = 120
"""The pause after a copy that failed; doubled after each further attempt."""
MOST_ATTEMPTS = 8
"""Copies of one image that admissions request before a person has to. The count ends with its row,
which DynamoDB removes within days after its end."""

# The pause doubles by adding it to itself, so that the record of a failure is one call, without
# arithmetic and without a read before it.
_CLAIM = (
    "SET expires = :end, backoff = if_not_exists(backoff, :half) + if_not_exists(backoff, :half) "
    "ADD attempts :one REMOVE reason, digest"
)
_FREE = (
    "attribute_not_exists(expires) OR "
    "(expires < :now AND (attribute_not_exists(attempts) OR attempts < :most))"
)
_GONE = f"attribute_exists(digest) OR {_FREE}"
FAILED = "SET reason = :reason, expires = :now + if_not_exists(backoff, :first)"
"""Update expression: a copy failed at ``:now``, because of ``:reason``."""
COPIED = "SET digest = :digest, expires = :end REMOVE attempts, backoff, reason"
"""Update expression: the copy is ``:digest``; it is compared with its source again after ``:end``.
"""


@dataclass(frozen=True)
class Claims:
    """The rows of one table.

    Attributes:
        client: boto3's DynamoDB client of the table's region.
        table: its name.
        seconds: how long a copy may take; a claim ends then, whatever became of the copy.
        clock: epoch seconds.
    """

    client: Any
    table: str
    seconds: int
    clock: Callable[[], float] = time.time

    def take(self, image: str, *, there: bool = False) -> Copy | None:
        """Claims ``image`` for this caller; returns None, or the state of a copy claimed before.

        Exactly one of any number of concurrent callers gets None, until the row expires.

        Args:
            image: the source.
            there: a copy exists and is to be compared with its source; otherwise the row of a
                former copy does not prevent the claim.
        """
        now = int(self.clock())
        values = {
            ":end": now + self.seconds,
            ":half": RETRY_SECONDS // 2,
            ":now": now,
            ":one": 1,
            ":most": MOST_ATTEMPTS,
        }
        try:
            self._update(
                image,
                _CLAIM,
                {name: {"N": str(value)} for name, value in values.items()},
                ConditionExpression=_FREE if there else _GONE,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as refused:
            if error_code(refused) != "ConditionalCheckFailedException":
                raise
            row: dict[str, Any] = cast("dict[str, Any]", refused.response).get("Item") or {}
            return _state(row, now)
        return None

    def renew(self, image: str) -> None:
        """Extends the claim of a copy that has begun (perhaps at a second attempt)."""
        end = {":end": {"N": str(int(self.clock()) + self.seconds)}}
        self._update(image, "SET expires = :end REMOVE reason", end)

    def fail(self, image: str, reason: CopyReason) -> None:
        """Records why a copy failed; the image may be claimed again after the pause."""
        values = {
            ":reason": {"S": reason.value},
            ":now": {"N": str(int(self.clock()))},
            ":first": {"N": str(RETRY_SECONDS)},
        }
        self._update(image, FAILED, values)

    def _update(self, image: str, expression: str, values: Mapping[str, Any], **more: Any) -> None:
        self.client.update_item(
            TableName=self.table,
            Key={"image": {"S": image}},
            UpdateExpression=expression,
            ExpressionAttributeValues=values,
            **more,
        )


def _state(row: Mapping[str, Any], now: int) -> Copy:
    reason = reason_of(row)
    attempts = int(row.get("attempts", {}).get("N", 1))
    if attempts >= MOST_ATTEMPTS and int(row.get("expires", {}).get("N", now)) < now:
        last = f", the last time because {reason}" if reason else ""
        attempted = f"tried {MOST_ATTEMPTS} times{last}: copy it with `./kf images mirror`"
        return Copy(Presence.FAILED, attempted)
    return Copy(Presence.FAILED if reason else Presence.COPYING, reason)


def reason_of(row: Mapping[str, Any]) -> str:
    """Why the last copy failed, in words; empty where it did not."""
    stored = row.get("reason", {}).get("S", "")
    return words(stored) if stored else ""


def error_code(failure: Exception) -> str:
    """The error's own short name; its text may quote a request, and with it a secret."""
    if isinstance(failure, ClientError):
        response: dict[str, Any] = cast("dict[str, Any]", failure.response)
        return str(response.get("Error", {}).get("Code", "ClientError"))
    return type(failure).__name__
