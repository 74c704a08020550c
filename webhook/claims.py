"""The images being copied, and the result of each last copy: one row per image in DynamoDB.

A row is valid until ``expires`` (epoch seconds, also the table's TTL attribute). Its copy waits for
a build (``waiting``, the namespace that asked first; ``askers``, the others), is under way (neither
``waiting``, ``reason`` nor ``digest``), has failed (``reason``, a code of ``copy_reasons``), or is
there and was compared with its source (``digest``). ``claimant`` is whose budget the copy uses;
``last_reason`` stays while a copy that failed is tried again. TTL deletion may take days,
so conditions compare the time itself. Rows whose key begins with ``#`` are no images (``budgets``,
``copy_queue``).

The build that copies writes ``reason`` and ``digest``, with the expressions of this module
(``components.mirror.buildspec``), and before them ``begun``, which is an attempt: an image that
waited for a build, here or in CodeBuild's own queue, has used none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from botocore.exceptions import BotoCoreError, ClientError

from webhook.admission import Copy, Presence
from webhook.budgets import DEFAULT, Budgets, same_hour
from webhook.copy_reasons import CopyReason, reason_from, words

RETRY_SECONDS = 120
"""The pause after a copy that failed; doubled after each further attempt."""
MOST_ATTEMPTS = 8
"""Builds for one image that admissions request before a person has to. The count ends with its row,
which DynamoDB removes within days after its end, and binds whose pods made the last one: another
namespace may try once more, so that none uses up the attempts for a tag that is yet to come."""
WAITING_KEY = "#waiting"
"""The row that exists while images wait for a build, so that nobody looks for them otherwise."""
_LOOKING_SECONDS = 86400
_PASSING = {
    "AccountLimitExceededException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
    "TooManyRequestsException",
}
_MOST_ASKERS = 50
NOTICED_SECONDS = 60
"""An image that waits for a build longer than this is reported as waiting."""

_CLAIM = (
    "SET expires = :end, waiting = :namespace, claimant = :namespace, asked = :now "
    "REMOVE askers, begun, reason, digest"
)
BEGUN = (
    "SET begun = :now, "
    "backoff = if_not_exists(backoff, :half) + if_not_exists(backoff, :half) "
    "ADD attempts :one REMOVE waiting"
)
"""Update expression: a build works on the image since ``:now``, which is an attempt (``:one``). The
pause (at first twice ``:half``) doubles by adding it to itself, so that this is one call, without a
read before it."""
# Neither the used-up share of one namespace nor its attempts keep an image from another.
_FREE = (
    "attribute_not_exists(expires) OR (expires < :now AND "
    "(attribute_not_exists(attempts) OR attempts < :most OR claimant <> :namespace)) OR "
    "(reason = :share AND claimant <> :namespace)"
)
_GONE = f"attribute_exists(digest) OR {_FREE}"
FAILED = (
    "SET reason = :reason, last_reason = :reason, expires = :now + if_not_exists(backoff, :first) "
    "REMOVE waiting"
)
"""Update expression: a copy failed at ``:now``, because of ``:reason``."""
COPIED = (
    "SET digest = :digest, source_digest = :source, expires = :end "
    "REMOVE attempts, backoff, begun, last_reason, reason, waiting"
)
"""Update expression: the copy is ``:digest``; it is compared with its source again after ``:end``.
"""
POSTPONED = "SET reason = :reason, expires = :end REMOVE waiting ADD attempts :less"
"""Update expression: the copy waits until ``:end`` because of ``:reason``; ``:less`` is -1, for the
build was no attempt after all."""


@dataclass(frozen=True)
class Taken:
    """A claim of this caller.

    Attributes:
        again: the same image was claimed before in the same hour, and counted there.
        code: why the copy failed the last time; empty: it did not.
    """

    again: bool = False
    code: str = ""


@dataclass(frozen=True)
class Claims:
    """The rows of one table.

    Attributes:
        client: boto3's DynamoDB client of the table's region.
        table: its name.
        seconds: how long a copy may take; a claim ends then, whatever became of the copy.
        clock: epoch seconds.
        budgets: of the stack, for sentences.
    """

    client: Any
    table: str
    seconds: int
    clock: Callable[[], float] = time.time
    budgets: Budgets = DEFAULT

    def take(self, image: str, *, namespace: str = "", there: bool = False) -> Taken | Copy:
        """Claims ``image`` for this caller, or returns the state of a copy claimed before.

        Exactly one of any number of concurrent callers gets the claim, until the row expires.

        Args:
            image: the source.
            namespace: asks for it, and shares the builds fairly with the others.
            there: a copy exists and is to be compared with its source; otherwise the row of a
                former copy does not prevent the claim.
        """
        now = int(self.clock())
        values = {
            **_numbers({":end": now + self.seconds, ":now": now, ":most": MOST_ATTEMPTS}),
            ":namespace": {"S": namespace},
            ":share": {"S": CopyReason.SHARE},
        }
        try:
            response = self._update(
                image,
                _CLAIM,
                values,
                ConditionExpression=_FREE if there else _GONE,
                ReturnValues="ALL_OLD",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as refused:
            if error_code(refused) != "ConditionalCheckFailedException":
                raise
            row: dict[str, Any] = cast("dict[str, Any]", refused.response).get("Item") or {}
            self._wait_too(image, namespace, row)
            return self._state(row, now)
        row = response.get("Attributes") or {}
        asked = _number(row, "asked")
        counted = bool(asked) and same_hour(asked, now) and _claimant(row) in ("", namespace)
        return Taken(counted, _last_code(row))

    def _wait_too(self, image: str, namespace: str, row: Mapping[str, Any]) -> None:
        """Has an image that waits for another namespace's turn wait for this one's, too."""
        askers = row.get("askers", {}).get("SS", [])
        waits = row.get("waiting", {}).get("S", namespace)
        if not namespace or namespace in (waits, *askers) or len(askers) >= _MOST_ASKERS:
            return
        values = {":askers": {"SS": [namespace]}}
        condition = "attribute_exists(waiting)"
        try:
            self._update(image, "ADD askers :askers", values, ConditionExpression=condition)
        except ClientError as refused:
            if error_code(refused) != "ConditionalCheckFailedException":
                raise

    def look(self, image: str, *, there: bool = False, namespace: str = "") -> Copy | None:
        """The state of a copy claimed before; None: ``take`` would claim it. Writes nothing."""
        key = {"image": {"S": image}}
        response = self.client.get_item(TableName=self.table, Key=key, ConsistentRead=True)
        row: dict[str, Any] = response.get("Item") or {}
        now = int(self.clock())
        others = _claimant(row) not in ("", namespace)
        left = _number(row, "attempts") < MOST_ATTEMPTS or others
        free = "expires" not in row or (_number(row, "expires") < now and left)
        share = row.get("reason", {}).get("S") == CopyReason.SHARE
        if free or ("digest" in row and not there) or (share and others):
            return None
        return self._state(row, now)

    def release(self, image: str) -> None:
        """Ends the claim of a copy that is not requested after all."""
        end = _numbers({":end": int(self.clock()) - 1})
        self._update(image, "SET expires = :end REMOVE waiting, asked", end)

    def wait(self, image: str) -> None:
        """Extends the claim of an image that goes on waiting for a build."""
        self._update(image, "SET expires = :end", self._end())

    def start(self, image: str, namespace: str) -> None:
        """Records that CodeBuild has taken a build for a claimed image, for that namespace."""
        values = {**self._end(), ":namespace": {"S": namespace}}
        expression = "SET expires = :end, claimant = :namespace REMOVE waiting, reason"
        self._update(image, expression, values)

    def wait_again(self, image: str, namespace: str, expires: int) -> None:
        """Has an image wait again whose build never began, unless its row changed since."""
        values = {
            **self._end(),
            **_numbers({":seen": expires}),
            ":namespace": {"S": namespace},
        }
        try:
            self._update(
                image,
                "SET expires = :end, waiting = :namespace",
                values,
                ConditionExpression="attribute_not_exists(waiting) AND expires = :seen",
            )
        except ClientError as refused:
            if error_code(refused) != "ConditionalCheckFailedException":
                raise

    def fail(self, image: str, reason: CopyReason) -> None:
        """Records why no build was started, as an attempt; it is claimed again after the pause."""
        values = {
            ":reason": {"S": reason.value},
            **_numbers({":now": int(self.clock()), ":first": RETRY_SECONDS}),
        }
        attempt = {":half": RETRY_SECONDS // 2, ":one": 1, ":now": int(self.clock())}
        self._update(image, BEGUN, _numbers(attempt))
        self._update(image, FAILED, values)

    def call_later(self) -> None:
        """Has the copier look for waiting images by itself (``copy_queue``)."""
        values = _numbers({":end": int(self.clock()) + _LOOKING_SECONDS, ":one": 1})
        self._update(WAITING_KEY, "SET expires = :end ADD marks :one", values)

    def _end(self) -> dict[str, Any]:
        return _numbers({":end": int(self.clock()) + self.seconds})

    def _update(
        self, image: str, expression: str, values: Mapping[str, Any], **more: Any
    ) -> dict[str, Any]:
        return self.client.update_item(
            TableName=self.table,
            Key={"image": {"S": image}},
            UpdateExpression=expression,
            ExpressionAttributeValues=values,
            **more,
        )

    def _state(self, row: Mapping[str, Any], now: int) -> Copy:
        reason, code = self._sentence(row), _last_code(row)
        if _number(row, "attempts") >= MOST_ATTEMPTS and _number(row, "expires") < now:
            last = f", the last time because {reason}" if reason else ""
            attempted = f"tried {MOST_ATTEMPTS} times{last}: copy it with `./kf images mirror`"
            return Copy(Presence.FAILED, attempted, code)
        if reason:
            return Copy(Presence.FAILED, reason, code)
        late = "waiting" in row and now - _number(row, "asked") > NOTICED_SECONDS
        return Copy(Presence.COPYING, self.budgets.waits() if late else "", code)

    def _sentence(self, row: Mapping[str, Any]) -> str:
        match row.get("reason", {}).get("S"):
            case CopyReason.BUDGET:
                return self.budgets.bytes_used_up(self.clock())
            case CopyReason.SHARE:
                return self.budgets.share_used_up(_claimant(row), self.clock())
            case _:
                return reason_of(row)


def _numbers(values: Mapping[str, int]) -> dict[str, Any]:
    return {name: {"N": str(value)} for name, value in values.items()}


def _number(row: Mapping[str, Any], name: str) -> int:
    return int(row.get(name, {}).get("N", 0))


def _claimant(row: Mapping[str, Any]) -> str:
    return row.get("claimant", {}).get("S", "")


def _last_code(row: Mapping[str, Any]) -> str:
    """The code of the last failure, also while the copy is tried again; empty: there was none."""
    stored = row.get("last_reason", {}).get("S", "")
    return reason_from(stored).value if stored else ""


def reason_of(row: Mapping[str, Any]) -> str:
    """Why the last copy failed, in words; empty where it did not."""
    stored = row.get("reason", {}).get("S", "")
    return words(stored) if stored else ""


def passing(failure: Exception) -> bool:
    """Whether AWS would not do it now, but may later: too many requests, or no answer."""
    if not isinstance(failure, ClientError):
        return isinstance(failure, BotoCoreError)
    response: dict[str, Any] = cast("dict[str, Any]", failure.response)
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    return status == 429 or status >= 500 or error_code(failure) in _PASSING


def error_code(failure: Exception) -> str:
    """The error's own short name; its text may quote a request, and with it a secret."""
    if isinstance(failure, ClientError):
        response: dict[str, Any] = cast("dict[str, Any]", failure.response)
        return str(response.get("Error", {}).get("Code", "ClientError"))
    return type(failure).__name__
