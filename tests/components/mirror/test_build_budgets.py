"""The bytes of a day, counted by a build before it copies; attempts, counted when it begins."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from components.mirror import copy_json
from components.mirror.buildspec import VARIABLES
from components.mirror.copy_json import day_key
from tests.components.mirror.simulated_build import SHA, Build, build_machine
from tests.webhook.copies_table import create_table
from webhook.budgets import DAY, Budgets
from webhook.claims import Claims, Taken

IMAGE = "quay.io/a/b:1"
NOW = 1_800_000_000 // DAY * DAY - 1
"""The last second of a day, in which each build counts its bytes."""
TABLE = {"TABLE": "copies", "GIB_PER_DAY": "1", "NOW": str(NOW)}
GIB = 2**30


@pytest.fixture
def build(tmp_path: Path) -> Build:
    return build_machine(tmp_path)


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name, value in {**VARIABLES, **TABLE, "AWS_DEFAULT_REGION": "cn-north-1"}.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        client: Any = boto3.client(
            "dynamodb", aws_access_key_id="testing", aws_secret_access_key="testing"
        )
        create_table(client, "copies")
        yield client


def rows(build: Build) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (build.world / "rows").read_text().splitlines()]


def row(table: Any, key: str) -> dict[str, Any]:
    return table.get_item(TableName="copies", Key={"image": {"S": key}}).get("Item", {})


def test_the_bytes_of_a_copy_are_counted_for_its_namespace_and_the_day(
    build: Build, table: Any
) -> None:
    done = build.run(NAMESPACE="team", **TABLE)
    assert done.stdout == f"ok {IMAGE} {SHA}\n"
    begun, *later = rows(build)
    table.update_item(**begun)
    assert row(table, IMAGE)["attempts"] == {"N": "1"}
    for request in later:
        table.update_item(**request)
    for key in (day_key(NOW), day_key(NOW, "team")):
        found = row(table, key)
        assert (found["amount"], found["expires"]) == ({"N": "1000"}, {"N": str(NOW + 2 * DAY)})
    copied = row(table, IMAGE)
    assert copied["digest"] == {"S": SHA}
    assert not {"begun", "attempts", "waiting"} & copied.keys()


def counted(build: Build, table: Any) -> tuple[int, int]:
    """The bytes of the namespace, and of all, once the build's requests were made."""
    for request in rows(build):
        table.update_item(**request)
    of_team, of_all = row(table, day_key(NOW, "team")), row(table, day_key(NOW))
    return int(of_team["amount"]["N"]), int(of_all["amount"]["N"])


@pytest.mark.parametrize(
    ("more", "amount"),
    [
        pytest.param({"READ": "600"}, 600, id="layers that were there"),
        pytest.param({"READ": "1300"}, 1300, id="a piece that was read twice"),
        pytest.param({"NO_ANSWER": "1"}, 1000, id="no answer of the guard"),
    ],
)
def test_what_was_read_is_counted_and_not_what_was_declared(
    build: Build, table: Any, more: dict[str, str], amount: int
) -> None:
    assert build.run(NAMESPACE="team", **TABLE, **more).returncode == 0
    assert counted(build, table) == (amount, amount)


@pytest.mark.parametrize("fails", ["copy", "create-repository", "other digest"])
def test_a_copy_that_fails_gives_back_what_it_did_not_read(
    build: Build, table: Any, fails: str
) -> None:
    more = {"NEW_REPOSITORY": "{}"}
    if fails == "copy":
        build.fail("copy", 9)
    elif fails == "create-repository":
        more["REPOSITORY_FAILS"] = "AccessDenied"
    else:
        (build.world / "arrives").write_text(f"sha256:{'0' * 64}\n")
    done = build.run(NAMESPACE="team", READ="7", **TABLE, **more)
    assert done.stdout == f"failed {IMAGE} target-refused\n"
    assert counted(build, table) == (7, 7)


def test_a_namespace_gets_back_what_the_day_had_no_room_for(build: Build, table: Any) -> None:
    done = build.run(NAMESPACE="team", READ="7", USED_UP=day_key(NOW), **TABLE)
    assert done.stdout == f"failed {IMAGE} budget\n"
    for request in rows(build):
        table.update_item(**request)
    assert row(table, day_key(NOW, "team"))["amount"] == {"N": "7"}


def test_bytes_are_given_back_to_the_day_that_they_were_taken_from(table: Any) -> None:
    yesterday = str(NOW - DAY)
    table.update_item(**json.loads(copy_json.of_the_day("9", "team", yesterday)))
    table.update_item(**json.loads(copy_json.of_the_day("-4", "team", yesterday)))
    assert row(table, day_key(int(yesterday), "team"))["amount"] == {"N": "5"}
    assert row(table, day_key(NOW, "team")) == {}


@pytest.mark.parametrize(
    ("whose", "code", "said"),
    [
        (("team",), "budget-share", "namespace team has had its share of"),
        ((), "budget", "the copies of this day have used up"),
    ],
    ids=["of the namespace", "of all"],
)
def test_a_budget_that_is_used_up_ends_the_copy_before_anything_is_made(
    build: Build, table: Any, whose: tuple[str, ...], code: str, said: str
) -> None:
    claims = Claims(table, "copies", 3600, lambda: NOW, Budgets(gib_per_day=1))
    assert isinstance(claims.take(IMAGE, namespace="team"), Taken)
    midnight = NOW + 1
    more = {"NEW_REPOSITORY": "{}", "USED_UP": day_key(NOW, *whose), "LATER": str(midnight)}
    done = build.run(NAMESPACE="team", **TABLE, **more)
    assert (done.returncode, done.stdout) == (1, f"failed {IMAGE} {code}\n")
    assert build.of("crane copy") == []
    assert not (build.world / "repositories").exists()
    for request in rows(build):
        table.update_item(**request)
    found = row(table, IMAGE)
    assert found["attempts"] == {"N": "0"}
    assert found["expires"] == {"N": str(midnight)}
    told = claims.take(IMAGE, namespace="team")
    assert not isinstance(told, Taken)
    assert told.reason.startswith(said)
    assert "1 GiB of imageMirror.budgets.gibPerDay" in told.reason
    # Whose share is used up keeps no image from the others, and each pays for the attempt.
    others = code == "budget-share"
    assert (claims.look(IMAGE, namespace="other") is None) is others
    assert (claims.take(IMAGE, namespace="other") == Taken(again=False)) is others


def test_the_platforms_own_copies_are_not_counted(build: Build) -> None:
    assert build.run(**TABLE).returncode == 0
    (result,) = rows(build)
    assert "digest" in result["UpdateExpression"]


def test_a_table_that_cannot_count_ends_the_copy_and_is_no_budget(build: Build) -> None:
    done = build.run(NAMESPACE="team", TABLE_FAILS="1", **TABLE)
    assert done.stdout == f"failed {IMAGE} unknown\n"
    assert build.of("crane copy") == []


@pytest.mark.parametrize(
    ("namespaces", "sizes", "taken"),
    [
        pytest.param("aa", [GIB // 2, 1], [True, False], id="half of the day"),
        pytest.param("ab", [GIB // 2, GIB // 2], [True, True], id="two halves"),
        pytest.param("aab", [GIB, 1, GIB], [True, False, True], id="one larger than the day"),
    ],
)
def test_one_namespace_has_half_of_the_day(
    table: Any, namespaces: str, sizes: list[int], taken: list[bool]
) -> None:
    def counted(namespace: str, size: int) -> bool:
        try:
            table.update_item(**json.loads(copy_json.of_the_day(str(size), namespace, str(NOW))))
        except table.exceptions.ConditionalCheckFailedException:
            return False
        return True

    assert list(map(counted, namespaces, sizes)) == taken


def test_all_copies_share_the_day(table: Any) -> None:
    table.update_item(**json.loads(copy_json.of_the_day(str(GIB), "", str(NOW))))
    with pytest.raises(table.exceptions.ConditionalCheckFailedException):
        table.update_item(**json.loads(copy_json.of_the_day("1", "", str(NOW))))
