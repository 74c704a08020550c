"""The build where the digest of a source is known, or a copy is the platform's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from components.mirror.copy_json import KEPT_SECONDS
from tests.components.mirror.simulated_build import SHA, TARGET, Build, build_machine
from webhook import inventory

SOURCE = "quay.io/a/b:1"
MOVED, PICKED, OTHER = (f"sha256:{letter * 64}" for letter in "acf")
KNOWN = f"{TARGET}@{SHA}"


@pytest.fixture
def build(tmp_path: Path) -> Build:
    return build_machine(tmp_path)


def test_a_tag_that_moved_is_copied_by_its_known_digest(build: Build) -> None:
    build.digest(SOURCE, MOVED)
    done = build.run(target=KNOWN)
    assert (done.returncode, done.stdout) == (0, f"ok {SOURCE} {SHA}\n")
    assert build.of("crane copy") == [f"crane copy quay.io/a/b@{SHA} {TARGET} []"]


def test_one_platform_is_picked_from_the_known_index(build: Build) -> None:
    build.digest(SOURCE, MOVED)
    build.digest(f"quay.io/a/b@{SHA}+linux/amd64", PICKED)
    build.digest(f"quay.io/a/b@{PICKED}", PICKED)
    done = build.run(target=KNOWN, PLATFORM="linux/amd64")
    assert (done.returncode, done.stdout) == (0, f"ok {SOURCE} {PICKED}\n")


@pytest.mark.parametrize("platform", ["", "linux/amd64"])
def test_a_copy_of_the_known_index_is_right_and_its_source_is_not_asked(
    build: Build, platform: str
) -> None:
    build.digest(TARGET)
    assert build.run(target=KNOWN, PLATFORM=platform).returncode == 0
    assert [call for call in build.of("crane") if "quay.io/a/b:" in call.replace(TARGET, "")] == []
    assert build.of("crane copy") == []


def test_a_copy_of_all_platforms_stays_where_one_would_do(build: Build) -> None:
    build.digest(TARGET)
    done = build.run(PLATFORM="linux/amd64")
    assert (done.returncode, done.stdout) == (0, f"ok {SOURCE} {SHA}\n")
    assert build.of("crane copy") == []


def test_a_known_digest_that_only_the_tag_has_left_is_a_reason_of_its_own(build: Build) -> None:
    (build.world / "digests" / f"quay.io_a_b_{SHA.replace(':', '_')}").unlink()
    build.digest(SOURCE, MOVED)
    done = build.run(target=KNOWN)
    assert (done.returncode, done.stdout) == (1, f"failed {SOURCE} wrong-digest\n")
    assert build.of("crane copy") == []


def test_an_image_that_is_gone_altogether_is_not_called_wrong(build: Build) -> None:
    for file in (build.world / "digests").iterdir():
        file.unlink()
    done = build.run(target=KNOWN)
    assert done.stdout == f"failed {SOURCE} no-image\n"


@pytest.mark.parametrize(
    ("kept", "target", "copied"),
    [
        pytest.param([SOURCE], TARGET, False, id="a copy of the platform is left as it is"),
        pytest.param([SOURCE], KNOWN, True, id="it becomes what is known of it"),
        pytest.param(["quay.io/a/b:2"], TARGET, True, id="another tag of its repository is not"),
        pytest.param([], TARGET, True, id="nor is anything of a user"),
    ],
)
def test_no_request_replaces_a_copy_of_the_platform_by_what_the_tag_is_now(
    build: Build, kept: list[str], target: str, copied: bool
) -> None:
    build.digest(TARGET, OTHER)
    done = build.run(target=target, KEPT=inventory.marks(kept))
    assert bool(build.of("crane copy")) is copied
    assert done.stdout == (f"ok {SOURCE} {SHA}\n" if copied else f"failed {SOURCE} kept-tag\n")


@pytest.mark.parametrize(
    ("said", "made"),
    [
        *((said, False) for said in ("TOOMANYREQUESTS: slow down", "status code 403", "EOF")),
        *((said, True) for said in ("status code 404 Not Found", "NAME_UNKNOWN: no repository")),
    ],
)
def test_a_copy_is_missing_only_where_its_registry_says_so(
    build: Build, said: str, made: bool
) -> None:
    """What cannot be read may be the platform's own."""
    done = build.run(KEPT=inventory.marks([SOURCE]), UNREADABLE=said)
    assert bool(build.of("crane copy")) is made
    assert done.stdout == (f"ok {SOURCE} {SHA}\n" if made else f"failed {SOURCE} target-refused\n")


def test_a_digest_of_another_kind_is_no_image_and_nothing_is_asked(build: Build) -> None:
    source = f"quay.io/a/b@sha512:{'0' * 128}"
    done = build.run(source)
    assert done.stdout == f"failed {source} no-image\n"
    assert build.of("crane digest") == []


def test_a_missing_copy_of_the_platform_is_made_whoever_asks(build: Build) -> None:
    done = build.run(KEPT=inventory.marks([SOURCE]))
    assert (done.returncode, done.stdout) == (0, f"ok {SOURCE} {SHA}\n")


@pytest.mark.parametrize(("kept", "seconds"), [([SOURCE], KEPT_SECONDS), ([], 3600)])
def test_the_row_has_the_digests_of_copy_and_source_and_stays_for_the_platform(
    build: Build, kept: list[str], seconds: int
) -> None:
    build.digest(f"quay.io/a/b@{SHA}+linux/amd64", PICKED)
    build.digest(f"quay.io/a/b@{PICKED}", PICKED)
    more = {"TABLE": "copies", "FOLLOW_SECONDS": "3600", "PLATFORM": "linux/amd64"}
    assert build.run(KEPT=inventory.marks(kept), **more).returncode == 0
    (row,) = map(json.loads, (build.world / "rows").read_text().splitlines())
    values = row["ExpressionAttributeValues"]
    assert (values[":digest"], values[":source"]) == ({"S": PICKED}, {"S": SHA})
    written = (build.world / "rows").stat().st_mtime
    assert abs(int(values[":end"]["N"]) - written - seconds) < 60
