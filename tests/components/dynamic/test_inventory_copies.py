"""Copying the inventory: only what is missing, a few at a time, and nothing forgotten.

ECR is moto's; CodeBuild is a stand-in that finishes builds as a test says, because moto's are done
before they begin.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from components.dynamic.inventory_copies import (
    IMAGES_PER_BUILD,
    MOST_SECONDS,
    PARALLEL_BUILDS,
    ImagesMissing,
    InventoryCopies,
    recorded_failures,
)
from images.reference import parse
from tests.webhook.copies_table import create_table
from webhook.claims import Claims
from webhook.copy_reasons import CopyReason, words
from webhook.mirror import target_tag

HOST = "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn"
REGISTRY = f"{HOST}/kubeflow"
IMAGES = ("docker.io/library/busybox:1.36", "quay.io/a/b:v1", "quay.io/a/b:v2", "ghcr.io/c/d:v3")


@dataclass
class Builds:
    """CodeBuild: each build ends at the next question after it was started, unless it hangs.

    Like the real one it copies what it can, and fails if anything in it fails.
    """

    ecr: Any
    fails: dict[str, str] = field(default_factory=dict[str, str])
    hangs: set[str] = field(default_factory=set[str])
    empty: set[str] = field(default_factory=set[str])
    recorded: dict[str, str] = field(default_factory=dict[str, str])
    most: int = 1000
    started: list[list[str]] = field(default_factory=list[list[str]])
    requests: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    most_at_once: int = 0
    _running: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    @property
    def copied(self) -> list[str]:
        return [source for batch in self.started for source in batch]

    def start_build(self, **request: Any) -> dict[str, Any]:
        if len(self._running) >= self.most:
            raise ClientError({"Error": {"Code": "AccountLimitExceededException"}}, "StartBuild")
        assert request["projectName"] == "copier"
        given = {v["name"]: v["value"] for v in request["environmentVariablesOverride"]}
        pairs = [line.split(" ") for line in given["IMAGES"].splitlines()]
        assert all(target.startswith(f"{REGISTRY}/") for _, target in pairs)
        batch = [source for source, _ in pairs]
        self.started.append(batch)
        self.requests.append(request)
        identifier = f"copier:{len(self.started)}"
        self._running[identifier] = batch
        self.most_at_once = max(self.most_at_once, len(self._running))
        return {"build": {"id": identifier}}

    def batch_get_builds(self, **request: Any) -> dict[str, Any]:
        return {"builds": [self._look(identifier) for identifier in request["ids"]]}

    def _look(self, identifier: str) -> dict[str, Any]:
        batch = self._running[identifier]
        if self.hangs.intersection(batch):
            return {"id": identifier, "buildStatus": "IN_PROGRESS"}
        del self._running[identifier]
        for source in batch:
            if source not in self.fails and source not in self.empty:
                put(self.ecr, source)
        failed = [self.fails[source] for source in batch if source in self.fails]
        if failed:
            phases = [{"contexts": []}, {"contexts": [{"message": failed[-1]}]}]
            logs = {"deepLink": "the log"}
            return {"id": identifier, "buildStatus": "FAILED", "phases": phases, "logs": logs}
        return {"id": identifier, "buildStatus": "SUCCEEDED"}


def put(ecr: Any, image: str) -> None:
    source = parse(image)
    name = f"kubeflow/{source.mirrored_repository}"
    if not [r for r in ecr.describe_repositories()["repositories"] if r["repositoryName"] == name]:
        ecr.create_repository(repositoryName=name)
    manifest = {"schemaVersion": 2, "mediaType": "x", "config": {"said": image}, "layers": []}
    ecr.put_image(
        repositoryName=name, imageTag=target_tag(source), imageManifest=json.dumps(manifest)
    )


@pytest.fixture
def ecr(monkeypatch: pytest.MonkeyPatch) -> Generator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield boto3.client("ecr", region_name="cn-north-1")


@pytest.fixture
def builds(ecr: Any) -> Builds:
    return Builds(ecr)


def copies(builds: Builds, lines: list[str] | None = None, **more: Any) -> InventoryCopies:
    return InventoryCopies(
        ecr=builds.ecr,
        builds=builds,
        project="copier",
        registry=REGISTRY,
        recorded_failure=lambda image: builds.recorded.get(image, ""),
        report=(lines if lines is not None else []).append,
        **{"poll_seconds": 0, **more},
    )


def numbered(many: int, name: str = "many") -> list[str]:
    return [f"quay.io/{name}/image:{number}" for number in range(many)]


def test_every_image_is_there_when_it_returns(builds: Builds) -> None:
    assert copies(builds).run(IMAGES) == len(IMAGES)
    assert sorted(builds.copied) == sorted(IMAGES)
    assert copies(builds).run(IMAGES) == 0
    assert len(builds.copied) == len(IMAGES)


def test_only_what_is_missing_is_copied(builds: Builds) -> None:
    put(builds.ecr, IMAGES[1])
    copies(builds).run(IMAGES)
    assert IMAGES[1] not in builds.copied
    assert len(builds.copied) == len(IMAGES) - 1


def test_no_more_builds_run_at_once_than_others_can_bear(builds: Builds) -> None:
    copies(builds).run(numbered(3 * PARALLEL_BUILDS))
    assert builds.most_at_once == PARALLEL_BUILDS


def test_few_images_get_a_build_each_and_many_share_them_evenly(builds: Builds) -> None:
    few, many = numbered(PARALLEL_BUILDS), numbered(150, "more")
    copies(builds).run(few)
    assert [len(batch) for batch in builds.started] == [1] * PARALLEL_BUILDS
    builds.started.clear()
    copies(builds).run(many)
    assert sorted(builds.copied) == sorted(many)
    assert {len(batch) for batch in builds.started} == {7, 8}
    assert len(builds.started) == PARALLEL_BUILDS


def test_neighbours_in_the_inventory_do_not_share_a_build(builds: Builds) -> None:
    many = numbered(150)
    copies(builds).run(many)
    for batch in builds.started:
        places = sorted(many.index(source) for source in batch)
        assert min(after - before for before, after in pairwise(places)) > 10


def test_a_build_takes_so_many_images_and_no_more(builds: Builds) -> None:
    builds.most = 1
    many = numbered(4 * IMAGES_PER_BUILD)
    assert copies(builds).run(many) == len(many)
    assert max(len(batch) for batch in builds.started) == IMAGES_PER_BUILD
    assert sorted(builds.copied) == sorted(many)


def test_a_build_may_run_and_queue_as_long_as_the_whole_run(builds: Builds) -> None:
    copies(builds).run(IMAGES[:1])
    (request,) = builds.requests
    assert request["timeoutInMinutesOverride"] == MOST_SECONDS // 60
    assert request["queuedTimeoutInMinutesOverride"] == MOST_SECONDS // 60


def test_an_account_with_a_small_quota_gets_what_it_can_take(builds: Builds) -> None:
    builds.most = 2
    assert copies(builds).run(IMAGES) == len(IMAGES)
    assert builds.most_at_once == 2


def test_failed_images_are_listed_with_reasons_and_the_others_exist(
    builds: Builds,
) -> None:
    builds.fails[IMAGES[0]] = "429 Too Many Requests"
    with pytest.raises(ImagesMissing) as failure:
        copies(builds).run(IMAGES)
    assert failure.value.failed == {IMAGES[0]: "failed: 429 Too Many Requests (the log)"}
    assert f"  {IMAGES[0]}: failed: 429" in str(failure.value)
    assert "`pulumi up` tries these again" in str(failure.value)

    builds.fails.clear()
    assert copies(builds).run(IMAGES) == 1
    assert builds.copied.count(IMAGES[0]) == 2
    assert builds.copied.count(IMAGES[1]) == 1


def test_of_a_failed_build_only_what_is_missing_has_failed(builds: Builds) -> None:
    builds.most = 1
    many = numbered(1 + IMAGES_PER_BUILD)
    builds.fails[many[3]] = "Error while executing command: (\nset -e\n). Reason: exit status 1"
    with pytest.raises(ImagesMissing) as failure:
        copies(builds).run(many)
    assert any(many[3] in batch and len(batch) > 1 for batch in builds.started)
    assert failure.value.failed == {many[3]: "failed: exit status 1 (the log)"}


def test_each_image_of_a_failed_build_has_the_reason_that_the_build_wrote_down(
    builds: Builds,
) -> None:
    for image, reason in zip(
        IMAGES[:2], ("MANIFEST_UNKNOWN", "429 Too Many Requests"), strict=True
    ):
        builds.fails[image] = "exit status 1"
        builds.recorded[image] = reason
    with pytest.raises(ImagesMissing) as failure:
        copies(builds).run(IMAGES)
    assert failure.value.failed == {
        IMAGES[0]: "MANIFEST_UNKNOWN",
        IMAGES[1]: "429 Too Many Requests",
    }


def test_reasons_come_from_the_table_that_builds_write(ecr: Any) -> None:
    table: Any = boto3.client("dynamodb", region_name="cn-north-1")
    recorded_failure = recorded_failures(table, "copies")
    assert recorded_failure("a:1") == ""  # there is no table yet
    create_table(table, "copies")
    Claims(table, "copies", 3600).fail("a:1", CopyReason.NOT_FOUND)
    assert recorded_failure("a:1") == words(CopyReason.NOT_FOUND)
    assert recorded_failure("b:1") == ""


def test_a_build_that_cannot_be_started_fails_each_of_its_images(builds: Builds) -> None:
    class Refusing(Builds):
        def start_build(self, **_request: Any) -> dict[str, Any]:
            raise ClientError({"Error": {"Code": "AccessDeniedException"}}, "StartBuild")

    many = numbered(PARALLEL_BUILDS + 1)
    with pytest.raises(ImagesMissing) as failure:
        copies(Refusing(builds.ecr)).run(many)
    reason = "its build could not be started (AccessDeniedException)"
    assert failure.value.failed == dict.fromkeys(many, reason)


def test_a_build_that_leaves_no_image_is_no_success(builds: Builds) -> None:
    builds.empty.add(IMAGES[0])
    with pytest.raises(ImagesMissing, match="succeeded and left no image"):
        copies(builds).run(IMAGES)


def test_a_build_that_never_ends_is_not_awaited_for_ever(builds: Builds) -> None:
    builds.hangs.add(IMAGES[0])
    with pytest.raises(ImagesMissing) as failure:
        copies(builds, most_seconds=0.5, poll_seconds=0.01).run(IMAGES)
    assert failure.value.failed == {IMAGES[0]: "its copy did not end in time"}


def test_images_that_need_no_copy_are_left_alone(builds: Builds) -> None:
    own = f"{REGISTRY}/quay.io/a/b:v1"
    regional = "918309763551.dkr.ecr.cn-north-1.amazonaws.com.cn/eks/coredns:v1"
    assert copies(builds).run([own, regional]) == 0


def test_copies_that_succeed_are_reported_without_a_word_of_failures(builds: Builds) -> None:
    lines: list[str] = []
    copies(builds, lines).run(IMAGES)
    assert lines == [f"0 of 4 images are in {REGISTRY}", "copying images: 0 to go"]


def test_every_change_is_reported(builds: Builds) -> None:
    lines: list[str] = []
    put(builds.ecr, IMAGES[1])
    builds.fails[IMAGES[0]] = "no such image"
    with pytest.raises(ImagesMissing):
        copies(builds, lines).run(IMAGES)
    assert lines == [
        f"1 of 4 images are in {REGISTRY}",
        "copying images: 0 to go, 1 failed",
    ]
