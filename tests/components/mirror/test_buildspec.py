"""The build that copies images, run as CodeBuild runs it, with stand-ins for crane and aws."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from components.mirror import copy_json
from components.mirror.buildspec import buildspec
from tests.components.mirror.simulated_build import HOST, SHA, TARGET, Build, build_machine
from webhook import claims


@pytest.fixture
def build(tmp_path: Path) -> Build:
    return build_machine(tmp_path)


@pytest.mark.parametrize("phase", ["install", "build"])
def test_the_commands_are_bash_without_a_finding_of_shellcheck(phase: str) -> None:
    (command,) = json.loads(buildspec())["phases"][phase]["commands"]
    checked = subprocess.run(
        [Path(sys.executable).with_name("shellcheck"), "--shell=bash", "-"],
        input=command,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stdout) == (0, "")


def test_the_specification_runs_one_bash_command_per_phase() -> None:
    spec = json.loads(buildspec())
    assert (spec["version"], spec["env"]["shell"]) == (0.2, "bash")
    assert [len(phase["commands"]) for phase in spec["phases"].values()] == [1, 1]


def test_an_image_is_copied_by_digest_and_read_back(build: Build) -> None:
    done = build.run()
    assert done.returncode == 0, done.stderr
    assert build.of("crane copy") == [f"crane copy quay.io/a/b@{SHA} {TARGET} []"]
    assert build.calls[-1].startswith(f"crane digest {TARGET}")
    assert SHA in done.stdout


def test_all_platforms_are_copied(build: Build) -> None:
    build.run()
    assert "--platform" not in " ".join(build.calls)


def test_of_an_index_one_platform_can_be_picked(build: Build) -> None:
    picked = "sha256:" + "a" * 64
    build.digest("quay.io/a/b:1+linux/arm64", picked)
    build.digest(f"quay.io/a/b@{picked}", picked)
    done = build.run(PLATFORM="linux/arm64")
    assert done.stdout == f"ok quay.io/a/b:1 {picked}\n"
    assert build.of("crane copy") == [f"crane copy quay.io/a/b@{picked} {TARGET} []"]


def test_what_is_asked_for_by_digest_keeps_it_whatever_the_platform(build: Build) -> None:
    build.digest(f"quay.io/a/b:1@{SHA}")
    done = build.run(f"quay.io/a/b:1@{SHA}", PLATFORM="linux/arm64")
    assert done.stdout == f"ok quay.io/a/b:1@{SHA} {SHA}\n"
    assert "--platform" not in " ".join(build.calls)


def test_a_digest_is_copied_as_asked_for(build: Build) -> None:
    source = f"quay.io/a/b:1@{SHA}"
    build.digest(source)
    target = f"{HOST}/kubeflow/quay.io/a/b:digest-{SHA.replace(':', '-')}"
    assert build.run(source, target).returncode == 0
    assert build.of("crane copy") == [f"crane copy {source} {target} []"]


def test_a_port_is_not_taken_for_a_tag(build: Build) -> None:
    build.digest("localhost:5000/a:1")
    build.digest(f"localhost:5000/a@{SHA}")
    assert build.run("localhost:5000/a:1").returncode == 0
    assert build.of("crane copy")[0].startswith(f"crane copy localhost:5000/a@{SHA} ")


def test_what_is_there_already_is_not_copied_again(build: Build) -> None:
    build.digest(TARGET)
    done = build.run()
    assert (done.returncode, done.stdout) == (0, f"ok quay.io/a/b:1 {SHA}\n")
    assert build.of("crane copy") == []


def test_a_tag_that_moved_is_copied_again(build: Build) -> None:
    build.digest(TARGET, "sha256:" + "f" * 64)
    assert build.run().returncode == 0
    assert len(build.of("crane copy")) == 1


@pytest.mark.parametrize("command", ["auth", "digest", "copy"])
def test_a_failing_call_is_tried_again(build: Build, command: str) -> None:
    build.fail(command, 3)
    done = build.run()
    assert done.returncode == 0, done.stderr
    assert "attempt 3 of 5 failed" in done.stderr


@pytest.mark.parametrize("command", ["auth", "digest", "copy"])
def test_a_call_that_keeps_failing_fails_the_build(build: Build, command: str) -> None:
    build.fail(command, 5)
    assert build.run().returncode == 1


def test_a_copy_that_is_not_the_source_fails_the_build(build: Build) -> None:
    (build.world / "arrives").write_text("sha256:" + "e" * 64)
    done = build.run()
    assert done.returncode == 1
    assert done.stdout.startswith(f"failed quay.io/a/b:1 {TARGET} is sha256:eee")
    assert f"not {SHA}" in done.stdout


def test_each_image_has_its_line_and_one_that_fails_does_not_stop_the_others(build: Build) -> None:
    build.digest("quay.io/c/d:1")
    build.digest(f"quay.io/c/d@{SHA}")
    names = ("a/b", "absent/x", "c/d")
    pairs = [(f"quay.io/{name}:1", f"{HOST}/kubeflow/quay.io/{name}:1") for name in names]
    done = build.run_all(pairs)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        f"ok quay.io/a/b:1 {SHA}",
        "failed quay.io/absent/x:1 Error: GET https://host/manifests: broken",
        f"ok quay.io/c/d:1 {SHA}",
    ]
    assert len(build.of("crane auth")) == 1


def test_the_lines_may_arrive_as_one(build: Build) -> None:
    build.digest("quay.io/c/d:1")
    build.digest(f"quay.io/c/d@{SHA}")
    images = f"quay.io/a/b:1 {TARGET} quay.io/c/d:1 {HOST}/kubeflow/quay.io/c/d:1"
    assert build.run(IMAGES=images).stdout.count("ok ") == 2


def test_what_is_absent_is_not_asked_for_again(build: Build) -> None:
    done = build.run("quay.io/absent/x:1", ABSENT="MANIFEST_UNKNOWN: manifest unknown")
    assert done.returncode == 1
    assert done.stdout.endswith("MANIFEST_UNKNOWN: manifest unknown\n")
    assert len(build.of("crane digest")) == 1


def test_without_a_login_every_image_has_failed(build: Build) -> None:
    build.fail("auth", 5)
    done = build.run_all([("quay.io/a/b:1", TARGET)] * 2)
    assert done.returncode == 1
    assert done.stdout.count(f"failed quay.io/a/b:1 no login to {HOST}/kubeflow: ") == 2


def test_nothing_is_written_without_a_table(build: Build) -> None:
    assert build.run().returncode == 0
    assert build.of("aws dynamodb") == []


@pytest.mark.parametrize(("follow", "seconds"), [("7200", 7200), ("0", 86400), ("", 86400)])
def test_a_copy_is_remembered_for_a_day_where_its_source_is_not_followed(
    build: Build, follow: str, seconds: int
) -> None:
    begun = int(time.time())
    assert build.run(TABLE="copies", FOLLOW_SECONDS=follow).returncode == 0
    (line,) = (build.world / "rows").read_text().splitlines()
    end = int(json.loads(line)["ExpressionAttributeValues"][":end"]["N"])
    assert begun + seconds <= end <= int(time.time()) + seconds


def test_a_failed_copy_that_no_admission_claimed_has_the_first_pause(build: Build) -> None:
    assert build.run("quay.io/absent/x:1", TABLE="copies").returncode == 1
    (line,) = (build.world / "rows").read_text().splitlines()
    values = json.loads(line)["ExpressionAttributeValues"]
    assert values[":first"] == {"N": str(claims.RETRY_SECONDS)}


def test_the_program_for_json_arrives_byte_for_byte(build: Build) -> None:
    python = build.world / "bin" / "python3"
    python.write_text(f'#!/bin/bash\ncp "$1" "$WORLD/program"\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    assert build.run(TABLE="copies").returncode == 0
    assert (build.world / "program").read_bytes() == Path(copy_json.__file__).read_bytes()


def test_a_table_that_cannot_be_written_does_not_fail_a_copy(build: Build) -> None:
    done = build.run(TABLE="copies", TABLE_FAILS="1")
    assert (done.returncode, done.stdout) == (0, f"ok quay.io/a/b:1 {SHA}\n")
    assert "the table copies was not told about quay.io/a/b:1" in done.stderr
