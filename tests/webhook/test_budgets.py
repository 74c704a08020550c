"""What pods may ask of the mirror: counted across replicas, never for images that are there."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from components.mirror.copy_json import day_key
from images.reference import InvalidReference, parse
from tests.webhook.copies_table import Atomic, create_table
from tests.webhook.reviews import OWN, pod, review_of
from webhook import admission
from webhook.admission import Copy, Policy, Presence
from webhook.budgets import DEFAULT, REVIEWS_A_MINUTE, Budgets, Review, counting, hour_key
from webhook.claims import COPIED, MOST_ATTEMPTS, POSTPONED, Claims, Taken
from webhook.copy_reasons import CopyReason
from webhook.mirror import ABSENT_SECONDS, EcrMirror, asynchronous_request

TABLE = "copies"
NINE = 1_790_499_600.0  # 2026-09-27T09:00:00Z
TEAM, OTHER = "team-a", "team-b"


class Clock:
    def __init__(self) -> None:
        self.now = NINE

    def __call__(self) -> float:
        return self.now


class Ecr:
    """A registry without images, or with all; counts its calls."""

    def __init__(self) -> None:
        self.has_all = False
        self.calls = 0

    def describe_images(self, **_request: Any) -> dict[str, Any]:
        self.calls += 1
        if self.has_all:
            return {"imageDetails": [{}]}
        raise ClientError({"Error": {"Code": "ImageNotFoundException"}}, "DescribeImages")


class Counted:
    """Counts the calls of a client by operation."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        def call(**request: Any) -> Any:
            self.calls[name] += 1
            return getattr(self.client, name)(**request)

        return call


class World:
    def __init__(self, client: Any) -> None:
        self.client = Counted(Atomic(client))
        self.ecr = Ecr()
        self.clock = Clock()
        self.requested: list[str] = []

    def mirror(self, follow_seconds: int = 0, **budgets: int) -> EcrMirror:
        claims = Claims(self.client, TABLE, 3600, self.clock, Budgets(**budgets))
        return EcrMirror(
            self.ecr,
            claims,
            self.requested.append,
            prefix="kubeflow",
            follow_seconds=follow_seconds,
            clock=self.clock,
        )

    @property
    def claims(self) -> Claims:
        return Claims(self.client, TABLE, 3600, self.clock)

    def ask(self, mirror: EcrMirror, tag: str, namespace: str = TEAM, **more: Any) -> Any:
        asked: dict[str, Any] = {"start": True, "review": Review(namespace), **more}
        return mirror.ask(parse(f"quay.io/a/b:{tag}"), **asked)

    def row(self, key: str) -> dict[str, Any]:
        answer = self.client.client.get_item(TableName=TABLE, Key={"image": {"S": key}})
        return answer.get("Item", {})


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "cn-north-1")
    with mock_aws():
        client: Any = boto3.client("dynamodb")
        create_table(client, TABLE)
        yield World(client)


def test_a_namespace_has_so_many_new_images_an_hour_and_the_next_one_names_the_way_out(
    world: World,
) -> None:
    mirror = world.mirror(new_images_per_hour=3)
    for tag in range(3):
        assert world.ask(mirror, str(tag)).presence is Presence.COPYING
    world.clock.now += 1800
    met = world.ask(mirror, "3")
    assert (met.presence, met.reason) == (
        Presence.ABSENT,
        (
            "namespace team-a has had 3 new images copied in this hour "
            "(imageMirror.budgets.newImagesPerHour): create the pod again after 10:00 UTC"
        ),
    )
    assert len(world.requested) == 3
    assert world.ask(mirror, "3", OTHER).presence is Presence.COPYING
    world.clock.now += 1800
    assert world.ask(mirror, "4").presence is Presence.COPYING


def test_an_image_waits_for_each_namespace_that_asks_however_soon_after_another(
    world: World,
) -> None:
    mirror = world.mirror()
    for namespace in (TEAM, OTHER, OTHER, "third", TEAM):
        assert world.ask(mirror, "1", namespace).presence is Presence.COPYING
    row = world.row("quay.io/a/b:1")
    assert row["waiting"] == {"S": TEAM}
    assert sorted(row["askers"]["SS"]) == [OTHER, "third"]
    assert len(world.requested) == 1
    # What runs already is nobody's turn any more.
    world.claims.start("quay.io/a/b:1", TEAM)
    assert world.ask(world.mirror(), "1", "late").presence is Presence.COPYING
    assert "late" not in world.row("quay.io/a/b:1")["askers"]["SS"]
    # Nor where its build begins between the look at its row and the write.
    stale = {"waiting": {"S": TEAM}}
    world.claims._wait_too("quay.io/a/b:1", "late", stale)  # pyright: ignore[reportPrivateUsage]
    assert "late" not in world.row("quay.io/a/b:1")["askers"]["SS"]
    # A new claim begins anew.
    world.clock.now += 3601
    assert world.ask(world.mirror(), "1", OTHER).presence is Presence.COPYING
    assert "askers" not in world.row("quay.io/a/b:1")


def test_the_share_of_one_namespace_keeps_no_image_from_another_which_pays_for_it(
    world: World,
) -> None:
    assert world.ask(world.mirror(), "1").presence is Presence.COPYING
    world.client.update_item(
        TableName=TABLE,
        Key={"image": {"S": "quay.io/a/b:1"}},
        UpdateExpression=POSTPONED,
        ExpressionAttributeValues={
            ":reason": {"S": CopyReason.SHARE},
            ":end": {"N": str(int(world.clock.now) + 7200)},
            ":less": {"N": "-1"},
        },
    )
    told = world.ask(world.mirror(), "1")
    assert told.presence is Presence.FAILED
    assert told.reason.startswith("namespace team-a has had its share of the 2000 GiB")
    assert world.ask(world.mirror(), "1", OTHER).presence is Presence.COPYING
    assert len(world.requested) == 2
    counted = [world.row(hour_key(each, world.clock.now))["amount"] for each in (TEAM, OTHER)]
    assert counted == [{"N": "1"}, {"N": "1"}]


def test_who_uses_up_the_attempts_of_an_image_keeps_it_from_nobody_else(world: World) -> None:
    image = "quay.io/a/b:1"
    for _ in range(MOST_ATTEMPTS):
        assert isinstance(world.claims.take(image, namespace=TEAM), Taken)
        world.claims.fail(image, CopyReason.NOT_FOUND)
        world.clock.now += 86400
    told = world.claims.take(image, namespace=TEAM)
    assert isinstance(told, Copy)
    assert told.reason.startswith("tried 8 times")
    assert world.claims.look(image, namespace=TEAM) == told
    assert world.claims.look(image, namespace=OTHER) is None
    assert isinstance(world.claims.take(image, namespace=OTHER), Taken)
    world.claims.fail(image, CopyReason.NOT_FOUND)
    # The pause goes on growing, whoever asks.
    for each in (TEAM, OTHER):
        told = world.claims.take(image, namespace=each)
        assert isinstance(told, Copy)
        assert told.reason == "its registry has no such image"


def test_replicas_and_transports_count_together(world: World) -> None:
    replicas = [world.mirror(new_images_per_hour=10) for _ in range(5)]

    def asked(number: int) -> Presence:
        return world.ask(replicas[number % 5], str(number)).presence

    with ThreadPoolExecutor(10) as threads:
        answers = Counter(threads.map(asked, range(40)))
    assert answers == {Presence.COPYING: 10, Presence.ABSENT: 30}
    assert len(world.requested) == 10
    assert world.row(hour_key(TEAM, NINE))["amount"] == {"N": "10"}


def test_an_image_that_is_asked_for_again_and_again_counts_once(world: World) -> None:
    for _ in range(20):
        # Each time another replica, as after a restart: nothing is remembered.
        world.ask(world.mirror(new_images_per_hour=2), "1")
        world.clock.now += ABSENT_SECONDS
    assert world.requested == ["quay.io/a/b:1"]
    assert world.row(hour_key(TEAM, NINE))["amount"] == {"N": "1"}


def test_a_copy_that_failed_and_is_tried_again_in_the_hour_counts_once(world: World) -> None:
    mirror, claims = world.mirror(new_images_per_hour=1), world.claims
    for requested in (1, 2, 3):
        assert world.ask(mirror, "1").presence is Presence.COPYING
        assert len(world.requested) == requested
        claims.fail("quay.io/a/b:1", CopyReason.NOT_STARTED)
        world.clock.now += 600
    assert world.ask(mirror, "2").presence is Presence.ABSENT
    assert world.row(hour_key(TEAM, NINE))["amount"] == {"N": "1"}
    world.clock.now += 3600
    assert world.ask(mirror, "1").presence is Presence.COPYING
    assert world.row(hour_key(TEAM, NINE + 3600))["amount"] == {"N": "1"}


def test_an_image_beyond_the_budget_is_not_claimed_and_another_namespace_may_have_it(
    world: World,
) -> None:
    mirror = world.mirror(new_images_per_hour=1)
    for tag in ("1", "2"):
        world.ask(mirror, tag)
    assert "waiting" not in world.row("quay.io/a/b:2")
    assert world.ask(mirror, "2", OTHER).presence is Presence.COPYING
    # And whoever met the budget sees the copy that another namespace has paid for.
    world.clock.now += ABSENT_SECONDS
    assert world.ask(mirror, "2").presence is Presence.COPYING


def test_a_met_budget_costs_one_look_at_each_image_and_no_write(world: World) -> None:
    mirror = world.mirror(new_images_per_hour=1)
    for tag in range(3):
        world.ask(mirror, str(tag))
    writes = world.client.calls["update_item"]
    for tag in range(3, 10):
        assert world.ask(mirror, str(tag)).presence is Presence.ABSENT
    assert world.client.calls["update_item"] == writes
    assert world.client.calls["get_item"] == 8


def test_a_dry_run_uses_nothing(world: World) -> None:
    mirror = world.mirror(new_images_per_hour=1)
    for tag in range(5):
        assert world.ask(mirror, str(tag), start=False).reason == ""
    assert not world.client.calls
    assert world.ask(mirror, "1").presence is Presence.COPYING


def test_images_that_are_there_cost_no_write(world: World) -> None:
    world.ecr.has_all = True
    claims = world.claims
    for tag in range(5):
        claims.take(f"quay.io/a/b:{tag}", there=True)
        world.client.update_item(
            TableName=TABLE,
            Key={"image": {"S": f"quay.io/a/b:{tag}"}},
            UpdateExpression=COPIED,
            ExpressionAttributeValues={
                ":digest": {"S": "sha256:0"},
                ":source": {"S": "sha256:0"},
                ":end": {"N": str(int(NINE) + 86400)},
            },
        )
    world.client.calls.clear()
    for _ in range(10):
        mirror = world.mirror(follow_seconds=60)
        for tag in range(5):
            assert world.ask(mirror, str(tag), follow=True).presence is Presence.PRESENT
    assert world.client.calls["update_item"] == 0


def test_a_namespace_has_as_many_old_copies_compared_as_it_may_have_new_ones(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    world.ecr.has_all = True
    replicas = [world.mirror(follow_seconds=60, new_images_per_hour=3) for _ in range(2)]
    for mirror in replicas:
        for tag in range(6):
            assert world.ask(mirror, str(tag), follow=True).presence is Presence.PRESENT
    assert len(world.requested) == 3
    assert "it has had 3 copies compared with their sources this hour" in caplog.text
    assert world.ask(replicas[1], "5", OTHER, follow=True).presence is Presence.PRESENT
    # New images have a count of their own.
    world.ecr.has_all = False
    assert world.ask(replicas[1], "new").presence is Presence.COPYING
    world.clock.now += 3600
    world.ecr.has_all = True
    world.ask(world.mirror(follow_seconds=60, new_images_per_hour=3), "4", follow=True)
    assert world.requested[-1] == "quay.io/a/b:4"


def test_a_budget_that_cannot_be_counted_starts_no_copy(world: World) -> None:
    class Table(Counted):
        def update_item(self, **request: Any) -> Any:
            if request["Key"]["image"]["S"].startswith("#"):
                raise ClientError({"Error": {"Code": "ThrottlingException"}}, "UpdateItem")
            return self.client.update_item(**request)

    world.client = Table(world.client)
    assert world.ask(world.mirror(), "1").presence is Presence.UNKNOWN
    assert world.requested == []
    assert "waiting" not in world.row("quay.io/a/b:1")


def test_a_met_budget_is_one_line_of_the_log_per_review(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    mirror = world.mirror(new_images_per_hour=1)
    caplog.set_level(logging.WARNING)
    obj = pod(*(f"quay.io/a/b:{number}" for number in range(9)))
    admission.review(review_of(obj, namespace=TEAM), POLICY, mirror)
    (line,) = caplog.messages
    assert TEAM in line
    assert "has had 1 new images" in line


class Slow:
    """A client whose calls take 10 ms each, and are counted."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.count = 0

    def __getattr__(self, name: str) -> Any:
        def call(**request: Any) -> Any:
            self.count += 1
            time.sleep(0.01)
            return getattr(self.client, name)(**request)

        return call


class Accepting:
    """A table that takes every write, for a test of time."""

    def update_item(self, **_request: Any) -> dict[str, Any]:
        return {}


POLICY = Policy(registry=OWN)


def test_a_pod_of_ten_thousand_images_is_answered_within_two_seconds() -> None:
    ecr, table, functions = Slow(Ecr()), Slow(Accepting()), Slow(Functions())
    mirror = EcrMirror(
        ecr,
        Claims(table, TABLE, 3600),
        asynchronous_request(functions, "copier"),
        prefix="kubeflow",
    )
    body = review_of(pod(*(f"quay.io/a/b:{number}" for number in range(10_000))))
    start = time.thread_time()
    response = admission.review(body, POLICY, mirror)["response"]
    # Its own work and its calls: what else runs on the machine is no part of an answer.
    calls = ecr.count + table.count + functions.count
    assert time.thread_time() - start + 0.01 * calls < 2
    assert ecr.count <= DEFAULT.images_per_review
    # Each image: claimed, counted and requested.
    assert (table.count, functions.count) == (2 * ecr.count, ecr.count)
    assert len(response["warnings"]) == 16


class Functions:
    def invoke(self, **_request: Any) -> None:
        """Takes the event."""


def test_the_registry_is_asked_so_often_for_one_namespace_and_minute(world: World) -> None:
    mirror, most = world.mirror(images_per_review=2), 2 * REVIEWS_A_MINUTE
    world.ecr.has_all = True
    found = [world.ask(mirror, str(number)).presence for number in range(most)]
    assert found == [Presence.PRESENT] * most
    met = world.ask(mirror, "one-more")
    assert met.presence is Presence.UNKNOWN
    assert met.reason == (
        f"namespace {TEAM} has had {most} images looked up in this minute "
        "(imageMirror.budgets.imagesPerReview): create the pod again in a minute"
    )
    # What is known already costs nothing, and another namespace has its own.
    assert world.ask(mirror, "0").presence is Presence.PRESENT
    assert world.ecr.calls == most
    assert world.ask(mirror, "one-more", OTHER).presence is Presence.PRESENT
    world.clock.now += 60
    assert world.ask(mirror, "two-more").presence is Presence.PRESENT


def test_a_met_bound_of_look_ups_is_one_line_of_the_log_per_review(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    mirror, review = world.mirror(images_per_review=1), Review(TEAM)
    for number in range(REVIEWS_A_MINUTE):
        world.ask(mirror, str(number))
    caplog.clear()
    for number in range(3):
        world.ask(mirror, f"more-{number}", review=review)
    assert len(caplog.records) == 1


def test_a_review_that_asks_for_too_many_says_which_budget(world: World) -> None:
    review = Review(TEAM, 2)
    mirror = world.mirror()
    asked = [world.ask(mirror, str(tag), review=review) for tag in (1, 2, 1, 3)]
    assert [copy.presence for copy in asked[:3]] == [Presence.COPYING] * 3
    assert (asked[3].presence, asked[3].reason) == (
        Presence.UNKNOWN,
        (
            "a pod may name 2 images that this account's registry is asked for "
            "(imageMirror.budgets.imagesPerReview): split the pod"
        ),
    )
    assert world.ecr.calls == 2


@pytest.mark.parametrize("deadline", [NINE + 1, float("inf")])
def test_a_review_asks_for_nothing_after_its_time(world: World, deadline: float) -> None:
    review, mirror = Review(TEAM), world.mirror()
    assert world.ask(mirror, "1", review=review, deadline=deadline).presence is Presence.COPYING
    world.clock.now += 1.6
    late = world.ask(mirror, "2", review=review, deadline=deadline)
    assert (late.presence, late.reason) == (
        Presence.UNKNOWN,
        "the time of this review ended before: create the pod again",
    )
    assert world.ask(mirror, "1", review=review, deadline=deadline).presence is Presence.COPYING
    assert world.ecr.calls == 1


def test_bytes_are_counted_until_the_day_is_full(world: World) -> None:
    key = day_key(NINE)

    def copied(amount: int) -> bool:
        try:
            world.client.update_item(**counting(TABLE, key, amount, 100, NINE))
        except world.client.client.client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    assert [copied(amount) for amount in (60, 50, 40, 1)] == [True, False, True, False]
    assert world.row(key)["amount"] == {"N": "100"}
    assert key == "#bytes/2026-09-27"
    assert day_key(NINE, TEAM) == "#bytes/2026-09-27/team-a"


@pytest.mark.parametrize(
    "key", [hour_key(TEAM, NINE), day_key(NINE), day_key(NINE, TEAM), "#copies"]
)
def test_no_image_has_the_key_of_a_budget(key: str) -> None:
    with pytest.raises(InvalidReference):
        parse(key)


def test_a_day_of_bytes_that_is_used_up_names_the_next_day(world: World) -> None:
    world.claims.take("quay.io/a/b:1")
    world.claims.fail("quay.io/a/b:1", CopyReason.BUDGET)
    assert world.ask(world.mirror(), "1").reason == (
        "the copies of this day have used up 2000 GiB of imageMirror.budgets.gibPerDay: "
        "create the pod again after 00:00 UTC"
    )


def test_a_copy_that_waits_for_the_next_day_has_used_no_attempt(world: World) -> None:
    claims = world.claims
    claims.take("quay.io/a/b:1")
    claims.fail("quay.io/a/b:1", CopyReason.UNKNOWN)
    world.client.update_item(
        TableName=TABLE,
        Key={"image": {"S": "quay.io/a/b:1"}},
        UpdateExpression=POSTPONED,
        ExpressionAttributeValues={
            ":reason": {"S": CopyReason.BUDGET},
            ":end": {"N": str(int(NINE) + 3600)},
            ":less": {"N": "-1"},
        },
    )
    row = world.row("quay.io/a/b:1")
    assert (row["attempts"], row["expires"]) == ({"N": "0"}, {"N": str(int(NINE) + 3600)})


@pytest.mark.parametrize(
    ("text", "budgets"),
    [
        ("{}", DEFAULT),
        ('{"imagesPerReview":5,"gibPerDay":1}', Budgets(images_per_review=5, gib_per_day=1)),
    ],
)
def test_budgets_are_read_as_the_settings_write_them(text: str, budgets: Budgets) -> None:
    assert Budgets.read(text) == budgets


@pytest.mark.parametrize(
    "text", ["[]", '{"imagesPerReview":0}', '{"imagesPerReview":true}', '{"perDay":1}']
)
def test_budgets_of_another_form_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="budget"):
        Budgets.read(text)


@pytest.mark.parametrize(("most", "share"), [(1, 1), (2, 1), (3, 2), (20, 10)])
def test_one_namespace_has_half_of_the_copies(most: int, share: int) -> None:
    assert Budgets(concurrent_copies=most).share_of_copies == share
