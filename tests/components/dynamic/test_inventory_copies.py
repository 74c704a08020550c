"""Copying the inventory: only what is missing, a few at a time, and nothing forgotten.

ECR is moto's; CodeBuild is a stand-in that finishes builds as a test says, because moto's are done
before they begin.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import suppress
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
    Digests,
    ImagesMissing,
    InventoryCopies,
    Record,
    records,
)
from images.reference import parse
from tests.webhook.copies_table import create_table
from webhook.claims import Claims
from webhook.copy_reasons import CopyReason
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
    recorded: dict[str, Record] = field(default_factory=dict[str, Record])
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


def put(ecr: Any, image: str, media_type: str = "x") -> None:
    source = parse(image)
    name = f"kubeflow/{source.mirrored_repository}"
    if not [r for r in ecr.describe_repositories()["repositories"] if r["repositoryName"] == name]:
        ecr.create_repository(repositoryName=name)
    manifest = {"schemaVersion": 2, "mediaType": media_type, "config": {"said": image}}
    with suppress(ecr.exceptions.ImageAlreadyExistsException):
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
    options: dict[str, Any] = {"poll_seconds": 0, **more}
    return InventoryCopies(
        ecr=builds.ecr,
        builds=builds,
        project="copier",
        registry=REGISTRY,
        record=lambda image: builds.recorded.get(image, Record()),
        report=(lines if lines is not None else []).append,
        **options,
    )


def numbered(many: int, name: str = "many") -> list[str]:
    return [f"quay.io/{name}/image:{number}" for number in range(many)]


def test_every_image_is_there_when_it_returns(builds: Builds) -> None:
    made = copies(builds).run(IMAGES)
    assert sorted(builds.copied) == sorted(IMAGES)
    assert copies(builds).run(IMAGES) == made
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
    copies(builds).run(many)
    assert max(len(batch) for batch in builds.started) == IMAGES_PER_BUILD
    assert sorted(builds.copied) == sorted(many)


def test_a_build_may_run_and_queue_as_long_as_the_whole_run(builds: Builds) -> None:
    copies(builds).run(IMAGES[:1])
    (request,) = builds.requests
    assert request["timeoutInMinutesOverride"] == MOST_SECONDS // 60
    assert request["queuedTimeoutInMinutesOverride"] == MOST_SECONDS // 60


def test_an_account_with_a_small_quota_gets_what_it_can_take(builds: Builds) -> None:
    builds.most = 2
    copies(builds).run(IMAGES)
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
    copies(builds).run(IMAGES)
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
    reasons = (CopyReason.NOT_FOUND, "429 Too Many Requests of a stranger")
    for image, reason in zip(IMAGES[:2], reasons, strict=True):
        builds.fails[image] = "exit status 1"
        builds.recorded[image] = Record(reason)
    with pytest.raises(ImagesMissing) as failure:
        copies(builds).run(IMAGES)
    assert failure.value.failed == {
        IMAGES[0]: "its registry has no such image",
        IMAGES[1]: "the builder knows no reason",
    }


def test_records_come_from_the_table_that_builds_write(ecr: Any) -> None:
    table: Any = boto3.client("dynamodb", region_name="cn-north-1")
    record = records(table, "copies")
    assert record("a:1") == Record()  # there is no table yet
    create_table(table, "copies")
    Claims(table, "copies", 3600).fail("a:1", CopyReason.NOT_FOUND)
    assert record("a:1") == Record("not-found")
    assert record("b:1") == Record()
    row = {"image": {"S": "b:1"}, "digest": {"S": "sha256:b"}, "source_digest": {"S": "sha256:a"}}
    table.put_item(TableName="copies", Item=row)
    assert record("b:1") == Record(source="sha256:a")


KNOWN, OTHER = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
TAGGED = IMAGES[1]


def test_a_build_is_told_the_digest_that_is_known(builds: Builds) -> None:
    copies(builds, locked={TAGGED: KNOWN}).run(IMAGES)
    targets = [
        line.split(" ")[1]
        for request in builds.requests
        for variable in request["environmentVariablesOverride"]
        for line in variable["value"].splitlines()
    ]
    assert [each for each in targets if "@" in each] == [f"{REGISTRY}/{TAGGED}@{KNOWN}"]


def test_the_digest_that_the_first_copy_had_is_known_from_then_on(builds: Builds) -> None:
    builds.recorded[TAGGED] = Record(source=KNOWN)
    first = copies(builds).run([TAGGED])
    assert first == {TAGGED: Digests(digest_in(builds.ecr, TAGGED), KNOWN)}
    builds.recorded.clear()
    builds.ecr.batch_delete_image(
        repositoryName=f"kubeflow/{parse(TAGGED).mirrored_repository}",
        imageIds=[{"imageTag": "v1"}],
    )
    second = copies(builds, before=first).run([TAGGED])
    assert {image: known.source for image, known in second.items()} == {TAGGED: KNOWN}
    (variable,) = builds.requests[-1]["environmentVariablesOverride"]
    assert variable["value"].endswith(f":v1@{KNOWN}")


def test_a_copy_of_all_platforms_is_right_and_made_once(builds: Builds) -> None:
    put(builds.ecr, TAGGED)
    digest = digest_in(builds.ecr, TAGGED)
    made = copies(builds, locked={TAGGED: digest}).run([TAGGED])
    assert made == {TAGGED: Digests(digest, digest)}
    assert builds.started == []


def test_a_copy_of_one_platform_of_an_earlier_version_is_not_made_again(builds: Builds) -> None:
    put(builds.ecr, TAGGED)
    made = copies(builds, locked={TAGGED: KNOWN}).run([TAGGED])
    assert made == {TAGGED: Digests(digest_in(builds.ecr, TAGGED), KNOWN)}
    assert builds.started == []


@pytest.mark.parametrize(
    ("before", "locked"),
    [
        pytest.param(Digests(OTHER, KNOWN), KNOWN, id="somebody replaced the copy"),
        pytest.param(Digests("", OTHER), KNOWN, id="the lock has another digest now"),
    ],
)
def test_a_copy_that_is_not_what_is_known_is_made_again(
    builds: Builds, before: Digests, locked: str
) -> None:
    put(builds.ecr, TAGGED)
    copies(builds, locked={TAGGED: locked}, before={TAGGED: before}).run([TAGGED])
    assert builds.copied == [TAGGED]


def test_an_index_that_is_not_the_known_one_is_copied_again(builds: Builds) -> None:
    put(builds.ecr, TAGGED, media_type="application/vnd.oci.image.index.v1+json")
    copies(builds, locked={TAGGED: KNOWN}).run([TAGGED])
    assert builds.copied == [TAGGED]


def test_a_wrong_digest_fails_with_the_way_out_although_an_older_copy_is_there(
    builds: Builds,
) -> None:
    put(builds.ecr, TAGGED)
    builds.fails[TAGGED] = "exit status 1"
    builds.recorded[TAGGED] = Record(CopyReason.WRONG_DIGEST)
    before = {TAGGED: Digests(OTHER, KNOWN)}
    with pytest.raises(ImagesMissing) as failure:
        copies(builds, locked={TAGGED: KNOWN}, before=before).run([TAGGED])
    said = failure.value.failed[TAGGED]
    assert f"it must be {KNOWN}" in said
    assert "`./kf images lock --refresh`" in said


def digest_in(ecr: Any, image: str) -> str:
    source = parse(image)
    found = ecr.describe_images(
        repositoryName=f"kubeflow/{source.mirrored_repository}",
        imageIds=[{"imageTag": target_tag(source)}],
    )
    return found["imageDetails"][0]["imageDigest"]


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
    assert copies(builds).run([own, regional]) == {}


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
