"""Events of the pods whose images were changed or refused, for those who own them.

At its admission a pod of a controller has neither uid nor, often, a name. A review only leaves a
``Report``; a thread of the same process posts the Events some seconds later, on the pod that has
the uid of the review in its annotation, or on the owner of a pod that was refused. A refused pod
without an owner is named as its author named it: an Event needs no object that exists.

A copy may fail minutes after the review that asked for it, when the pod waits and nobody reviews
it any more: the thread looks at the table of copies for the pods that it has posted Events on.

Nothing of this waits for a review or holds one up. What is too much is left out and counted, what
the API server refuses is logged and left out.

Behind an API Gateway no process outlives a review: there its ``Notice`` goes to another function
(``event_request``), in which a reporter posts all before the invocation ends.

Shape: k8s.io/api core/v1 Event; its namespace is that of the object (kubernetes/kubernetes
pkg/apis/core/validation/events.go, legacyValidateEvent).
"""

from __future__ import annotations

import json
import logging
import math
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain, groupby
from operator import attrgetter
from typing import Any, Protocol

from webhook.cluster_api import FAILURES, CallRefused
from webhook.event_notices import LONGEST_MESSAGE, EventFilter, Limits, Notice, name_and_uid
from webhook.image_places import mapping, text
from webhook.outcomes import ANNOTATION, Outcome, Report

log = logging.getLogger(__name__)

COMPONENT = "image-mirror"
_NORMAL = (Outcome.MIRRORED, Outcome.COPYING)
_MOST_LOOKS = 20
"""Looks at copies in a turn: where the table gives no answer each waits for a time-out."""


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
    """A notice whose Events are to be posted.

    Attributes:
        notice: of one review, or of the end of a copy.
        due: seconds of the reporter's clock.
        looks: how often its pod was looked for.
    """

    notice: Notice
    due: float
    looks: int = 0

    @property
    def query(self) -> tuple[str, tuple[tuple[str, str], ...]]:
        """The call that finds its pod."""
        return self.notice.namespace, self.notice.selectors


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


_ALIKE = attrgetter("query")
"""What one call finds together."""


@dataclass
class Reporter:
    """Posts Events for reports, in a thread of its own or until all are posted.

    Attributes:
        api: of the cluster.
        instance: the name of this pod or function.
        limits: bounds.
        clock: seconds.
        failure_of_copy: of ``service``; None: copies are not looked at.
    """

    api: Api
    instance: str = ""
    limits: Limits = field(default_factory=Limits)
    clock: Callable[[], float] = time.monotonic
    failure_of_copy: Callable[[str, str], str | None] | None = None
    _copying: deque[_Copying] = field(default_factory=deque[_Copying])
    _queue: deque[_Waiting] = field(default_factory=deque[_Waiting])
    _failures: int = 0
    _silent: float = -math.inf
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._filter = EventFilter(self.limits)

    def offer(self, report: Report) -> None:
        """Takes a report, or leaves it out when there are too many; returns at once."""
        self._take(report.namespace, lambda: Notice.of(report))

    def take(self, notice: Notice) -> None:
        """Takes a notice as ``offer`` takes a report."""
        self._take(notice.namespace, lambda: notice)

    def _take(self, namespace: str, noticed: Callable[[], Notice]) -> None:
        with self._lock:
            now = self.clock()
            full = len(self._queue) >= self.limits.waiting
            notice = self._filter.admit(namespace, noticed, now, full=full)
            if notice is None:
                return
            due = now + self.limits.look_seconds[0] if notice.selectors else now
            self._queue.append(_Waiting(notice, due))

    def start(self) -> None:
        """Runs until the process ends."""
        threading.Thread(target=self._run, name="events", daemon=True).start()

    def finish(self, until: float, sleep: Callable[[float], None] = time.sleep) -> bool:
        """Takes turns until nothing waits, and leaves out what waits at a time of the clock.

        Returns:
            Whether nothing was left out and no call failed.
        """
        self._failures = 0
        while self._queue and (now := self.clock()) < until:
            due = max(self._silent, min(each.due for each in self._queue))
            if due > now:
                sleep(min(due, until) - now)
            self.turn()
        left_out = len(self._queue)
        self._queue.clear()
        if left_out:
            log.warning("%d reviews got no Event: the time was over", left_out)
        return not (left_out or self._failures)

    def turn(self) -> None:
        """Posts what is due; a failure ends nothing but what it concerns.

        After a call without an answer nothing is called for a while: each might wait as long.
        """
        with self._lock:
            now = self.clock()
            self._filter.begin(now)
            if now < self._silent:
                return
            due = sorted((each for each in self._queue if each.due <= now), key=_ALIKE)
            self._queue = deque(each for each in self._queue if each.due > now)
        groups = [list(group) for _, group in groupby(due, _ALIKE)]
        while groups and self.clock() >= self._silent:
            group = groups.pop(0)
            if group[0].notice.selectors:
                self._find(group)
            else:
                for each in group:
                    self._post(each.notice)
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

    def _find(self, group: list[_Waiting]) -> None:
        """Posts the Events of those whose pod is there; all are found by one call."""
        namespace, selectors = group[0].query
        try:
            found = self.api.pods(namespace, dict(selectors))
        except FAILURES as failure:
            self._failed(f"cannot look for pods of {namespace}", failure)
            found = ()
        annotated = [(text(mapping(pod.get("annotations")).get(ANNOTATION)), pod) for pod in found]
        for each in group:
            mark = f'"review":"{each.notice.review}"'
            pod = next((pod for value, pod in annotated if mark in value), None)
            if pod is not None:
                involved = {**each.notice.involved, **name_and_uid(pod)}
                self._post(replace(each.notice, involved=involved))
            elif each.looks + 1 < len(self.limits.look_seconds):
                self._later(each)
            else:
                log.info("found no pod of %s for its Events", namespace)

    def _later(self, each: _Waiting) -> None:
        looks = each.looks + 1
        before, after = self.limits.look_seconds[looks - 1 : looks + 1]
        with self._lock:
            self._queue.append(replace(each, due=each.due + after - before, looks=looks))

    def _post(self, notice: Notice) -> None:
        for outcome, message, earlier in notice.messages:
            event = self._event(notice, outcome, message, earlier + 1)
            try:
                self.api.create_event(notice.namespace, event)
            except FAILURES as failure:
                self._failed(f"no Event {outcome} in {notice.namespace}", failure)
        if self.failure_of_copy is not None:
            self._await_copies(notice)

    def _await_copies(self, notice: Notice) -> None:
        """Puts the copies that a pod waits for among those that are looked at, while there is room.

        Args:
            notice: what was posted, with the pod's uid.
        """
        now = self.clock()
        due, end = now + self.limits.pause_seconds, now + self.limits.copy_seconds
        for image in notice.awaited[: self.limits.copies - len(self._copying)]:
            self._copying.append(_Copying(image, notice.namespace, notice.involved, due, end))

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
                message = ((Outcome.COPY_FAILED, failed[:LONGEST_MESSAGE], 0),)
                self._post(Notice("", each.namespace, each.involved, messages=message))

    def _may_post(self, namespace: str) -> bool:
        with self._lock:
            return self._filter.admit_one(namespace)

    def _failed(self, what: str, failure: Exception) -> None:
        """Logs the kind of a failure, with the status of a refusal: other texts may quote a pod."""
        self._failures += 1
        if isinstance(failure, CallRefused):
            log.warning("%s: the API server answers %s", what, failure)
        else:
            log.warning("%s: %s", what, type(failure).__name__)
            self._silent = self.clock() + self.limits.silent_seconds

    def _event(self, notice: Notice, outcome: Outcome, message: str, times: int) -> dict[str, Any]:
        now, namespace = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), notice.namespace
        # The same name whenever the same is posted again, which Lambda's queue may have happen.
        of_it = json.dumps([notice.review, sorted(notice.involved.items()), outcome, message])
        name = f"{COMPONENT}.{uuid.uuid5(uuid.NAMESPACE_URL, of_it).hex}"
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": {**notice.involved, "namespace": namespace},
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
