"""Notices between two functions: whole, small, few, and never at the cost of a review."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Mapping
from typing import Any

import pytest

from tests.webhook.test_events import TEXT, Clock, FakeApi, report, stored
from webhook.event_notices import Limits, Notice
from webhook.event_request import EventRequest
from webhook.events import Reporter
from webhook.outcomes import Outcome, Report

SECONDS = 60.0
"""More than a thread of this machine takes to begin, however busy it is."""


class Sent(list[Mapping[str, Any]]):
    """What the other function gets: through JSON, as Lambda hands it on."""

    def queue(self, event: Mapping[str, Any]) -> None:
        self.append(json.loads(json.dumps(event)))


def through(given: Report) -> Notice:
    sent = Sent()
    request = EventRequest(sent.queue)
    request.keep(given)
    request.send(SECONDS)
    (event,) = sent
    return Notice.read(event)


@pytest.mark.parametrize(
    "given",
    [
        report(),
        report(name="web-0", uid="forged"),
        report(created=False, name="web-0", uid="u"),
        report(outcome=Outcome.REFUSED, name="alone"),
        report(texts=["一" * 300] * 20),
    ],
)
def test_a_notice_is_the_same_on_the_other_side(given: Report) -> None:
    assert through(given) == Notice.of(given)


def test_both_functions_together_tell_what_a_pod_of_the_cluster_tells() -> None:
    api, clock = FakeApi([stored(2, "web-other"), stored(1, "web-x7k2p")]), Clock()
    near = Reporter(api, "both", clock=clock)
    near.offer(report())
    assert near.finish(clock() + 60, lambda seconds: setattr(clock, "now", clock.now + seconds))
    far = Reporter(api, "both", clock=clock)
    far.take(through(report()))
    assert far.finish(clock() + 60, lambda seconds: setattr(clock, "now", clock.now + seconds))
    assert near is not far
    first, second = api.events
    without_time = [
        {key: value for key, value in each.items() if not key.endswith("Timestamp")}
        for each in (first, second)
    ]
    assert without_time[0] == without_time[1]
    assert first["message"] == TEXT


def test_the_largest_pod_fits_into_an_invocation() -> None:
    labels = {f"{'a' * 253}/{number:063}": "v" * 63 for number in range(200)}
    names = dict.fromkeys(("apiVersion", "kind", "name", "uid"), "一" * 9999)
    for outcome in (Outcome.COPYING, Outcome.REFUSED):
        huge = report(
            outcome=outcome,
            texts=["一" * 9999] * 99,
            generateName="g" * 99999,
            labels=labels,
            ownerReferences=[{"controller": True, **names}],
            annotations={"a": "x" * 262144},
        )
        assert len(json.dumps(Notice.of(huge).as_json())) < 32_000


@pytest.mark.parametrize(
    "event",
    [
        *({"messages": each} for each in ({"ImageKept": "text"}, {"Deleted": ["text", 0]})),
        {"messages": {"ImageKept": ["text", "x"]}},
    ],
)
def test_what_is_no_notice_is_refused(event: Mapping[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the text is nobody's
        Notice.read({**Notice.of(report()).as_json(), **event})


def test_a_notice_is_no_other_query_of_the_api_server() -> None:
    event = {**Notice.of(report()).as_json(), "selectors": {"watch": "true", "limit": "9"}}
    assert Notice.read(event).selectors == ()


@pytest.mark.parametrize("event", [{}, None, [], "x", {"namespace": {}, "involved": []}])
def test_an_empty_notice_has_no_event(event: Any) -> None:
    api = FakeApi()
    reporter = Reporter(api)
    reporter.take(Notice.read(event))
    assert reporter.finish(time.monotonic() + 1)
    assert (api.events, api.looks) == ([], [])


def test_a_review_without_a_report_asks_for_nothing() -> None:
    sent = Sent()
    request = EventRequest(sent.queue)
    request.keep(report())
    for _ in range(3):
        request.send(SECONDS)
    assert len(sent) == 1


def test_a_namespace_asks_sixty_times_a_minute_and_no_other_loses_by_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sent, clock = Sent(), Clock()
    request = EventRequest(sent.queue, clock=clock)
    for number in range(100):
        request.keep(report(number))
        request.send(SECONDS)
    request.keep(report(namespace="other"))
    request.send(SECONDS)
    assert [each["namespace"] for each in sent] == ["team"] * 60 + ["other"]
    clock.now += 60
    request.keep(report())
    assert "40 reviews got no Event" in caplog.text


def test_a_controller_that_tries_for_ever_asks_once_in_five_minutes() -> None:
    sent, clock = Sent(), Clock()
    request = EventRequest(sent.queue, clock=clock)
    for number in range(600):
        clock.now += 1
        request.keep(report(number, Outcome.REFUSED, name="web-0"))
        request.send(SECONDS)
    assert [Notice.read(each).messages[0][2] for each in sent] == [0, 299]
    api = FakeApi()
    reporter = Reporter(api, clock=clock)
    for each in sent:
        clock.now += 300
        reporter.take(Notice.read(each))
        reporter.finish(clock() + 1)
    assert [each["count"] for each in api.events] == [1, 300]


def test_a_call_that_hangs_holds_up_no_review(caplog: pytest.LogCaptureFixture) -> None:
    """The second review does not wait at all, and none does longer than it may."""
    hanging, begun = threading.Event(), threading.Event()

    def queue(_event: Mapping[str, Any]) -> None:
        begun.set()
        hanging.wait(SECONDS)

    request = EventRequest(queue)
    request.keep(report(1))
    request.send(0.01)
    assert begun.wait(SECONDS)
    request.keep(report(2))
    request.send(SECONDS)
    assert "there was no time" in caplog.text
    assert not hanging.is_set()
    hanging.set()


def test_a_review_that_took_all_its_time_asks_for_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sent = Sent()
    request = EventRequest(sent.queue)
    request.keep(report())
    request.send(-0.5)
    request.send(SECONDS)
    assert not sent
    assert "there was no time" in caplog.text


def test_a_failure_is_logged_by_its_kind(caplog: pytest.LogCaptureFixture) -> None:
    def queue(event: Mapping[str, Any]) -> None:
        raise RuntimeError(f"AKIASECRET {event}")

    request = EventRequest(queue, Limits())
    request.keep(report())
    with caplog.at_level(logging.DEBUG):
        request.send(SECONDS)
    assert caplog.messages == ["a review got no Event: RuntimeError"]
