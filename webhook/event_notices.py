"""The content of a review's Events, the object they are on, and the bounds of their number.

A ``Notice`` is all of a review that its Events need; it fits into an asynchronous invocation of a
Lambda function (256 kB, docs.aws.amazon.com lambda/latest/dg/gettingstarted-limits.html).
"""

from __future__ import annotations

import logging
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from webhook.image_places import mapping, text
from webhook.outcomes import Finding, Outcome, Report

log = logging.getLogger(__name__)

_NAMESPACE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_SELECTABLE = re.compile(r"[A-Za-z0-9._/-]{1,317}=[A-Za-z0-9._-]{0,63}")
_SELECTORS = ("fieldSelector", "labelSelector")
_MOST_LABELS = 8
LONGEST_MESSAGE = 1000
"""Of an Event: k8s.io/api events/v1, note: at most 1 kB."""
_LONGEST_TEXT = 300
_LONGEST_NAME = 253
_LONGEST_REVIEW = 512  # as in the annotation
_LONGEST_QUERY = 4096


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The bounds of one process.

    Attributes:
        a_minute: Events of one namespace that are posted in a minute.
        waiting: reviews whose pods are looked for at a time.
        remembered: Events that are not posted again for the same object.
        repeat_seconds: how long they are not.
        silent_seconds: how long an API server that gave no answer is not called.
        look_seconds: after a review, when its pod is looked for; the last failure is the end.
        copies: copies that are looked at until they have ended.
        copy_seconds: how long one is looked at.
        pause_seconds: between two looks at it; a failure stands in the table for 120.
    """

    a_minute: int = 60
    waiting: int = 512
    remembered: int = 1024
    repeat_seconds: float = 300.0
    silent_seconds: float = 10.0
    look_seconds: tuple[float, ...] = (2.0, 6.0, 20.0)
    copies: int = 512
    copy_seconds: float = 3600.0
    pause_seconds: float = 45.0


@dataclass(frozen=True)
class Notice:
    """What the Events of one review need; of bounded size.

    Attributes:
        review: its uid.
        namespace: of the pod.
        involved: the object, as an Event refers to it; without uid it has to be found.
        refused: whether there is no pod after this review.
        selectors: that find the pod; none where nothing is to be found.
        messages: by outcome, with the number of earlier ones that were not posted.
        awaited: images whose copies are under way.
    """

    review: str
    namespace: str
    involved: Mapping[str, str]
    refused: bool = False
    selectors: tuple[tuple[str, str], ...] = ()
    messages: tuple[tuple[Outcome, str, int], ...] = ()
    awaited: tuple[str, ...] = ()

    @classmethod
    def of(cls, report: Report) -> Notice:
        """The notice of a report."""
        involved = _involved(report)
        known = report.refused or "uid" in involved
        awaited = dict.fromkeys(each.awaited for each in report.findings if each.awaited)
        return cls(
            report.review[:_LONGEST_REVIEW],
            report.namespace,
            involved,
            report.refused,
            () if known else tuple(_selectors(report.metadata).items()),
            tuple((outcome, message, 0) for outcome, message in _messages(report.findings)),
            () if report.refused else tuple(awaited),
        )

    @classmethod
    def read(cls, value: object) -> Notice:
        """The notice of ``as_json``.

        Raises:
            ValueError: this is none.
        """
        given = mapping(value)
        return cls(
            text(given.get("review"))[:_LONGEST_REVIEW],
            text(given.get("namespace"))[:_LONGEST_NAME],
            involved=_texts(given.get("involved"), _LONGEST_NAME),
            refused=given.get("refused") is True,
            selectors=tuple(
                (key, each)
                for key, each in _texts(given.get("selectors"), _LONGEST_QUERY).items()
                if key in _SELECTORS
            ),
            messages=tuple(map(_message, mapping(given.get("messages")).items())),
        )

    def as_json(self) -> dict[str, Any]:
        """Everything but ``awaited``, for a reporter in another process."""
        return {
            "review": self.review,
            "namespace": self.namespace,
            "involved": dict(self.involved),
            "refused": self.refused,
            "selectors": dict(self.selectors),
            "messages": {outcome: [each, earlier] for outcome, each, earlier in self.messages},
        }


@dataclass
class EventFilter:
    """Bounds what is posted: few Events for each namespace, and none that repeats a refusal.

    For one thread at a time.

    Attributes:
        limits: bounds.
        left_out: reviews of this minute without Events.
    """

    limits: Limits
    left_out: int = 0
    _minute: int = 0
    _used: dict[str, int] = field(default_factory=dict[str, int])
    _posted: OrderedDict[tuple[str, ...], tuple[float, int]] = field(
        default_factory=OrderedDict[tuple[str, ...], tuple[float, int]]
    )

    def begin(self, now: float) -> None:
        """Begins another minute, where one is over, and logs what was left out of it."""
        if int(now // 60) == self._minute:
            return
        if self.left_out:
            log.warning("%d reviews got no Event: there were too many", self.left_out)
        self._minute, self._used, self.left_out = int(now // 60), {}, 0

    def admit(
        self, namespace: str, noticed: Callable[[], Notice], now: float, *, full: bool = False
    ) -> Notice | None:
        """What is to be posted of a notice, counted; None: nothing.

        Args:
            namespace: of the notice.
            noticed: makes it, if there is room.
            now: seconds.
            full: whether there is no room anywhere.
        """
        if not _NAMESPACE.fullmatch(namespace):
            return None
        self.begin(now)
        if full or not self._has_room(namespace):
            self.left_out += 1
            return None
        notice = noticed()
        messages = tuple(self._new(notice, now))
        if not messages:
            return None
        self._used[namespace] = self._used.get(namespace, 0) + len(messages)
        return replace(notice, messages=messages)

    def admit_one(self, namespace: str) -> bool:
        """Counts one more Event of a namespace, or that there are too many."""
        if not self._has_room(namespace):
            self.left_out += 1
            return False
        self._used[namespace] = self._used.get(namespace, 0) + 1
        return True

    def _has_room(self, namespace: str) -> bool:
        used = self._used.get(namespace, 0)
        crowded = len(self._used) >= self.limits.waiting and not used
        return not crowded and used < self.limits.a_minute

    def _new(self, notice: Notice, now: float) -> Iterator[tuple[Outcome, str, int]]:
        """The messages, without those posted for the same object in the last ``repeat_seconds``."""
        if not notice.refused:
            yield from notice.messages
            return
        whose = (notice.namespace, *notice.involved.values())
        for outcome, message, earlier in notice.messages:
            key = (*whose, outcome, message)
            until, repeats = self._posted.pop(key, (0.0, 0))
            repeats += earlier
            if now < until:
                self._posted[key] = (until, repeats + 1)
                continue
            if len(self._posted) >= self.limits.remembered:
                self._posted.popitem(last=False)
            self._posted[key] = (now + self.limits.repeat_seconds, 0)
            yield outcome, message, repeats


def _texts(value: object, longest: int) -> dict[str, str]:
    return {key: text(each)[:longest] for key, each in mapping(value).items()}


def _message(pair: tuple[str, object]) -> tuple[Outcome, str, int]:
    outcome, value = pair
    match value:
        case [str(message), int(earlier)]:
            return Outcome(outcome), message[:LONGEST_MESSAGE], earlier
        case _:
            raise ValueError("no message of a notice")


def _involved(report: Report) -> dict[str, str]:
    """The object of the Events: the pod, or of a refused one its controller."""
    metadata = report.metadata
    if report.refused and report.created:
        owners = metadata.get("ownerReferences")
        for owner in map(mapping, owners if isinstance(owners, list) else ()):
            if owner.get("controller") is True and owner.get("uid"):
                keys = ("apiVersion", "kind", "name", "uid")
                return {key: text(owner.get(key))[:_LONGEST_NAME] for key in keys}
    pod = {"apiVersion": "v1", "kind": "Pod", **name_and_uid(metadata)}
    # The API server sets the uid after admission: before, its value is the author's.
    if report.created:
        pod.pop("uid", None)
    return pod


def name_and_uid(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Of an object what an Event refers to it by, of its name at least the beginning."""
    name = text(metadata.get("name")) or text(metadata.get("generateName"))
    uid = text(metadata.get("uid"))
    return {"name": name[:_LONGEST_NAME], **({"uid": uid[:_LONGEST_NAME]} if uid else {})}


def _selectors(metadata: Mapping[str, Any]) -> dict[str, str]:
    """The query that finds a new pod: its name, or for want of one its labels."""
    if name := text(metadata.get("name")):
        return {"fieldSelector": f"metadata.name={name[:_LONGEST_NAME]}"}
    labels = mapping(metadata.get("labels")).items()
    pairs = [f"{key}={value}" for key, value in labels if isinstance(value, str)]
    chosen = [pair for pair in pairs if _SELECTABLE.fullmatch(pair)][:_MOST_LABELS]
    return {"labelSelector": ",".join(sorted(chosen))}


def _messages(findings: Sequence[Finding]) -> Iterator[tuple[Outcome, str]]:
    """One message for each outcome, of bounded length."""
    for outcome in Outcome:
        texts = [each.text for each in findings if each.outcome is outcome]
        message = ""
        for number, each in enumerate(texts):
            longer = f"{message}; {each[:_LONGEST_TEXT]}" if message else each[:_LONGEST_TEXT]
            if len(longer) > LONGEST_MESSAGE - 20:
                message = f"{message}; and {len(texts) - number} more"
                break
            message = longer
        if message:
            yield outcome, message
