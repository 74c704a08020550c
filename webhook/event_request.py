"""Notices of reviews, from the function that answers admissions to the one that posts Events.

The former ends with its answer and is outside the network of the cluster. Once the answer is made,
it queues the notice for the latter, which is inside.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from webhook.claims import error_code
from webhook.event_notices import EventFilter, Limits, Notice
from webhook.outcomes import Report

log = logging.getLogger(__name__)


class EventRequest:
    """The notices of one container of the function; a review at a time.

    Args:
        queue: hands a notice on, as JSON; may raise, and may take any time.
        limits: bounds of the container.
        clock: seconds, also while nothing runs.
    """

    def __init__(
        self,
        queue: Callable[[Mapping[str, Any]], None],
        limits: Limits | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._queue, self._clock = queue, clock
        self._filter = EventFilter(limits or Limits())
        self._kept: Notice | None = None
        self._under_way: threading.Thread | None = None

    def keep(self, report: Report) -> None:
        """Keeps the notice of a review until ``send``, unless there are too many."""
        now = self._clock()
        self._kept = self._filter.admit(report.namespace, lambda: Notice.of(report), now)

    def send(self, seconds: float) -> None:
        """Hands on what was kept, and waits for it no longer than that; never raises.

        A call that takes longer goes on when the container has its next review.
        """
        notice, self._kept = self._kept, None
        if notice is None:
            return
        if seconds <= 0 or (self._under_way is not None and self._under_way.is_alive()):
            log.warning("a review got no Event: there was no time to ask for it")
            return
        call = threading.Thread(target=self._call, args=(notice.as_json(),), daemon=True)
        try:
            call.start()
        except RuntimeError:  # the process cannot start another thread
            log.warning("a review got no Event: there is no thread to ask for it")
            return
        self._under_way = call
        call.join(seconds)

    def _call(self, event: Mapping[str, Any]) -> None:
        try:
            self._queue(event)
        except Exception as failure:  # of whatever kind, its text may quote a pod
            log.warning("a review got no Event: %s", error_code(failure))
