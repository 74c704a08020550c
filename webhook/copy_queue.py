"""Which waiting image gets a build next: as many run at once as the budget says, shared fairly.

An image waits as its claim's row, so nothing is lost when a function ends, and an image that waits
uses no attempt. The places of the running copies are one row, changed under a condition: of any
number of functions that run at once, none starts a copy more. A place is free again when its
image's row has a result, or when its claim ends without one. An image whose build never began, for
instance because CodeBuild dropped it from its own queue, waits again.

The function runs once per requested image and, while the row ``WAITING_KEY`` exists, looks for all
images that wait. CodeBuild's own queue would not do: it is five times the account's quota, its
order is not defined, and a full one refuses (docs.aws.amazon.com/codebuild/latest/userguide/
builds-working.html); with a project's concurrent build limit there is no queue at all.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from images.reference import InvalidReference
from webhook.budgets import Budgets
from webhook.claims import WAITING_KEY, Claims, error_code, passing
from webhook.copy_reasons import CopyReason

log = logging.getLogger(__name__)

COPIES_KEY = "#copies"
"""The row of the places: ``running``, a map of image -> namespace and time."""
WANTED_SECONDS = 6 * 3600
"""How long an image waits for a build; whoever asks for it later claims it again."""
_STARTING_SECONDS = 120  # of the function that holds a place, between place and build
_BEGINNING_SECONDS = 600  # of a machine and its tools, after a quarter of the claim in the queue
_SETTLED_SECONDS = 5  # a younger claim may still be given back by the admission that made it
_MOST_KEYS = 100  # of BatchGetItem
_CONFLICTS = 10


class Starter(Protocol):
    """``copy_job.CopyJob``."""

    def start(self, image: str, *, namespace: str = "", asked: int = 0) -> str:
        """Starts one copy; see ``copy_job.CopyJob.start``."""
        ...


@dataclass(frozen=True)
class Waiting:
    """An image without a build.

    Attributes:
        image: the source.
        namespace: that asked for it.
        asked: when, in epoch seconds.
        expires: end of its claim.
        others: namespaces that asked for it later.
    """

    image: str
    namespace: str
    asked: int
    expires: int = 0
    others: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Place:
    """One copy that runs.

    Attributes:
        namespace: for which.
        since: epoch seconds.
    """

    namespace: str
    since: int


def fair(
    waiting: Iterable[Waiting], running: Iterable[str], most: int, share: int
) -> list[Waiting]:
    """The images whose copies begin now.

    The namespace with the fewest copies is next, and in it the image that was asked for first; no
    namespace gets more than ``share``, so that one more need not wait for the end of a slow copy.
    An image for which several asked is copied for the first whose turn it is.

    Args:
        waiting: candidates.
        running: the namespace of each copy that runs.
        most: copies that may run at once.
        share: those of one namespace.
    """
    held = Counter(running)
    queues: defaultdict[str, deque[Waiting]] = defaultdict(deque)
    for each in sorted(waiting, key=lambda one: (one.asked, one.image)):
        for name in sorted({each.namespace, *each.others}):
            queues[name].append(each)
    taken: set[str] = set()
    chosen: list[Waiting] = []
    while held.total() < most:
        for queue in queues.values():
            while queue and queue[0].image in taken:
                queue.popleft()
        able = [name for name, queue in queues.items() if queue and held[name] < share]
        if not able:
            break
        name = min(able, key=lambda one: (held[one], queues[one][0].asked))
        held[name] += 1
        each = queues[name].popleft()
        taken.add(each.image)
        chosen.append(replace(each, namespace=name))
    return chosen


@dataclass(frozen=True, kw_only=True)
class CopyQueue:
    """The images that wait in one table.

    Attributes:
        claims: the table.
        job: starts a copy.
    """

    claims: Claims
    job: Starter

    def run(self, image: str = "") -> tuple[int, int]:
        """Starts copies of waiting images; returns how many, and how many go on waiting.

        Args:
            image: one that was just claimed; empty: none in particular.

        Raises:
            ClientError, BotoCoreError: the table gave no answer.
        """
        rows = self._rows([WAITING_KEY, *([image] if image else [])])
        now = int(self.claims.clock())
        mark = rows.get(WAITING_KEY, {})
        looking = _number(mark, "expires") > now
        running = self._still_running(now) if looking else 0
        found = {each.image: each for each in (self._waiting(now) if looking else ())}
        if image and _waits(rows.get(image, {}), now):
            found[image] = _waiting(rows[image])
        begun = self._start(found.values(), now)
        left = [each for each in found.values() if each.image not in begun]
        for each in left:
            self._keep(each, now)
        if found and not looking:
            self.claims.call_later()
        elif looking and not found and not running:
            self._nobody_waits(mark)
        if found:
            log.info("%d copies begun, %d images wait", len(begun), len(left))
        return len(begun), len(left)

    def _start(self, waiting: Iterable[Waiting], now: int) -> set[str]:
        """Starts what may start; returns the images that wait no longer."""
        ended: set[str] = set()
        without_build: set[str] = set()
        refused = False
        for each in self._take_places(list(waiting), now):
            if refused:
                without_build.add(each.image)
                continue
            try:
                self.job.start(each.image, namespace=each.namespace, asked=each.asked)
            except InvalidReference:
                self.claims.fail(each.image, CopyReason.NOT_STARTED)
                without_build.add(each.image)
            except (ClientError, BotoCoreError) as failure:
                without_build.add(each.image)
                refused = passing(failure)
                if refused:
                    log.warning("no build is started now: %s", error_code(failure))
                    continue
            ended.add(each.image)
        if without_build:
            self._free_places(without_build, now)
        return ended

    def _keep(self, waiting: Waiting, now: int) -> None:
        """Extends a claim that would end before its image had a build."""
        half = self.claims.seconds // 2
        if waiting.expires - now < half and now - waiting.asked < WANTED_SECONDS:
            self.claims.wait(waiting.image)

    def _take_places(self, waiting: Sequence[Waiting], now: int) -> list[Waiting]:
        """The images that have a place from now on."""
        if not waiting:
            return []
        budgets: Budgets = self.claims.budgets
        for _ in range(_CONFLICTS):
            row = self._rows([COPIES_KEY]).get(COPIES_KEY, {})
            running = self._running(row, now)
            chosen = fair(
                (each for each in waiting if each.image not in running),
                (place.namespace for place in running.values()),
                budgets.concurrent_copies,
                budgets.share_of_copies,
            )
            if not chosen:
                return []
            more = {each.image: Place(each.namespace, now) for each in chosen}
            if self._write(row, {**running, **more}, now):
                return chosen
        return []

    def _free_places(self, images: set[str], now: int) -> None:
        for _ in range(_CONFLICTS):
            row = self._rows([COPIES_KEY]).get(COPIES_KEY, {})
            kept = {image: place for image, place in _places(row).items() if image not in images}
            if self._write(row, kept, now):
                return

    def _still_running(self, now: int) -> int:
        """The number of copies that run; images whose build never began wait again."""
        places = _places(self._rows([COPIES_KEY]).get(COPIES_KEY, {}))
        rows = self._rows(list(places))
        for image, place in places.items():
            row = rows.get(image, {})
            wanted = now - _number(row, "asked") < WANTED_SECONDS
            if wanted and _never_began(row, place, now, self.claims.seconds):
                log.warning("the build of %s never began: it waits again", image)
                self.claims.wait_again(image, place.namespace, _number(row, "expires"))
        return len(self._running_of(places, rows, now))

    def _running(self, row: Mapping[str, Any], now: int) -> dict[str, Place]:
        """The places whose copy has not ended."""
        places = _places(row)
        return self._running_of(places, self._rows(list(places)), now)

    def _running_of(
        self, places: Mapping[str, Place], rows: Mapping[str, Mapping[str, Any]], now: int
    ) -> dict[str, Place]:
        return {
            image: place
            for image, place in places.items()
            if _under_way(rows.get(image, {}), place, now, self.claims.seconds)
        }

    def _write(self, row: Mapping[str, Any], places: Mapping[str, Place], now: int) -> bool:
        """Replaces the places, unless somebody else has since ``row`` was read."""
        running = {
            image: {"M": {"namespace": {"S": place.namespace}, "since": {"N": str(place.since)}}}
            for image, place in places.items()
        }
        marks = _number(row, "marks")
        values: dict[str, Any] = {
            ":running": {"M": running},
            ":end": {"N": str(now + 7 * 86400)},
            ":seen": {"N": str(marks)},
            ":next": {"N": str(marks + 1)},
        }
        return self._changed(
            COPIES_KEY, "SET running = :running, expires = :end, marks = :next", values
        )

    def _nobody_waits(self, mark: Mapping[str, Any]) -> None:
        """Ends the search for waiting images, unless one was told of since."""
        values = {":seen": {"N": str(_number(mark, "marks"))}, ":end": {"N": "0"}}
        self._changed(WAITING_KEY, "SET expires = :end", values)

    def _changed(self, key: str, expression: str, values: Mapping[str, Any]) -> bool:
        try:
            self.claims.client.update_item(
                TableName=self.claims.table,
                Key={"image": {"S": key}},
                UpdateExpression=expression,
                ConditionExpression="attribute_not_exists(marks) OR marks = :seen",
                ExpressionAttributeValues=values,
            )
        except ClientError as refused:
            if error_code(refused) != "ConditionalCheckFailedException":
                raise
            return False
        return True

    def _waiting(self, now: int) -> list[Waiting]:
        """All images that wait."""
        found: list[Waiting] = []
        request: dict[str, Any] = {
            "TableName": self.claims.table,
            "FilterExpression": (
                "attribute_exists(waiting) AND expires >= :now AND asked <= :settled"
            ),
            "ExpressionAttributeValues": {
                ":now": {"N": str(now)},
                ":settled": {"N": str(now - _SETTLED_SECONDS)},
            },
        }
        while True:
            page = self.claims.client.scan(**request)
            found += [_waiting(row) for row in page.get("Items", [])]
            if not page.get("LastEvaluatedKey"):
                return found
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _rows(self, keys: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """The rows that exist, by key."""
        found: dict[str, Mapping[str, Any]] = {}
        left = [{"image": {"S": key}} for key in dict.fromkeys(keys)]
        table = self.claims.table
        while left:
            some, left = left[:_MOST_KEYS], left[_MOST_KEYS:]
            request = {table: {"Keys": some, "ConsistentRead": True}}
            answer = self.claims.client.batch_get_item(RequestItems=request)
            for row in answer.get("Responses", {}).get(table, []):
                found[str(row["image"]["S"])] = row
            left += answer.get("UnprocessedKeys", {}).get(table, {}).get("Keys", [])
        return found


def _places(row: Mapping[str, Any]) -> dict[str, Place]:
    running: Mapping[str, Any] = row.get("running", {}).get("M", {})
    return {
        image: Place(str(place["M"]["namespace"]["S"]), _number(place["M"], "since"))
        for image, place in running.items()
    }


def _under_way(row: Mapping[str, Any], place: Place, now: int, seconds: int) -> bool:
    if "reason" in row or "digest" in row or _number(row, "expires") < now:
        return False
    if "waiting" in row:
        return now - place.since < _STARTING_SECONDS
    return not _never_began(row, place, now, seconds)


def _never_began(row: Mapping[str, Any], place: Place, now: int, seconds: int) -> bool:
    """Whether CodeBuild had time for the build that was started, and nothing came of it.

    Args:
        row: of the image.
        place: of its copy.
        now: epoch seconds.
        seconds: of a claim.
    """
    done = {"begun", "waiting", "reason", "digest"} & row.keys()
    return bool(row) and not done and now - place.since > seconds // 4 + _BEGINNING_SECONDS


def _waits(row: Mapping[str, Any], now: int) -> bool:
    return "waiting" in row and _number(row, "expires") >= now


def _waiting(row: Mapping[str, Any]) -> Waiting:
    return Waiting(
        image=str(row["image"]["S"]),
        namespace=str(row["waiting"]["S"]),
        asked=_number(row, "asked"),
        expires=_number(row, "expires"),
        others=frozenset(row.get("askers", {}).get("SS", ())),
    )


def _number(row: Mapping[str, Any], name: str) -> int:
    return int(row.get(name, {}).get("N", 0))
