"""What is known about copies, and that each missing one is requested once."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError
from moto import mock_aws

from images.reference import Reference, parse
from tests.webhook.copies_table import Atomic, create_table
from webhook.admission import Presence
from webhook.budgets import DEFAULT, Budgets, Review
from webhook.claims import BEGUN, COPIED, FAILED, MOST_ATTEMPTS, RETRY_SECONDS, WAITING_KEY, Claims
from webhook.copy_reasons import CopyReason, words
from webhook.mirror import (
    ABSENT_SECONDS,
    PRESENT_SECONDS,
    SILENT_SECONDS,
    EcrMirror,
    asynchronous_request,
    target_tag,
)

SHA = "sha256:" + "0123456789abcdef" * 4
IMAGE = parse("quay.io/a/b:1")
ABSENT = "ImageNotFoundException"
DAY = 86400


def refused(code: str, **more: Any) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": "secret-in-the-message"}, **more}
    return ClientError(response, "Call")


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Ecr:
    error: Exception | None = None
    pushed: float = 0.0
    calls: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def describe_images(self, **request: Any) -> dict[str, Any]:
        self.calls.append(request)
        if self.error:
            raise self.error
        pushed = datetime.fromtimestamp(self.pushed, UTC)
        return {"imageDetails": [{"imagePushedAt": pushed}]}


@dataclass
class World:
    """One mirror with everything around it replaced."""

    ecr: Ecr
    table: Any
    clock: Clock = field(default_factory=Clock)
    requested: list[str] = field(default_factory=list[str])
    seconds: int = 3600
    budgets: Budgets = DEFAULT

    def mirror(self, failure: Exception | None = None) -> EcrMirror:
        def request(image: str) -> None:
            if failure:
                raise failure
            self.requested.append(image)

        return EcrMirror(
            self.ecr, self.claims, request, prefix="kubeflow", follow_seconds=DAY, clock=self.clock
        )

    @property
    def claims(self) -> Claims:
        return Claims(self.table, "in-flight", self.seconds, self.clock, self.budgets)

    def row(self, key: str) -> dict[str, Any]:
        answer = self.table.get_item(TableName="in-flight", Key={"image": {"S": key}})
        return answer.get("Item", {})


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "cn-north-1",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def table() -> Iterator[Any]:
    with mock_aws():
        client: Any = boto3.client("dynamodb")
        create_table(client, "in-flight")
        yield client


@pytest.fixture
def world(table: Any) -> World:
    return World(Ecr(refused(ABSENT)), table)


@pytest.mark.parametrize(
    ("suffix", "identifier"), [("", {"imageTag": "1"}), (f"@{SHA}", {"imageDigest": SHA})]
)
def test_a_present_image_is_asked_for_in_its_own_repository(
    table: Any, suffix: str, identifier: dict[str, str]
) -> None:
    world = World(Ecr(), table)
    copy = world.mirror().ask(parse(f"{IMAGE}{suffix}"), start=True)
    assert copy.presence is Presence.PRESENT
    assert world.ecr.calls == [{"repositoryName": "kubeflow/quay.io/a/b", "imageIds": [identifier]}]
    assert world.requested == []


@pytest.mark.parametrize("code", [ABSENT, "RepositoryNotFoundException"])
def test_an_absent_image_is_requested(world: World, code: str) -> None:
    world.ecr.error = refused(code)
    assert world.mirror().ask(IMAGE, start=True).presence is Presence.COPYING
    assert world.requested == ["quay.io/a/b:1"]


def test_a_dry_run_requests_nothing(world: World) -> None:
    mirror = world.mirror()
    assert mirror.ask(IMAGE, start=False).presence is Presence.ABSENT
    assert world.requested == []
    assert mirror.ask(IMAGE, start=True).presence is Presence.COPYING


def test_fifty_replicas_request_one_copy(world: World) -> None:
    world.table = Atomic(world.table)
    replicas = [world.mirror() for _ in range(50)]
    with ThreadPoolExecutor(16) as pool:
        asked = [pool.submit(replica.ask, IMAGE, start=True) for replica in replicas]
        answers = [one.result() for one in asked]
    assert {answer.presence for answer in answers} == {Presence.COPYING}
    assert world.requested == ["quay.io/a/b:1"]


def test_an_expired_claim_is_taken_again(world: World) -> None:
    world.mirror().ask(IMAGE, start=True)
    world.clock.now += world.seconds - 1
    world.mirror().ask(IMAGE, start=True)
    assert len(world.requested) == 1
    world.clock.now += 2
    world.mirror().ask(IMAGE, start=True)
    assert len(world.requested) == 2


def test_a_claim_carries_the_time_the_table_deletes_it(world: World) -> None:
    world.mirror().ask(IMAGE, start=True)
    row = world.table.get_item(TableName="in-flight", Key={"image": {"S": "quay.io/a/b:1"}})["Item"]
    assert row["expires"] == {"N": str(1000 + world.seconds)}
    assert "attempts" not in row


def test_a_request_that_fails_is_remembered_with_its_reason_and_tried_again(world: World) -> None:
    failing = world.mirror(refused("AccessDeniedException"))
    first = failing.ask(IMAGE, start=True)
    assert first.presence is Presence.FAILED
    other = world.mirror().ask(IMAGE, start=True)
    assert other.presence is Presence.FAILED
    assert other.reason == words(CopyReason.NOT_REQUESTED)
    world.clock.now += RETRY_SECONDS + 1
    assert world.mirror().ask(IMAGE, start=True).presence is Presence.COPYING


def test_each_further_failure_is_left_alone_for_twice_as_long(world: World) -> None:
    failing = refused("AccessDeniedException")
    for waited in (RETRY_SECONDS, 2 * RETRY_SECONDS, 4 * RETRY_SECONDS):
        assert world.mirror(failing).ask(IMAGE, start=True).presence is Presence.FAILED
        world.clock.now += waited - 1
        world.mirror().ask(IMAGE, start=True)
        assert world.requested == []
        world.clock.now += 2


def test_an_image_that_always_fails_is_left_to_a_person_in_the_end(world: World) -> None:
    for _ in range(MOST_ATTEMPTS):
        world.mirror(refused("AccessDeniedException")).ask(IMAGE, start=True)
        world.clock.now += RETRY_SECONDS * 2**MOST_ATTEMPTS
    last = world.mirror().ask(IMAGE, start=True)
    assert last.presence is Presence.FAILED
    assert f"tried {MOST_ATTEMPTS} times" in last.reason
    assert words(CopyReason.NOT_REQUESTED) in last.reason
    assert "`./kf images mirror`" in last.reason
    assert world.requested == []


def test_builds_that_never_bring_the_image_are_bounded_too(world: World) -> None:
    for _ in range(MOST_ATTEMPTS + 3):
        requested = len(world.requested)
        world.mirror().ask(IMAGE, start=True)
        if len(world.requested) > requested:
            begun(world)
        world.clock.now += world.seconds + 1
    assert len(world.requested) == MOST_ATTEMPTS


def test_an_image_that_only_waited_has_used_no_attempt(world: World) -> None:
    for _ in range(MOST_ATTEMPTS + 3):
        assert world.mirror().ask(IMAGE, start=True).presence is Presence.COPYING
        world.clock.now += world.seconds + 1
    assert len(world.requested) == MOST_ATTEMPTS + 3


@pytest.mark.parametrize(
    "failure",
    [
        refused("TooManyRequestsException"),
        refused("ServiceException", ResponseMetadata={"HTTPStatusCode": 503}),
        ConnectTimeoutError(endpoint_url="https://x"),
    ],
)
def test_a_request_that_lambda_does_not_take_now_waits_for_the_copiers_own_search(
    world: World, failure: Exception
) -> None:
    assert world.mirror(failure).ask(IMAGE, start=True).presence is Presence.COPYING
    row = world.row(str(IMAGE))
    assert "reason" not in row
    assert row["waiting"] == {"S": ""}
    assert int(world.row(WAITING_KEY)["expires"]["N"]) > world.clock.now


def test_an_image_that_waits_for_a_build_is_told_so(world: World) -> None:
    world.mirror().ask(IMAGE, start=True)
    world.clock.now += 61
    told = world.mirror().ask(IMAGE, start=True)
    assert told.presence is Presence.COPYING
    assert told.reason == (
        "it waits for one of the 20 copies that run at once (imageMirror.budgets.concurrentCopies)"
    )
    world.claims.start(str(IMAGE), "")
    assert world.mirror().ask(IMAGE, start=True).reason == ""


def begun(world: World) -> None:
    """What the copier writes, and then the build when it has a machine."""
    world.claims.start(str(IMAGE), "")
    numbers = {":now": int(world.clock.now), ":half": RETRY_SECONDS // 2, ":one": 1}
    world.table.update_item(
        TableName="in-flight",
        Key={"image": {"S": str(IMAGE)}},
        UpdateExpression=BEGUN,
        ExpressionAttributeValues={name: {"N": str(number)} for name, number in numbers.items()},
    )


def copied(world: World, digest: str) -> None:
    """What the build writes when it has compared the copy with its source."""
    world.table.update_item(
        TableName="in-flight",
        Key={"image": {"S": str(IMAGE)}},
        UpdateExpression=COPIED,
        ExpressionAttributeValues={
            ":digest": {"S": digest},
            ":source": {"S": digest},
            ":end": {"N": str(int(world.clock.now) + DAY)},
        },
    )


def failed(world: World, reason: CopyReason) -> None:
    """What the build writes when it could not copy the image."""
    begun(world)
    world.table.update_item(
        TableName="in-flight",
        Key={"image": {"S": str(IMAGE)}},
        UpdateExpression=FAILED,
        ExpressionAttributeValues={
            ":reason": {"S": reason},
            ":now": {"N": str(int(world.clock.now))},
            ":first": {"N": str(RETRY_SECONDS)},
        },
    )


def test_the_reason_of_a_failed_build_is_shown_and_the_image_left_alone_for_a_while(
    world: World,
) -> None:
    world.mirror().ask(IMAGE, start=True)
    failed(world, CopyReason.NOT_FOUND)
    copy = world.mirror().ask(IMAGE, start=True)
    assert (copy.presence, copy.reason) == (Presence.FAILED, words(CopyReason.NOT_FOUND))
    world.clock.now += RETRY_SECONDS - 1
    world.mirror().ask(IMAGE, start=True)
    assert len(world.requested) == 1
    world.clock.now += 2
    assert world.mirror().ask(IMAGE, start=True).presence is Presence.COPYING
    assert len(world.requested) == 2


def test_why_a_copy_failed_is_known_also_while_it_is_tried_again(world: World) -> None:
    """A pod with pull secrets keeps its source meanwhile, instead of a copy that never comes."""
    assert world.mirror().ask(IMAGE, start=True).code == ""
    failed(world, CopyReason.NEEDS_LOGIN)
    assert world.mirror().ask(IMAGE, start=True).code == CopyReason.NEEDS_LOGIN
    world.clock.now += RETRY_SECONDS + 1
    for _ in range(2):  # the one that requests it, and one that finds it requested
        copy = world.mirror().ask(IMAGE, start=True)
        assert (copy.presence, copy.code) == (Presence.COPYING, CopyReason.NEEDS_LOGIN)
    assert len(world.requested) == 2
    copied(world, SHA)
    assert world.mirror().ask(IMAGE, start=True).code == ""


def test_a_copy_that_was_deleted_is_requested_again_at_once(world: World) -> None:
    world.mirror().ask(IMAGE, start=True)
    copied(world, SHA)
    assert world.mirror().ask(IMAGE, start=True).presence is Presence.COPYING
    assert len(world.requested) == 2


def test_a_success_ends_the_count_of_attempts(world: World) -> None:
    for _ in range(MOST_ATTEMPTS):
        world.mirror().ask(IMAGE, start=True)
        world.clock.now += world.seconds + 1
    copied(world, SHA)
    assert world.mirror().ask(IMAGE, start=True).presence is Presence.COPYING


@pytest.mark.parametrize(
    ("image", "age", "requested"),
    [
        pytest.param("quay.io/a/b:1", DAY - 1, 0, id="a young copy"),
        pytest.param("quay.io/a/b:1", DAY, 1, id="an old one of a tag"),
        pytest.param(f"quay.io/a/b:1@{SHA}", DAY, 0, id="a digest never moves"),
    ],
)
def test_the_source_of_an_old_copy_is_looked_at_again(
    table: Any, image: str, age: int, requested: int
) -> None:
    world = World(Ecr(), table)
    world.clock.now = world.ecr.pushed + age
    asked = [world.mirror().ask(parse(image), start=True, follow=True) for _ in range(3)]
    assert {copy.presence for copy in asked} == {Presence.PRESENT}
    assert len(world.requested) == requested


def test_a_source_that_was_compared_is_left_alone_until_the_copy_is_old_again(table: Any) -> None:
    world = World(Ecr(), table)
    for day in (1, 2, 3):
        world.clock.now = float(day * (DAY + 1))
        world.mirror().ask(IMAGE, start=True, follow=True)
        copied(world, SHA)
        world.mirror().ask(IMAGE, start=True, follow=True)
        assert len(world.requested) == day


@pytest.mark.parametrize("asked", [{"start": False, "follow": True}, {"start": True}])
def test_only_who_asks_for_it_has_a_copy_compared(table: Any, asked: dict[str, Any]) -> None:
    world = World(Ecr(), table)
    world.clock.now = 10.0 * DAY
    assert world.mirror().ask(IMAGE, **asked).presence is Presence.PRESENT
    assert world.requested == []


@pytest.mark.parametrize("failing", ["table", "request"])
def test_a_copy_is_there_even_if_it_cannot_be_compared(
    world: World, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    world.ecr.error = None
    world.clock.now = 10.0 * DAY
    if failing == "table":
        throttled = Throttled()
        monkeypatch.setattr(world, "table", throttled)
    mirror = world.mirror(refused("TooManyRequestsException") if failing == "request" else None)
    assert mirror.ask(IMAGE, start=True, follow=True).presence is Presence.PRESENT


class Throttled:
    def get_item(self, **_request: Any) -> dict[str, Any]:
        raise refused("ThrottlingException")

    def update_item(self, **_request: Any) -> dict[str, Any]:
        raise refused("ThrottlingException")


def test_a_present_image_is_believed_for_minutes_and_an_absent_one_for_seconds(
    world: World,
) -> None:
    mirror = world.mirror()
    mirror.ask(IMAGE, start=True)
    mirror.ask(IMAGE, start=True)
    assert len(world.ecr.calls) == 1
    world.clock.now += ABSENT_SECONDS
    world.ecr.error = None
    assert mirror.ask(IMAGE, start=True).presence is Presence.PRESENT
    world.clock.now += PRESENT_SECONDS - 1
    mirror.ask(IMAGE, start=True)
    assert len(world.ecr.calls) == 2
    world.clock.now += 1
    mirror.ask(IMAGE, start=True)
    assert len(world.ecr.calls) == 3


@pytest.mark.parametrize(
    "error", [refused("ThrottlingException"), ConnectTimeoutError(endpoint_url="https://x")]
)
def test_a_registry_that_does_not_answer_is_unknown_and_soon_asked_again(
    world: World, error: Exception
) -> None:
    world.ecr.error = error
    mirror = world.mirror()
    assert mirror.ask(IMAGE, start=True).presence is Presence.UNKNOWN
    world.ecr.error = None
    world.clock.now += SILENT_SECONDS
    assert mirror.ask(IMAGE, start=True).presence is Presence.PRESENT


def test_a_pod_of_many_images_waits_for_one_time_out_only(world: World) -> None:
    world.ecr.error = ConnectTimeoutError(endpoint_url="https://x")
    mirror = world.mirror()
    asked = [mirror.ask(parse(f"quay.io/a/b:{tag}"), start=True) for tag in range(20)]
    assert {copy.presence for copy in asked} == {Presence.UNKNOWN}
    assert {copy.reason for copy in asked} == {"ConnectTimeoutError"}
    assert len(world.ecr.calls) == 1


def test_one_namespaces_too_many_questions_silence_no_other(world: World) -> None:
    mirror = world.mirror()

    def ask(tag: int, namespace: str) -> Presence:
        image = parse(f"quay.io/a/b:{tag}")
        return mirror.ask(image, start=True, review=Review(namespace)).presence

    world.ecr.error = refused("ThrottlingException")
    assert [ask(tag, "flood") for tag in range(9)] == [Presence.UNKNOWN] * 9
    assert len(world.ecr.calls) == 1
    world.ecr.error = None
    assert ask(1, "team") is Presence.PRESENT
    assert ask(2, "flood") is Presence.UNKNOWN
    world.clock.now += SILENT_SECONDS
    assert ask(2, "flood") is Presence.PRESENT


def test_a_failure_is_logged_without_the_text_of_the_error(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    world.mirror(refused("AccessDeniedException")).ask(IMAGE, start=True)
    assert "AccessDeniedException" in caplog.text
    assert "secret-in-the-message" not in caplog.text


class Unhurried(dict[Any, Any]):
    """Lets other threads work between the start of an iteration and its first item."""

    def __iter__(self) -> Iterator[str]:
        items = super().__iter__()
        time.sleep(0.001)
        return items

    def __setitem__(self, key: Any, value: Any) -> None:
        time.sleep(0.001)
        super().__setitem__(key, value)


def test_the_memory_is_bounded_and_shared_by_threads(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webhook.mirror._MOST_CACHED", 3)
    world.ecr.error = None
    mirror = world.mirror()
    mirror._cache = Unhurried()  # pyright: ignore[reportPrivateUsage]
    images = [parse(f"quay.io/a/b:{number}") for number in range(100)]

    def asked(image: Reference) -> Presence:
        return mirror.ask(image, start=True).presence

    with ThreadPoolExecutor(10) as threads:
        assert set(threads.map(asked, images)) == {Presence.PRESENT}
    assert len(mirror._cache) == 3  # pyright: ignore[reportPrivateUsage]


def test_the_request_is_asynchronous() -> None:
    calls: list[dict[str, Any]] = []

    class Functions:
        def invoke(self, **request: Any) -> None:
            calls.append(request)

    asynchronous_request(Functions(), "copier")("quay.io/a/b:1")
    assert calls == [
        {
            "FunctionName": "copier",
            "InvocationType": "Event",
            "Payload": b'{"image": "quay.io/a/b:1"}',
        }
    ]


@pytest.mark.parametrize(
    ("image", "tag"),
    [
        ("python", "latest"),
        ("python:3.9", "3.9"),
        (f"python@{SHA}", "digest-sha256-" + SHA[7:]),
        (f"python:3.9@{SHA}", "digest-sha256-" + SHA[7:]),
    ],
)
def test_a_copy_by_digest_gets_a_tag_nothing_else_moves(image: str, tag: str) -> None:
    assert target_tag(parse(image)) == tag


def test_ecr_finds_one_image_among_more_than_a_thousand(table: Any) -> None:
    ecr: Any = boto3.client("ecr")
    ecr.create_repository(repositoryName="kubeflow/quay.io/a/b")
    for number in range(1100):
        ecr.put_image(
            repositoryName="kubeflow/quay.io/a/b",
            imageTag=f"v{number}",
            imageManifest=f'{{"schemaVersion": 2, "n": {number}}}',
            imageManifestMediaType="application/vnd.oci.image.manifest.v1+json",
        )
    world = World(ecr, table)
    assert world.mirror().ask(parse("quay.io/a/b:v1099"), start=True).presence is Presence.PRESENT
    assert world.mirror().ask(parse("quay.io/a/b:v1100"), start=True).presence is Presence.COPYING
    assert world.mirror().ask(parse("quay.io/a/none:1"), start=True).presence is Presence.COPYING
