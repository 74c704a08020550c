"""Copies wait for their turn: so many at once, fairly, and without using an attempt."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from tests.webhook.copies_table import Atomic, create_table
from tests.webhook.simulated_builds import Clock, CodeBuild
from webhook.admission import Copy
from webhook.budgets import Budgets
from webhook.claims import MOST_ATTEMPTS, WAITING_KEY, Claims, Taken
from webhook.copy_job import CopyJob
from webhook.copy_queue import COPIES_KEY, CopyQueue, Waiting, fair
from webhook.copy_reasons import CopyReason

START = 1_790_499_600
REGISTRY = "111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn/kubeflow"
MINUTE, HOUR = 60, 3600


class World:
    def __init__(self, client: Any, **budgets: int) -> None:
        self.table = Atomic(client)
        self.clock = Clock(START)
        self.builds = CodeBuild(self.table, self.clock)
        self.use(**budgets)

    def use(self, **budgets: int) -> None:
        self.claims = Claims(self.table, "copies", HOUR, self.clock, Budgets(**budgets))
        job = CopyJob(
            builds=lambda: self.builds, claims=self.claims, project="copier", registry=REGISTRY
        )
        self.queue = CopyQueue(claims=self.claims, job=job)

    def claim(self, *images: str, namespace: str) -> None:
        for image in images:
            assert isinstance(self.claims.take(image, namespace=namespace), Taken)

    def request(self, *images: str, namespace: str) -> None:
        """What an admission does, and the event that it sends."""
        for image in images:
            self.claim(image, namespace=namespace)
            self.queue.run(image)

    def minutes(self, number: int, step: int = 1) -> None:
        """Lets time pass; EventBridge's event arrives at each step."""
        for _ in range(0, number, step):
            self.builds.pass_time(step * MINUTE)
            self.queue.run()

    def row(self, key: str) -> dict[str, Any]:
        answer = self.table.get_item(TableName="copies", Key={"image": {"S": key}})
        return answer.get("Item", {})


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "cn-north-1")
    with mock_aws():
        client: Any = boto3.client("dynamodb")
        create_table(client, "copies")
        yield World(client)


def images(name: str, number: int) -> list[str]:
    return [f"quay.io/{name}/b:{tag:03}" for tag in range(number)]


def test_an_image_gets_its_build_at_once(world: World) -> None:
    world.request("quay.io/a/b:1", namespace="team")
    (build,) = world.builds.builds
    assert (build.image, build.began) == ("quay.io/a/b:1", START)
    row = world.row("quay.io/a/b:1")
    assert "waiting" not in row
    assert row["attempts"] == {"N": "1"}


def test_the_search_ends_when_nothing_waits_or_runs(world: World) -> None:
    world.request("quay.io/a/b:1", namespace="team")
    world.builds.pass_time(30)
    world.queue.run()
    assert int(world.row(WAITING_KEY)["expires"]["N"]) > world.clock.now
    world.minutes(1)
    assert world.row(WAITING_KEY)["expires"] == {"N": "0"}


def test_a_build_that_codebuild_dropped_from_its_queue_is_started_again_without_an_attempt(
    world: World,
) -> None:
    world.builds.quota = 1
    world.builds.seconds = lambda image: 40 * 60.0 if image.endswith("000") else 60.0
    world.request(*images("a", 2), namespace="team")
    world.minutes(20)
    assert [build.dropped for build in world.builds.builds] == [False, True]
    assert "attempts" not in world.row("quay.io/a/b:001")
    world.minutes(60, step=5)
    assert "digest" in world.row("quay.io/a/b:001")
    begun = [build.image for build in world.builds.builds if not build.dropped]
    assert begun == images("a", 2)


def test_the_others_wait_and_are_copied_in_the_order_they_were_asked_for(world: World) -> None:
    world.use(concurrent_copies=2)
    wanted = images("a", 7)
    for image in wanted:
        world.request(image, namespace="team-a" if image in wanted[::2] else "team-b")
        world.clock.now += 1
    assert len(world.builds.open) == 2
    world.minutes(10)
    assert [build.image for build in world.builds.builds] == wanted
    assert {world.row(image)["digest"]["S"] for image in wanted} == {"sha256:0"}


def test_one_namespaces_flood_makes_no_other_wait(world: World) -> None:
    world.builds.seconds = lambda image: None if "/flood/" in image else 60.0
    world.use(concurrent_copies=8)
    world.request(*images("flood", 20), namespace="flood")
    assert len(world.builds.open) == 4
    world.minutes(3)
    world.request(*images("team", 4), namespace="team")
    assert len(world.builds.of("quay.io/team")) == 4
    world.minutes(2)
    assert all(world.row(image).get("digest") for image in images("team", 4))


def test_an_image_in_a_flood_begins_in_the_turn_of_whoever_else_asks_for_it(world: World) -> None:
    world.builds.seconds = lambda image: 60.0 if image.endswith("029") else None
    world.use(concurrent_copies=8)
    flood = images("popular", 30)
    world.request(*flood, namespace="flood")
    assert len(world.builds.open) == 4
    asked = world.claims.take(flood[-1], namespace="team")
    assert isinstance(asked, Copy)
    world.claims.take(flood[-1], namespace="third")
    world.minutes(2)
    assert "digest" in world.row(flood[-1])
    assert world.row(flood[-1])["claimant"] == {"S": "team"}
    assert "askers" not in world.row(flood[0])


def test_three_floods_of_slow_copies_make_another_wait_for_less_than_one(
    world: World,
) -> None:
    # Slow copies, and three floods that go on: all places are taken, and others wait for them.
    world.builds.seconds = lambda image: 60.0 if "/team/" in image else 20 * 60.0
    world.use(concurrent_copies=8)
    for minute in range(0, 40, 4):
        for flood in ("a", "b", "c"):
            world.request(f"quay.io/{flood}/b:{minute:03}", namespace=f"flood-{flood}")
        world.minutes(4, step=4)
        assert len(world.builds.open) <= 8
    assert len(world.builds.open) == 8
    asked = world.clock.now
    world.request(*images("team", 3), namespace="team")
    world.minutes(20, step=2)
    waited = [build.started - asked for build in world.builds.of("quay.io/team")]
    assert len(waited) == 3
    assert max(waited) < 10 * MINUTE


def test_an_account_of_one_build_copies_everything_in_the_end_and_each_image_once(
    world: World,
) -> None:
    world.builds.quota = 1
    wanted = images("a", 15)
    for image in wanted:
        world.request(image, namespace=f"team-{image[-1]}")
    assert len(world.builds.builds) == 6  # one runs and five are queued by CodeBuild
    world.minutes(18)
    assert Counter(build.image for build in world.builds.builds) == dict.fromkeys(wanted, 1)
    assert all(world.row(image).get("digest") for image in wanted)


@pytest.mark.parametrize("code", ["AccountLimitExceededException", "ThrottlingException"])
def test_an_image_that_merely_waited_has_all_its_attempts(world: World, code: str) -> None:
    world.builds.refusals = [code] * 10_000
    world.request("quay.io/a/b:1", namespace="team")
    world.minutes(5 * 60, step=20)
    row = world.row("quay.io/a/b:1")
    assert "attempts" not in row
    assert "waiting" in row
    assert int(row["expires"]["N"]) > world.clock.now
    world.builds.refusals = []
    world.minutes(2)
    row = world.row("quay.io/a/b:1")
    assert "digest" in row
    assert world.builds.builds[0].started == START + 301 * MINUTE


def test_an_image_that_nobody_asks_for_any_more_does_not_wait_for_ever(world: World) -> None:
    world.builds.refusals = ["AccountLimitExceededException"] * 10_000
    world.request("quay.io/a/b:1", namespace="team")
    world.minutes(8 * 60, step=20)
    assert int(world.row("quay.io/a/b:1")["expires"]["N"]) < world.clock.now
    assert int(world.row(WAITING_KEY)["expires"]["N"]) == 0
    assert isinstance(world.claims.take("quay.io/a/b:1", namespace="team"), Taken)


def test_one_refusal_ends_the_round_so_that_codebuild_is_not_asked_for_each(world: World) -> None:
    world.claim(*images("a", 10), namespace="team")
    world.claims.call_later()
    world.clock.now += 10
    world.builds.refusals = ["AccountLimitExceededException"] * 10
    assert world.queue.run() == (0, 10)
    assert len(world.builds.refusals) == 9


def test_a_copy_that_cannot_be_started_frees_its_place_and_is_an_attempt(world: World) -> None:
    world.use(concurrent_copies=1)
    world.builds.refusals = ["AccessDeniedException"]
    world.request(*images("a", 2), namespace="team")
    first, second = (world.row(image) for image in images("a", 2))
    assert (first["reason"], first["attempts"]) == ({"S": "not-started"}, {"N": "1"})
    assert "waiting" not in first
    assert second["attempts"] == {"N": "1"}


def test_what_is_no_image_is_recorded_and_frees_its_place(world: World) -> None:
    world.request("quay.io/a/b:1; rm -rf /", namespace="team")
    assert world.row("quay.io/a/b:1; rm -rf /")["reason"] == {"S": "not-started"}
    assert world.row(COPIES_KEY)["running"] == {"M": {}}
    assert world.builds.builds == []


def test_a_copy_that_fails_is_tried_again_by_a_build_of_its_own_until_a_person_has_to(
    world: World,
) -> None:
    world.builds.failing.add("quay.io/a/b:1")
    world.builds.seconds = lambda _: 30.0
    for _ in range(80):
        if isinstance(world.claims.take("quay.io/a/b:1", namespace="team"), Taken):
            world.queue.run("quay.io/a/b:1")
        world.builds.pass_time(10 * MINUTE)
    assert len(world.builds.builds) == MOST_ATTEMPTS


def test_a_copy_that_never_has_a_result_gives_its_place_back_when_its_claim_ends(
    world: World,
) -> None:
    world.use(concurrent_copies=1)
    world.builds.seconds = lambda image: None if image.endswith("000") else 60.0
    world.request(*images("a", 2), namespace="team")
    world.minutes(55, step=5)
    assert len(world.builds.builds) == 1
    world.minutes(15, step=5)
    assert "digest" in world.row("quay.io/a/b:001")


def test_a_function_that_ends_between_place_and_build_loses_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(_self: object, *_images: object, **_more: object) -> str:
        raise KeyboardInterrupt

    world.claim("quay.io/a/b:1", namespace="team")
    with monkeypatch.context() as patch:
        patch.setattr(CopyJob, "start", killed)
        with pytest.raises(KeyboardInterrupt):
            world.queue.run("quay.io/a/b:1")
    # Lambda's own second attempt, while the place looks taken.
    world.clock.now += 60
    assert world.queue.run("quay.io/a/b:1") == (0, 1)
    world.minutes(2)
    assert [build.image for build in world.builds.builds] == ["quay.io/a/b:1"]


def test_any_number_of_functions_at_once_start_no_copy_more(world: World) -> None:
    world.use(concurrent_copies=5)
    world.builds.seconds = lambda _: None
    wanted = [(image, f"team-{place % 4}") for place, image in enumerate(images("a", 12))]
    for image, namespace in wanted:
        world.claim(image, namespace=namespace)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(world.queue.run, [image for image, _ in wanted]))
    assert len(world.builds.open) == 5
    assert len({build.image for build in world.builds.open}) == 5


def test_a_waiting_image_that_somebody_tells_of_meanwhile_is_not_forgotten(world: World) -> None:
    world.claims.call_later()
    scan = world.table.scan
    told = threading.Event()

    class Meanwhile(Atomic):
        def scan(self, **request: Any) -> Any:
            answer = scan(**request)
            world.claims.call_later()
            told.set()
            return answer

    CopyQueue(
        claims=Claims(Meanwhile(world.table), "copies", HOUR, world.clock, world.claims.budgets),
        job=world.queue.job,
    ).run()
    assert told.is_set()
    assert int(world.row(WAITING_KEY)["expires"]["N"]) > world.clock.now


def test_a_claim_that_its_admission_may_still_give_back_is_left_alone(world: World) -> None:
    world.claims.call_later()
    world.claim("quay.io/a/b:1", namespace="team")
    assert world.queue.run() == (0, 0)
    world.claims.call_later()
    world.clock.now += 6
    assert world.queue.run() == (1, 0)


def test_a_result_ends_the_waiting_of_an_image_that_another_build_copied(world: World) -> None:
    world.claims.call_later()
    world.claim("quay.io/a/b:1", namespace="team")
    world.claims.fail("quay.io/a/b:1", CopyReason.NOT_FOUND)
    world.clock.now += 6
    assert world.queue.run() == (0, 0)
    assert world.builds.builds == []


def test_where_nothing_waits_the_search_is_one_read(world: World) -> None:
    class Reads:
        def batch_get_item(self, **request: Any) -> dict[str, Any]:
            ((_, asked),) = request["RequestItems"].items()
            assert asked["Keys"] == [{"image": {"S": WAITING_KEY}}]
            return {"Responses": {}}

    claims = Claims(Reads(), "copies", HOUR, world.clock)
    assert CopyQueue(claims=claims, job=world.queue.job).run() == (0, 0)


def test_an_event_of_an_image_that_is_not_claimed_starts_nothing(world: World) -> None:
    assert world.queue.run("quay.io/a/b:1") == (0, 0)
    world.request("quay.io/a/b:1", namespace="team")
    assert world.queue.run("quay.io/a/b:1") == (0, 0)
    assert len(world.builds.builds) == 1


def test_a_table_that_gives_no_answer_is_an_error_for_lambdas_own_retry(world: World) -> None:
    class Broken:
        def batch_get_item(self, **_request: Any) -> dict[str, Any]:
            code = {"Code": "ProvisionedThroughputExceededException"}
            raise ClientError({"Error": code}, "BatchGetItem")

    queue = CopyQueue(claims=Claims(Broken(), "copies", HOUR), job=world.queue.job)
    with pytest.raises(ClientError):
        queue.run("quay.io/a/b:1")


@pytest.mark.parametrize(
    ("waiting", "running", "most", "share", "begins"),
    [
        pytest.param("a1 a2 b1", "", 2, 2, "a1 b1", id="in turns"),
        pytest.param("a1 a2 b9", "a b", 4, 4, "a1 b9", id="in turns beside what runs"),
        pytest.param("a1 a2 b9", "a a", 3, 3, "b9", id="the fewest first"),
        pytest.param("a1 a2 a3", "", 4, 2, "a1 a2", id="no more than a share"),
        pytest.param("a1 a2", "a a b", 4, 2, "", id="a place that nobody may have"),
        pytest.param("a2 a1", "", 9, 9, "a1 a2", id="the older first"),
        pytest.param("a1", "b b b", 3, 9, "", id="all places are taken"),
        pytest.param("a1 a2 a3+b", "", 2, 2, "a1 a3+b", id="one that another asked for, too"),
        pytest.param("a1+b", "", 2, 2, "a1+b", id="of two that asked, one copy"),
    ],
)
def test_copies_begin_in_turns(
    waiting: str, running: str, most: int, share: int, begins: str
) -> None:
    found = [
        Waiting(name, name[0], int(name[1]), others=frozenset(name[3:])) for name in waiting.split()
    ]
    chosen = fair(found, running.split(), most, share)
    assert [each.image for each in chosen] == begins.split()
