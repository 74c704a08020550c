"""What a build tells the table of copies is what admissions understand.

The build runs as CodeBuild runs it, between two real registries; what it would have the AWS CLI
send to DynamoDB is sent to moto's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from images.reference import parse
from tests.services.build_machine import PREFIX, PUSH_KEY, ROLE_KEY, BuildMachine
from tests.services.registry import Registry
from tests.webhook.copies_table import create_table
from webhook.admission import Presence
from webhook.claims import MOST_ATTEMPTS, RETRY_SECONDS, Claims, Taken
from webhook.copy_reasons import CopyReason, words
from webhook.mirror import EcrMirror

TABLE = "kubeflow-image-copies"
DAY = 86400


class NoImages:
    """An ECR that holds nothing."""

    def describe_images(self, **_request: Any) -> dict[str, Any]:
        raise ClientError({"Error": {"Code": "ImageNotFoundException"}}, "DescribeImages")


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        client: Any = boto3.client("dynamodb", region_name="cn-north-1")
        create_table(client, TABLE)
        yield client


def row(table: Any, image: str) -> dict[str, Any]:
    return table.get_item(TableName=TABLE, Key={"image": {"S": image}})["Item"]


def carry(machine: BuildMachine, table: Any) -> None:
    """Does what the build had the AWS CLI do."""
    for request, _ in machine.told:
        table.update_item(**request)


def mirror(table: Any, requested: list[str], claims: Claims | None = None) -> EcrMirror:
    known = claims or Claims(table, TABLE, 3600)
    return EcrMirror(NoImages(), known, requested.append, prefix=PREFIX, follow_seconds=DAY)


def test_a_failed_copy_is_told_with_its_reason_to_the_next_pod(
    machine: BuildMachine, upstream: Registry, table: Any
) -> None:
    source, requested = f"{upstream.host}/status/absent:v1", list[str]()
    mirror(table, requested).ask(parse(source), start=True)
    done = machine.copy((source, machine.target("status/absent:v1")), TABLE=TABLE)
    assert done.returncode == 1
    carry(machine, table)
    told = mirror(table, requested).ask(parse(source), start=True)
    assert told.presence is Presence.FAILED
    assert told.reason == words(CopyReason.NOT_FOUND)
    assert requested == [source]


def test_a_failed_copy_is_tried_again_ever_later(
    machine: BuildMachine, upstream: Registry, table: Any
) -> None:
    source = f"{upstream.host}/status/absent:v1"
    pair = (source, machine.target("status/absent:v1"))
    machine.copy(pair, TABLE=TABLE, NAMESPACE="team", GIB_PER_DAY="1")
    begun, failed = (request for request, _ in machine.told)
    now = int(failed["ExpressionAttributeValues"][":now"]["N"])
    waits: list[int] = []
    for attempt in range(MOST_ATTEMPTS):
        claims = Claims(table, TABLE, 3600, lambda at=attempt: now + at * 10**6)
        assert isinstance(claims.take(source), Taken)
        table.update_item(**begun)
        table.update_item(**failed)
        waits.append(int(row(table, source)["expires"]["N"]) - now)
    assert waits == [RETRY_SECONDS * 2**attempt for attempt in range(MOST_ATTEMPTS)]


def test_a_copy_is_remembered_by_its_digest_until_its_source_is_due_again(
    machine: BuildMachine, upstream: Registry, table: Any
) -> None:
    digest = upstream.push("status/good", "v1", ("amd64", "arm64"), layers=1)
    source = f"{upstream.host}/status/good:v1"
    assert isinstance(Claims(table, TABLE, 3600).take(source), Taken)
    pair = (source, machine.target("status/good:v1"))
    done = machine.copy(pair, TABLE=TABLE, FOLLOW_SECONDS="7200", NAMESPACE="team", GIB_PER_DAY="1")
    assert done.returncode == 0, done.stderr
    carry(machine, table)
    found = row(table, source)
    assert found["digest"] == {"S": digest}
    assert not {"waiting", "reason", "attempts", "backoff"} & found.keys()
    end = int(found["expires"]["N"])
    assert Claims(table, TABLE, 3600, lambda: end - 1).take(source, there=True) != Taken()
    assert Claims(table, TABLE, 3600, lambda: end + 1).take(source, there=True) == Taken()


def test_layers_that_are_there_already_use_no_bytes_of_the_day(
    machine: BuildMachine, upstream: Registry, own: Registry, table: Any
) -> None:
    upstream.push("status/layers", "v1", layers=3)
    source = f"{upstream.host}/status/layers:v1"
    amounts: list[int] = []
    for tag in ("v1", "v2"):
        pair = (source, machine.target(f"status/layers:{tag}"))
        done = machine.copy(pair, TABLE=TABLE, NAMESPACE="team", GIB_PER_DAY="1")
        assert done.returncode == 0, done.stderr
        used = [
            int(request["ExpressionAttributeValues"][":more"]["N"])
            for request, _ in machine.told
            if request["Key"]["image"]["S"].endswith("/team")
        ]
        amounts.append(sum(used) - sum(amounts))
    found = own.manifest(f"{PREFIX}/status/layers", "v2")
    assert found is not None
    blobs = sum(blob["size"] for blob in (found[1]["config"], *found[1]["layers"]))
    assert amounts[0] - amounts[1] == blobs
    assert 0 < amounts[1] < 5000


@pytest.mark.parametrize(("secret", "key"), [("", ROLE_KEY), ("push", PUSH_KEY)])
def test_the_table_is_told_with_the_key_of_its_own_side(
    machine: BuildMachine, upstream: Registry, secret: str, key: str
) -> None:
    upstream.push("status/key", "v1")
    pair = (f"{upstream.host}/status/key:v1", machine.target("status/key:v1"))
    machine.copy(pair, TABLE=TABLE, CREDENTIALS_SECRET=secret)
    ((request, used),) = machine.told
    assert used == key
    assert "secret" not in str(request)
