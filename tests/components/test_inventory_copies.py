"""Copying the inventory: only what is missing, a few at a time, and nothing forgotten.

ECR is moto's; CodeBuild is a stand-in that finishes builds as a test says, because moto's are done
before they begin.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from components.inventory_copies import PARALLEL_BUILDS, ImagesMissing, InventoryCopies
from webhook.mirror import target_tag
from webhook.reference import parse

HOST = "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn"
REGISTRY = f"{HOST}/kubeflow"
IMAGES = ("docker.io/library/busybox:1.36", "quay.io/a/b:v1", "quay.io/a/b:v2", "ghcr.io/c/d:v3")


@dataclass
class Builds:
    """CodeBuild: each build ends at the next question after it was started, unless it hangs."""

    ecr: Any
    fails: dict[str, str] = field(default_factory=dict[str, str])
    hangs: set[str] = field(default_factory=set[str])
    empty: set[str] = field(default_factory=set[str])
    most: int = 1000
    started: list[str] = field(default_factory=list[str])
    most_at_once: int = 0
    _running: dict[str, str] = field(default_factory=dict[str, str])

    def start_build(self, **request: Any) -> dict[str, Any]:
        if len(self._running) >= self.most:
            raise ClientError({"Error": {"Code": "AccountLimitExceededException"}}, "StartBuild")
        assert request["projectName"] == "copier"
        given = {v["name"]: v["value"] for v in request["environmentVariablesOverride"]}
        source = given["SOURCE_IMAGE"]
        assert given["TARGET_IMAGE"].startswith(f"{REGISTRY}/")
        self.started.append(source)
        identifier = f"copier:{len(self.started)}"
        self._running[identifier] = source
        self.most_at_once = max(self.most_at_once, len(self._running))
        return {"build": {"id": identifier}}

    def batch_get_builds(self, **request: Any) -> dict[str, Any]:
        return {"builds": [self._look(identifier) for identifier in request["ids"]]}

    def _look(self, identifier: str) -> dict[str, Any]:
        source = self._running[identifier]
        if source in self.hangs:
            return {"id": identifier, "buildStatus": "IN_PROGRESS"}
        del self._running[identifier]
        if source in self.fails:
            context = [{"message": self.fails[source]}]
            logs = {"deepLink": "the log"}
            phases = [{"contexts": []}, {"contexts": context}]
            return {"id": identifier, "buildStatus": "FAILED", "phases": phases, "logs": logs}
        if source not in self.empty:
            put(self.ecr, source)
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


def copies(builds: Builds, said: list[str] | None = None, **more: Any) -> InventoryCopies:
    return InventoryCopies(
        ecr=builds.ecr,
        builds=builds,
        project="copier",
        registry=REGISTRY,
        say=(said if said is not None else []).append,
        **{"poll_seconds": 0, **more},
    )


def test_every_image_is_there_when_it_returns(builds: Builds) -> None:
    assert copies(builds).run(IMAGES) == len(IMAGES)
    assert sorted(builds.started) == sorted(IMAGES)
    assert copies(builds).run(IMAGES) == 0
    assert len(builds.started) == len(IMAGES)


def test_only_what_is_missing_is_copied(builds: Builds) -> None:
    put(builds.ecr, IMAGES[1])
    copies(builds).run(IMAGES)
    assert IMAGES[1] not in builds.started
    assert len(builds.started) == len(IMAGES) - 1


def test_no_more_builds_run_at_once_than_others_can_bear(builds: Builds) -> None:
    many = [f"quay.io/many/image:{number}" for number in range(3 * PARALLEL_BUILDS)]
    copies(builds).run(many)
    assert builds.most_at_once == PARALLEL_BUILDS


def test_an_account_with_a_small_quota_gets_what_it_can_take(builds: Builds) -> None:
    builds.most = 2
    assert copies(builds).run(IMAGES) == len(IMAGES)
    assert builds.most_at_once == 2


def test_failed_images_are_told_with_their_reasons_and_the_others_are_there(
    builds: Builds,
) -> None:
    builds.fails[IMAGES[0]] = "429 Too Many Requests"
    with pytest.raises(ImagesMissing) as told:
        copies(builds).run(IMAGES)
    assert told.value.failed == {IMAGES[0]: "failed: 429 Too Many Requests (the log)"}
    assert f"  {IMAGES[0]}: failed: 429" in str(told.value)
    assert "`pulumi up` goes on" in str(told.value)

    builds.fails.clear()
    assert copies(builds).run(IMAGES) == 1
    assert builds.started.count(IMAGES[0]) == 2
    assert builds.started.count(IMAGES[1]) == 1


def test_a_build_that_leaves_no_image_is_no_success(builds: Builds) -> None:
    builds.empty.add(IMAGES[0])
    with pytest.raises(ImagesMissing, match="succeeded and left no image"):
        copies(builds).run(IMAGES)


def test_a_build_that_never_ends_is_not_awaited_for_ever(builds: Builds) -> None:
    builds.hangs.add(IMAGES[0])
    with pytest.raises(ImagesMissing) as told:
        copies(builds, most_seconds=0.5, poll_seconds=0.01).run(IMAGES)
    assert told.value.failed == {IMAGES[0]: "its copy did not end in time"}


def test_images_that_need_no_copy_are_left_alone(builds: Builds) -> None:
    own = f"{REGISTRY}/quay.io/a/b:v1"
    regional = "918309763551.dkr.ecr.cn-north-1.amazonaws.com.cn/eks/coredns:v1"
    assert copies(builds).run([own, regional]) == 0


def test_progress_is_told_whenever_something_has_changed(builds: Builds) -> None:
    said: list[str] = []
    put(builds.ecr, IMAGES[1])
    builds.fails[IMAGES[0]] = "no such image"
    with pytest.raises(ImagesMissing):
        copies(builds, said).run(IMAGES)
    assert said == [
        f"1 of 4 images are in {REGISTRY}",
        "copying images: 0 to go, 1 failed",
    ]
