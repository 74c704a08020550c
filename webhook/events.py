"""Events of the pods whose images were changed or refused, for those who own them.

At its admission a pod of a controller has neither uid nor, often, a name. A review only leaves a
``Report``; a thread of the same process posts the Events some seconds later, on the pod that has
the uid of the review in its annotation, or on the owner of a pod that was refused. A refused pod
without an owner is named as its author named it: an Event needs no object that exists.

A copy may fail minutes after the review that asked for it, when the pod waits and nobody reviews
it any more: the thread looks at the table of copies for the pods that it has posted Events on.

Nothing of this waits for a review or holds one up. What is too much is left out and counted, what
the API server refuses is logged and left out.

Shape: k8s.io/api core/v1 Event; its namespace is that of the object (kubernetes/kubernetes
pkg/apis/core/validation/events.go, legacyValidateEvent).
"""

from __future__ import annotations

import logging
import math
import re
import threading
import time
import uuid
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain, groupby
from operator import attrgetter
from typing import Any, Protocol

from webhook.cluster_api import FAILURES, CallRefused
from webhook.image_places import mapping, text
from webhook.outcomes import ANNOTATION, Finding, Outcome, Report

log = logging.getLogger(__name__)

COMPONENT = "image-mirror"
_NORMAL = (Outcome.MIRRORED, Outcome.COPYING)
_NAMESPACE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_SELECTABLE = re.compile(r"[A-Za-z0-9._/-]{1,317}=[A-Za-z0-9._-]{0,63}")
_MOST_LABELS = 8
_MOST_LOOKS = 20
"""Looks at copies in a turn: where the table gives no answer each waits for a time-out."""
# k8s.io/api events/v1, note: at most 1 kB.
_LONGEST_MESSAGE = 1000
_LONGEST_TEXT = 300
_LONGEST_NAME = 253


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


class Api(Protocol):
    """The calls of ``cluster_api.ClusterApi``."""

    def pods(self, namespace: str, selectors: Mapping[str, str]) -> Sequence[Mapping[str, Any]]:
        """See ``ClusterApi.pods``."""
        ...

    def create_event(self, namespace: str, event: Mapping[str, Any]) -> None:
        """See ``ClusterApi.create_event``."""
        ...


@dataclass(frozen=True)
class _Waiting:
    """The Events of one review; small, whatever the review was.

    Attributes:
        review: its uid.
        namespace: of the pod.
        involved: the object, as an Event refers to it; without uid it has to be found.
        selectors: that find it.
        messages: by outcome, with the number of earlier ones that were not posted.
        awaited: images whose copies are under way.
        due: monotonic seconds.
        looks: how often it was looked for.
    """

    review: str
    namespace: str
    involved: Mapping[str, str]
    selectors: tuple[tuple[str, str], ...]
    messages: tuple[tuple[Outcome, str, int], ...]
    awaited: tuple[str, ...]
    due: float
    looks: int = 0


@dataclass(frozen=True)
class _Copying:
    """A copy that a pod waits for.

    Attributes:
        image: in the table of copies.
        namespace: of the pod.
        involved: the pod.
        due: monotonic seconds.
        end: likewise; then it is looked at no more.
    """

    image: str
    namespace: str
    involved: Mapping[str, str]
    due: float
    end: float


_ALIKE = attrgetter("namespace", "selectors")
"""What one call finds together."""


@dataclass
class Reporter:
    """Posts Events for reports, in a thread of its own.

    Attributes:
        api: of the cluster.
        instance: the name of this pod.
        limits: bounds.
        clock: monotonic seconds.
        failure_of_copy: of ``service``; None: copies are not looked at.
    """

    api: Api
    instance: str = ""
    limits: Limits = field(default_factory=Limits)
    clock: Callable[[], float] = time.monotonic
    failure_of_copy: Callable[[str, str], str | None] | None = None
    _copying: deque[_Copying] = field(default_factory=deque[_Copying])
    _queue: deque[_Waiting] = field(default_factory=deque[_Waiting])
    _minute: int = 0
    _used: dict[str, int] = field(default_factory=dict[str, int])
    _left_out: int = 0
    _silent: float = -math.inf
    _posted: OrderedDict[tuple[str, ...], tuple[float, int]] = field(
        default_factory=OrderedDict[tuple[str, ...], tuple[float, int]]
    )
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def offer(self, report: Report) -> None:
        """Takes a report, or leaves it out when there are too many; returns at once."""
        if not _NAMESPACE.fullmatch(report.namespace):
            return
        with self._lock:
            now = self.clock()
            self._begin_minute(now)
            used = self._used.get(report.namespace, 0)
            full = len(self._queue) >= self.limits.waiting or (
                len(self._used) >= self.limits.waiting and not used
            )
            if full or used >= self.limits.a_minute:
                self._left_out += 1
                return
            involved = _involved(report)
            messages = tuple(self._new(report, involved, now))
            if not messages:
                return
            self._used[report.namespace] = used + len(messages)
            known = report.refused or "uid" in involved
            due = now if known else now + self.limits.look_seconds[0]
            selectors = () if known else tuple(_selectors(report.metadata).items())
            awaited = tuple(dict.fromkeys(each.awaited for each in report.findings if each.awaited))
            if report.refused:
                awaited = ()
            whose = (report.review, report.namespace, involved, selectors)
            self._queue.append(_Waiting(*whose, messages, awaited, due))

    def start(self) -> None:
        """Runs until the process ends."""
        threading.Thread(target=self._run, name="events", daemon=True).start()

    def turn(self) -> None:
        """Posts what is due; a failure ends nothing but what it concerns.

        After a call without an answer nothing is called for a while: each might wait as long.
        """
        with self._lock:
            now = self.clock()
            self._begin_minute(now)
            if now < self._silent:
                return
            due = sorted((each for each in self._queue if each.due <= now), key=_ALIKE)
            self._queue = deque(each for each in self._queue if each.due > now)
        groups = [list(group) for _, group in groupby(due, _ALIKE)]
        while groups and self.clock() >= self._silent:
            group = groups.pop(0)
            if group[0].selectors:
                self._find(group[0].namespace, dict(group[0].selectors), group)
            else:
                for each in group:
                    self._post(each, each.involved)
        with self._lock:
            self._queue.extend(chain.from_iterable(groups))
        self._look_at_copies(now)

    def _run(self) -> None:
        while True:
            time.sleep(1)
            try:
                self.turn()
            except Exception as failure:  # the thread goes on; a text may quote a pod
                log.error("events: %s", type(failure).__name__)

    def _begin_minute(self, now: float) -> None:
        if int(now // 60) == self._minute:
            return
        if self._left_out:
            log.warning("%d reviews got no Event: there were too many", self._left_out)
        self._minute, self._used, self._left_out = int(now // 60), {}, 0

    def _new(
        self, report: Report, involved: Mapping[str, str], now: float
    ) -> Iterator[tuple[Outcome, str, int]]:
        """The messages, without those that were posted for the same object a moment ago."""
        whose = (report.namespace, *involved.values()) if report.refused else (report.review,)
        for outcome, message in _messages(report.findings):
            key = (*whose, outcome, message)
            until, repeats = self._posted.pop(key, (0.0, 0))
            if now < until:
                self._posted[key] = (until, repeats + 1)
                continue
            if len(self._posted) >= self.limits.remembered:
                self._posted.popitem(last=False)
            if report.refused:
                self._posted[key] = (now + self.limits.repeat_seconds, 0)
            yield outcome, message, repeats

    def _find(self, namespace: str, selectors: Mapping[str, str], group: list[_Waiting]) -> None:
        try:
            found = self.api.pods(namespace, selectors)
        except FAILURES as failure:
            self._failed(f"cannot look for pods of {namespace}", failure)
            found = ()
        annotated = [(text(mapping(pod.get("annotations")).get(ANNOTATION)), pod) for pod in found]
        for each in group:
            mark = f'"review":"{each.review}"'
            pod = next((pod for value, pod in annotated if mark in value), None)
            if pod is not None:
                self._post(each, {**each.involved, **_named(pod)})
            elif each.looks + 1 < len(self.limits.look_seconds):
                self._later(each)
            else:
                log.info("found no pod of %s for its Events", namespace)

    def _later(self, each: _Waiting) -> None:
        looks = each.looks + 1
        before, after = self.limits.look_seconds[looks - 1 : looks + 1]
        with self._lock:
            self._queue.append(replace(each, due=each.due + after - before, looks=looks))

    def _post(self, each: _Waiting, involved: Mapping[str, str]) -> None:
        for outcome, message, repeats in each.messages:
            event = self._event(each.namespace, involved, outcome, message, repeats + 1)
            try:
                self.api.create_event(each.namespace, event)
            except FAILURES as failure:
                self._failed(f"no Event {outcome} in {each.namespace}", failure)
        if self.failure_of_copy is not None:
            self._await_copies(each, involved)

    def _await_copies(self, each: _Waiting, involved: Mapping[str, str]) -> None:
        """Puts the copies that a pod waits for among those that are looked at, while there is room.

        Args:
            each: what was posted.
            involved: the pod, with its uid.
        """
        now = self.clock()
        due, end = now + self.limits.pause_seconds, now + self.limits.copy_seconds
        for image in each.awaited[: self.limits.copies - len(self._copying)]:
            self._copying.append(_Copying(image, each.namespace, involved, due, end))

    def _look_at_copies(self, now: float) -> None:
        """Posts an Event for each copy that has failed; only this thread has the queue."""
        look = self.failure_of_copy
        if look is None:
            return
        known: dict[tuple[str, str], str | None] = {}
        for _ in range(len(self._copying)):
            each = self._copying.popleft()
            key = (each.image, each.namespace)
            later = now < each.due or self.clock() < self._silent
            if later or (key not in known and len(known) >= _MOST_LOOKS):
                self._copying.append(each)
                continue
            if key not in known:
                known[key] = look(*key)
            failed = known[key]
            if failed == "" and now < each.end:
                self._copying.append(replace(each, due=now + self.limits.pause_seconds))
            elif failed and self._may_post(each.namespace):
                message = ((Outcome.COPY_FAILED, failed[:_LONGEST_MESSAGE], 0),)
                waiting = _Waiting("", each.namespace, each.involved, (), message, (), now)
                self._post(waiting, each.involved)

    def _may_post(self, namespace: str) -> bool:
        """Counts one more Event of a namespace, or that there are too many."""
        with self._lock:
            used = self._used.get(namespace, 0)
            if used >= self.limits.a_minute:
                self._left_out += 1
                return False
            self._used[namespace] = used + 1
            return True

    def _failed(self, what: str, failure: Exception) -> None:
        """Logs the kind of a failure, with the status of a refusal: other texts may quote a pod."""
        if isinstance(failure, CallRefused):
            log.warning("%s: the API server answers %s", what, failure)
        else:
            log.warning("%s: %s", what, type(failure).__name__)
            self._silent = self.clock() + self.limits.silent_seconds

    def _event(
        self,
        namespace: str,
        involved: Mapping[str, str],
        outcome: Outcome,
        message: str,
        times: int,
    ) -> dict[str, Any]:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{COMPONENT}.{uuid.uuid4().hex}", "namespace": namespace},
            "involvedObject": {**involved, "namespace": namespace},
            "type": "Normal" if outcome in _NORMAL else "Warning",
            "reason": str(outcome),
            "message": message,
            "source": {"component": COMPONENT},
            "reportingComponent": COMPONENT,
            "reportingInstance": self.instance,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": times,
        }


def _involved(report: Report) -> dict[str, str]:
    """The object of the Events: the pod, or of a refused one its controller."""
    metadata = report.metadata
    if report.refused and report.created:
        owners = metadata.get("ownerReferences")
        for owner in map(mapping, owners if isinstance(owners, list) else ()):
            if owner.get("controller") is True and owner.get("uid"):
                keys = ("apiVersion", "kind", "name", "uid")
                return {key: text(owner.get(key))[:_LONGEST_NAME] for key in keys}
    pod = {"apiVersion": "v1", "kind": "Pod", **_named(metadata)}
    # Before its creation a uid is nobody's, whoever wrote it.
    if report.created:
        pod.pop("uid", None)
    return pod


def _named(metadata: Mapping[str, Any]) -> dict[str, str]:
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
            if len(longer) > _LONGEST_MESSAGE - 20:
                message = f"{message}; and {len(texts) - number} more"
                break
            message = longer
        if message:
            yield outcome, message
