"""Bounds of what pods may ask of the mirror, and the rows that count across replicas.

A budget is a row of the table of copies whose key no image has (``#`` begins no reference). It is
raised by one write with a condition, so any number of handlers and builds count exactly, and it
ends by the table's TTL. Rows are written only for copies that begin: an image that is present, or
claimed already, costs none.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

HOUR, DAY = 3600, 86400
LOOKUP_SECONDS = 1.0
"""The time that one review may spend on AWS, if its deadline is not sooner: the API server goes on
without an answer after seconds."""
REVIEWS_A_MINUTE = 12
"""Reviews of the most images, of which one namespace may have so many in a minute and process."""
SHARE = 2
"""One namespace may hold 1/SHARE of the copies that run at once, and of the bytes of a day."""

COUNT = "ADD amount :more SET expires = :end"
"""Update expression of a budget's row: ``:more`` of it are used; it ends at ``:end``."""
BELOW = "attribute_not_exists(amount) OR amount <= :room"
"""Condition beside COUNT: not more than ``:room`` was used, which is the budget less ``:more``."""
_PER_REVIEW = (
    "a pod may name {} images that this account's registry is asked for "
    "(imageMirror.budgets.imagesPerReview): split the pod"
)
_PER_HOUR = (
    "namespace {} has had {} new images copied in this hour "
    "(imageMirror.budgets.newImagesPerHour): create the pod again after {}"
)
_PER_MINUTE = (
    "namespace {} has had {} images looked up in this minute "
    "(imageMirror.budgets.imagesPerReview): create the pod again in a minute"
)
_NO_TIME = "the time of this review ended before: create the pod again"
_WAITS = "it waits for one of the {} copies that run at once (imageMirror.budgets.concurrentCopies)"
_PER_DAY = (
    "the copies of this day have used up {} GiB of imageMirror.budgets.gibPerDay: "
    "create the pod again after {}"
)
_PER_SHARE = (
    "namespace {} has had its share of the {} GiB of imageMirror.budgets.gibPerDay copied on this "
    "day: create the pod again after {}"
)


@dataclass(frozen=True, kw_only=True)
class Budgets:
    """The budgets of one stack; attributes as in the settings ``imageMirror.budgets``.

    Attributes:
        images_per_review: images of one object that AWS is asked for.
        new_images_per_hour: copies of absent images that the pods of one namespace start in an
            hour of the clock, and as many comparisons of old copies with their sources.
        concurrent_copies: copies that run at once, of which one namespace has half.
        gib_per_day: GiB that all copies of a day (UTC) may have, of which one namespace has half.
    """

    images_per_review: int = 50
    new_images_per_hour: int = 100
    concurrent_copies: int = 20
    gib_per_day: int = 2000

    @classmethod
    def read(cls, text: str) -> Budgets:
        """Reads a JSON object of some of the attributes, in camel case as in the settings.

        Raises:
            ValueError: it is no object of whole numbers above zero.
        """
        given = json.loads(text)
        names = {_camel(each.name): each.name for each in fields(cls)}
        if not isinstance(given, dict):
            raise ValueError("the budgets are no JSON object")
        numbers: dict[str, int] = {}
        for key, value in given.items():
            if key not in names or type(value) is not int or value < 1:
                raise ValueError(f"{key} is no budget, or its number is not above zero")
            numbers[names[key]] = value
        return replace(cls(), **numbers)

    @property
    def share_of_copies(self) -> int:
        """The copies that one namespace may run at once."""
        return max(1, -(-self.concurrent_copies // SHARE))

    def waits(self) -> str:
        """Why a copy has not begun yet."""
        return _WAITS.format(self.concurrent_copies)

    def bytes_used_up(self, now: float) -> str:
        """Why a copy is left for the next day."""
        return _PER_DAY.format(self.gib_per_day, _clock_time(_end(now, DAY)))

    def share_used_up(self, namespace: str, now: float) -> str:
        """Why a copy is left for the next day, or for another namespace."""
        return _PER_SHARE.format(namespace, self.gib_per_day, _clock_time(_end(now, DAY)))


DEFAULT = Budgets()


@dataclass
class Review:
    """What one admission review may still ask of AWS.

    Attributes:
        namespace: of the object that is judged.
        most: images that may be looked up.
        looked_up: those that were.
        logged: sentences that the log has of this review, one for all of its images.
    """

    namespace: str = ""
    most: int = Budgets.images_per_review
    looked_up: int = 0
    logged: set[str] = field(default_factory=set[str])
    _end: float | None = None

    def refusal(self, now: float, deadline: float) -> str:
        """Counts one more image to look up at ``now``; returns why it is not, or nothing."""
        if self._end is None:
            self._end = min(deadline, now + LOOKUP_SECONDS)
        if self.looked_up >= self.most:
            return _PER_REVIEW.format(self.most)
        if now >= self._end:
            return _NO_TIME
        self.looked_up += 1
        return ""


class LookUps:
    """Counts how often AWS is asked for the pods of each namespace, in this process.

    New names are cheap, and every one would be a call to ECR: the calls of an account and region
    have a limit, which all namespaces share.
    """

    def __init__(self, budgets: Budgets) -> None:
        self._most = REVIEWS_A_MINUTE * budgets.images_per_review
        self._minute, self._used = 0, dict[str, int]()
        self._counting = threading.Lock()

    def refusal(self, namespace: str, now: float) -> str:
        """Counts one more image to look up at ``now``; returns why it is not, or nothing."""
        with self._counting:
            if int(now // 60) != self._minute:
                self._minute, self._used = int(now // 60), {}
            used = self._used.get(namespace, 0)
            if used >= self._most:
                return _PER_MINUTE.format(namespace, self._most)
            self._used[namespace] = used + 1
        return ""


class NewImages:
    """Counts the images of each namespace and hour, for which builds start, in the table of copies.

    Args:
        client: boto3's DynamoDB client of the table's region.
        table: its name.
        budgets: of the stack.
        key: of the row that counts; those of new images and of comparisons are apart.
    """

    def __init__(
        self,
        client: Any,
        table: str,
        budgets: Budgets,
        key: Callable[[str, float], str] | None = None,
    ) -> None:
        self._client, self._table, self._budgets = client, table, budgets
        self._key = key or hour_key
        self._met: dict[str, tuple[float, str]] = {}

    def met(self, namespace: str, now: float) -> str:
        """The sentence of a budget that this process has seen met; empty: none is known."""
        end, sentence = self._met.get(namespace, (0.0, ""))
        return sentence if now < end else ""

    def spend(self, namespace: str, now: float) -> str:
        """Counts one new image; returns a sentence instead where the budget is met.

        Raises:
            ClientError, BotoCoreError: the table gave no answer; nothing was counted.
        """
        most, end = self._budgets.new_images_per_hour, _end(now, HOUR)
        try:
            self._client.update_item(
                **counting(self._table, self._key(namespace, now), 1, most, end)
            )
        except ClientError as refused:
            if refused.response.get("Error", {}).get("Code") != "ConditionalCheckFailedException":
                raise
        else:
            return ""
        sentence = _PER_HOUR.format(namespace, most, _clock_time(end))
        self._met = {key: value for key, value in self._met.items() if value[0] > now}
        self._met[namespace] = (end, sentence)
        return sentence


def counting(table: str, key: str, more: int, most: int, end: float) -> dict[str, Any]:
    """The UpdateItem request that uses ``more`` of a budget of ``most``, or fails its condition."""
    numbers = {":more": more, ":room": most - more, ":end": int(end) + DAY}
    return {
        "TableName": table,
        "Key": {"image": {"S": key}},
        "UpdateExpression": COUNT,
        "ConditionExpression": BELOW,
        "ExpressionAttributeValues": {name: {"N": str(number)} for name, number in numbers.items()},
    }


def hour_key(namespace: str, now: float) -> str:
    """The row that counts the new images of a namespace in the hour of ``now``."""
    return f"#new/{namespace}/{datetime.fromtimestamp(now, UTC):%Y-%m-%dT%H}"


def compared_key(namespace: str, now: float) -> str:
    """The row that counts the copies that a namespace has compared with their sources."""
    return hour_key(namespace, now).replace("#new/", "#compared/", 1)


def same_hour(one: float, other: float) -> bool:
    """Whether both times have the same row of ``hour_key``."""
    return one // HOUR == other // HOUR


def _end(now: float, seconds: int) -> int:
    return (int(now) // seconds + 1) * seconds


def _clock_time(end: float) -> str:
    return f"{datetime.fromtimestamp(end, UTC):%H:%M} UTC"


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
