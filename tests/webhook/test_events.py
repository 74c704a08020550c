"""Events about images: on the right object, few, and never at the cost of a review.

Real API servers take them in ``tests/cluster/test_image_mirror_events.py``.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from webhook.cluster_api import CallRefused
from webhook.event_notices import Limits
from webhook.events import Reporter
from webhook.outcomes import ANNOTATION, Finding, Outcome, Report, annotation

TEXT = "quay.io/a/b:1 is being copied to this account's registry"


@dataclass
class FakeApi:
    """Pods of one cluster, and the Events that were posted; each call may fail."""

    stored: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    events: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    looks: list[Mapping[str, str]] = field(default_factory=list[Mapping[str, str]])
    failure: Exception | None = None

    def pods(self, namespace: str, selectors: Mapping[str, str]) -> Sequence[Mapping[str, Any]]:
        self.looks.append(selectors)
        if self.failure:
            raise self.failure
        return [pod for pod in self.stored if pod["namespace"] == namespace]

    def create_event(self, namespace: str, event: Mapping[str, Any]) -> None:
        if self.failure:
            raise self.failure
        assert namespace == event["metadata"]["namespace"] == event["involvedObject"]["namespace"]
        self.events.append(dict(event))


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def report(
    number: int = 1,
    outcome: Outcome = Outcome.COPYING,
    namespace: str = "team",
    *,
    created: bool = True,
    texts: Sequence[str] = (TEXT,),
    **metadata: Any,
) -> Report:
    findings = [Finding(outcome, "quay.io/a/b:1", "own/quay.io/a/b:1", text) for text in texts]
    of_pod = metadata or {"generateName": "web-", "labels": {"app": "web"}}
    return Report(f"review-{number}", namespace, of_pod, findings, created)


def stored(number: int, name: str, namespace: str = "team") -> dict[str, Any]:
    value = annotation(f"review-{number}", report(number).findings)
    metadata = {"name": name, "uid": f"uid-of-{name}", "annotations": {ANNOTATION: value}}
    return {**metadata, "namespace": namespace}


@dataclass
class World:
    """A reporter with its cluster and its time."""

    api: FakeApi = field(default_factory=FakeApi)
    clock: Clock = field(default_factory=Clock)
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        self.reporter = Reporter(self.api, "pod-1", self.limits, self.clock)

    def later(self, seconds: float) -> None:
        """Turns once a second for so long."""
        for _ in range(int(seconds)):
            self.clock.now += 1
            self.reporter.turn()

    @property
    def posted(self) -> list[tuple[str, str, str]]:
        return [
            (each["involvedObject"]["name"], each["reason"], each["type"])
            for each in self.api.events
        ]


def test_a_pod_is_found_by_the_review_in_its_annotation() -> None:
    world = World()
    world.api.stored = [stored(2, "web-other"), stored(1, "web-x7k2p")]
    world.reporter.offer(report())
    world.later(3)
    (event,) = world.api.events
    assert event["involvedObject"] == {
        "apiVersion": "v1",
        "kind": "Pod",
        "name": "web-x7k2p",
        "namespace": "team",
        "uid": "uid-of-web-x7k2p",
    }
    assert (event["reason"], event["type"], event["message"]) == ("ImageCopying", "Normal", TEXT)
    assert world.api.looks == [{"labelSelector": "app=web"}]


def test_pods_of_one_controller_are_found_by_one_call() -> None:
    world = World()
    world.api.stored = [stored(number, f"web-{number}") for number in range(20)]
    for number in range(20):
        world.reporter.offer(report(number))
    world.later(3)
    assert (len(world.api.events), len(world.api.looks)) == (20, 1)


def test_a_pod_that_takes_a_while_is_found_and_one_that_never_comes_is_given_up() -> None:
    world = World()
    world.reporter.offer(report(1))
    world.reporter.offer(report(2))
    world.later(4)
    world.api.stored = [stored(1, "late")]
    world.later(200)
    assert [name for name, *_ in world.posted] == ["late"]
    assert len(world.api.looks) == 3


def test_a_pod_with_a_name_is_asked_for_by_it_and_its_uid_is_not_taken_from_its_author() -> None:
    world = World()
    world.api.stored = [stored(1, "web-0")]
    world.reporter.offer(report(name="web-0", uid="forged"))
    world.later(3)
    assert world.api.looks == [{"fieldSelector": "metadata.name=web-0"}]
    assert world.api.events[0]["involvedObject"]["uid"] == "uid-of-web-0"


def test_a_pod_that_was_changed_later_needs_no_search() -> None:
    world = World()
    world.reporter.offer(report(created=False, name="web-0", uid="u"))
    world.later(1)
    assert (world.posted[0][0], world.api.looks) == ("web-0", [])


@pytest.mark.parametrize("kind", ["ReplicaSet", "Job", "StatefulSet", "Workflow"])
def test_a_refused_pod_is_told_to_its_controller(kind: str) -> None:
    world = World()
    owner = {"apiVersion": "x/v1", "kind": kind, "name": "web", "uid": "u", "controller": True}
    owners = [{"kind": "Other", "name": "o", "uid": "o"}, owner]
    world.reporter.offer(report(1, Outcome.REFUSED, generateName="web-", ownerReferences=owners))
    world.later(1)
    (event,) = world.api.events
    assert event["involvedObject"]["kind"] == kind
    assert (event["involvedObject"]["name"], event["involvedObject"]["uid"]) == ("web", "u")
    assert (event["type"], world.api.looks) == ("Warning", [])


@pytest.mark.parametrize("metadata", [{"name": "alone"}, {"generateName": "alone"}])
def test_a_refused_pod_without_controller_is_named_as_its_author_did(metadata: Any) -> None:
    world = World()
    owners: Any = [{"kind": "Other", "name": "o", "uid": "o"}, 7]
    world.reporter.offer(report(1, Outcome.REFUSED, ownerReferences=owners, **metadata))
    world.later(1)
    assert world.api.events[0]["involvedObject"] == {
        "apiVersion": "v1",
        "kind": "Pod",
        "name": "alone",
        "namespace": "team",
    }


def test_a_controller_that_tries_for_ever_gets_one_event_in_five_minutes() -> None:
    world = World()
    for number in range(1000):
        world.reporter.offer(report(number, Outcome.REFUSED, name="web-0"))
        world.later(1)
    assert [each["count"] for each in world.api.events] == [1, 300, 300, 300]


def test_a_flood_of_pods_costs_sixty_events_a_minute_and_no_other_namespace(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    world.api.stored = [stored(number, f"web-{number}") for number in range(5000)]
    world.api.stored.append(stored(9999, "other", "quiet"))
    for number in range(5000):
        world.reporter.offer(report(number))
    world.reporter.offer(report(9999, namespace="quiet"))
    with caplog.at_level(logging.WARNING, "webhook"):
        world.later(61)
    assert len(world.posted) == 61
    assert world.posted[-1][0] == "other" or world.posted[0][0] == "other"
    assert "4940 reviews got no Event" in caplog.text


def test_many_namespaces_are_bounded_together() -> None:
    world = World()
    for number in range(5000):
        world.reporter.offer(report(number, namespace=f"team-{number}"))
    world.later(3)
    assert len(world.api.looks) == world.limits.waiting


def test_a_report_keeps_nothing_of_a_large_pod() -> None:
    world = World()
    labels = {f"label-{number}": "x" * 60 for number in range(1000)}
    texts = [f"{number} {'x' * 500}" for number in range(10_000)]
    world.reporter.offer(report(1, texts=texts, generateName="w" * 5000, labels=labels))
    world.later(3)
    (look,) = world.api.looks
    assert len(look["labelSelector"]) < 1000
    world.api.stored = [stored(1, "found")]
    world.later(5)
    message = world.api.events[0]["message"]
    assert len(message) <= 1000
    assert message.endswith("; and 9997 more")


@pytest.mark.parametrize(
    "failure", [CallRefused("403"), TimeoutError("a token"), ValueError("a body")]
)
def test_a_failing_api_server_is_logged_by_kind_and_asked_again(
    failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    world = World()
    world.api.stored = [stored(1, "web-1")]
    world.api.failure = failure
    world.reporter.offer(report())
    with caplog.at_level(logging.WARNING, "webhook"):
        world.later(3)
    kind = "answers 403" if isinstance(failure, CallRefused) else type(failure).__name__
    assert kind in caplog.text
    assert "a token" not in caplog.text
    world.api.failure = None
    world.later(30)
    assert world.posted == [("web-1", "ImageCopying", "Normal")]


def test_a_silent_api_server_is_called_once_in_ten_seconds() -> None:
    world = World()
    world.api.failure = TimeoutError()
    for number in range(100):
        world.reporter.offer(report(number, namespace=f"team-{number}"))
    world.later(60)
    assert len(world.api.looks) <= 6


@pytest.mark.parametrize("namespace", ["", "..", "a/b", "A", "a" * 64, "team\n"])
def test_what_is_no_namespace_reaches_no_path(namespace: str) -> None:
    world = World()
    world.reporter.offer(report(1, Outcome.REFUSED, namespace, name="x"))
    world.later(3)
    assert (world.api.events, world.api.looks) == ([], [])


@pytest.mark.parametrize(
    "metadata",
    [
        {"name": 7, "labels": [], "ownerReferences": {}},
        {"generateName": None, "labels": {"a b": "c", "x": 1, "y": "a,b=c"}, "uid": []},
        {"ownerReferences": [[], {"controller": True, "uid": {}, "name": []}]},
    ],
)
@pytest.mark.parametrize("outcome", [Outcome.COPYING, Outcome.REFUSED])
def test_odd_metadata_is_no_error(metadata: Any, outcome: Outcome) -> None:
    world = World()
    world.reporter.offer(report(1, outcome, **metadata))
    world.later(30)
    assert all(set(look) == {"labelSelector"} for look in world.api.looks)


def test_an_offer_takes_microseconds_also_while_a_call_hangs() -> None:
    begun, released = threading.Event(), threading.Event()

    class Hanging(FakeApi):
        def create_event(self, namespace: str, event: Mapping[str, Any]) -> None:
            begun.set()
            released.wait(300)

    reporter = Reporter(Hanging())
    reporter.start()
    reporter.offer(report(1, Outcome.REFUSED, name="x"))
    assert begun.wait(300)
    begin = time.thread_time()
    for number in range(20_000):
        reporter.offer(report(number, namespace=f"team-{number % 500}"))
    assert (time.thread_time() - begin) / 20_000 < 0.0005
    # None waited for the call.
    assert not released.is_set()
    released.set()


# -- copies that fail after the review ------------------------------------------------------------

FAILED = "quay.io/a/b:1 could not be copied to this account's registry: there is no such image"


def waiting(number: int = 1, **more: Any) -> Report:
    made = report(number, **more)
    findings = [each._replace(awaited="quay.io/a/b:1") for each in made.findings]
    return replace(made, findings=findings)


@dataclass
class Copies:
    """The table of copies: the answer to each look, the last of them for ever."""

    answers: list[str | None]
    looks: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def __call__(self, image: str, namespace: str) -> str | None:
        self.looks.append((image, namespace))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def copying(answers: list[str | None], **limits: Any) -> tuple[World, Copies]:
    """A world with pods "web-1" to "web-9", and the looks at copies."""
    world, copies = World(limits=Limits(**limits)), Copies(answers)
    world.reporter.failure_of_copy = copies
    world.api.stored = [stored(number, f"web-{number}") for number in range(1, 10)]
    return world, copies


def test_a_copy_that_fails_later_is_told_to_the_pod_that_waits_for_it() -> None:
    world, copies = copying(["", "", FAILED])
    world.reporter.offer(waiting())
    world.later(100)
    assert world.posted == [("web-1", "ImageCopying", "Normal")]
    world.later(100)
    assert world.posted[1:] == [("web-1", "ImageCopyFailed", "Warning")]
    assert world.api.events[1]["involvedObject"] == world.api.events[0]["involvedObject"]
    assert world.api.events[1]["message"] == FAILED
    assert copies.looks == [("quay.io/a/b:1", "team")] * 3
    world.later(200)
    assert len(copies.looks) == 3


def test_a_copy_that_came_or_takes_too_long_is_looked_at_no_more() -> None:
    world, copies = copying([None])
    world.reporter.offer(waiting())
    world.later(200)
    assert len(copies.looks) == 1
    world, copies = copying([""], copy_seconds=90.0, pause_seconds=45.0)
    world.reporter.offer(waiting())
    world.later(400)
    assert len(copies.looks) == 2
    assert len(world.posted) == 1


def test_one_look_answers_for_all_pods_and_the_minute_bounds_their_events() -> None:
    world, copies = copying([FAILED], a_minute=9)
    for number in range(1, 10):
        world.reporter.offer(waiting(number))
    world.later(90)
    assert len(copies.looks) == 1
    assert len(world.posted) == 18
    world, copies = copying([FAILED], a_minute=2, pause_seconds=5.0)
    for number in (1, 2):
        world.reporter.offer(waiting(number))
    world.later(40)
    assert len(world.posted) < 4


def test_copies_that_are_looked_at_are_bounded() -> None:
    world, copies = copying([""], copies=2, pause_seconds=5.0)
    for number in range(1, 10):
        made = report(number)
        findings = [each._replace(awaited=f"quay.io/a/b:{number}") for each in made.findings]
        world.reporter.offer(replace(made, findings=findings))
    world.later(20)
    assert len(world.posted) == 9
    assert len(set(copies.looks)) == 2


def test_an_api_server_that_falls_silent_hears_of_the_other_copies_later() -> None:
    world, copies = copying([""], pause_seconds=5.0)
    for number in range(1, 10):
        world.reporter.offer(waiting(number))
    world.later(3)
    copies.answers, world.api.failure = [FAILED], TimeoutError()
    world.later(6)
    world.api.failure = None
    world.later(20)
    failed = [name for name, reason, _ in world.posted if reason == "ImageCopyFailed"]
    assert len(failed) == 8


def test_a_table_without_answers_holds_up_one_turn_of_twenty_looks_only() -> None:
    world, copies = copying([""], pause_seconds=5.0)
    findings = [
        report().findings[0]._replace(awaited=f"quay.io/a/b:{number}") for number in range(50)
    ]
    world.reporter.offer(replace(report(), findings=findings))
    world.later(7)
    assert len(copies.looks) == 20
    world.later(2)
    assert len(set(copies.looks)) == 50


def test_a_refused_pod_waits_for_nothing() -> None:
    world, copies = copying([FAILED])
    made = waiting()
    refused = [*made.findings, made.findings[0]._replace(outcome=Outcome.REFUSED)]
    world.reporter.offer(replace(made, findings=refused))
    world.later(100)
    assert copies.looks == []
