"""The build that copies images, run as CodeBuild runs it, with stand-ins for crane and aws."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from components.mirror import buildspec as buildspec_module
from components.mirror.buildspec import LONGEST, PROGRAMS, buildspec
from tests.components.mirror.simulated_build import HOST, SHA, TARGET, Build, build_machine
from webhook import claims


@pytest.fixture
def build(tmp_path: Path) -> Build:
    return build_machine(tmp_path)


COMMANDS = {name: each["commands"][0] for name, each in json.loads(buildspec())["phases"].items()}
COPY = Path(buildspec_module.__file__).with_name("copy.sh").read_text("utf-8")


@pytest.mark.parametrize("command", [*COMMANDS.values(), COPY], ids=[*COMMANDS, "copy.sh"])
def test_the_commands_are_bash_without_a_finding_of_shellcheck(command: str) -> None:
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


def test_codebuild_takes_a_specification_of_this_length() -> None:
    # Room for the next lines: what is too long fails in CreateProject only.
    assert len(buildspec()) < LONGEST - 1000


PICKED = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("source", "digests", "platform", "copied"),
    [
        pytest.param("quay.io/a/b:1", {}, "", f"quay.io/a/b@{SHA}", id="a tag, all platforms"),
        pytest.param(
            "quay.io/a/b:1",
            {f"quay.io/a/b@{SHA}+linux/arm64": PICKED, f"quay.io/a/b@{PICKED}": PICKED},
            "linux/arm64",
            f"quay.io/a/b@{PICKED}",
            id="one platform of an index",
        ),
        pytest.param(
            f"quay.io/a/b:1@{SHA}",
            {},
            "linux/arm64",
            f"quay.io/a/b@{SHA}",
            id="a digest, whatever the platform",
        ),
        pytest.param(
            "localhost:5000/a:1",
            {"localhost-5000/a:1": SHA, f"localhost-5000/a@{SHA}": SHA},
            "",
            f"localhost-5000/a@{SHA}",
            id="a port is no tag",
        ),
    ],
)
def test_an_image_is_copied_by_digest_and_read_back(
    build: Build, source: str, digests: dict[str, str], platform: str, copied: str
) -> None:
    for image, digest in digests.items():
        build.digest(image, digest)
    done = build.run(source, PLATFORM=platform)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"ok {source} {copied.partition('@')[2]}\n"
    assert build.of("crane copy") == [f"crane copy {copied} {TARGET} []"]
    assert build.calls[-1].startswith(f"crane digest {TARGET}")
    assert ("--platform" in " ".join(build.calls)) == (PICKED in copied)


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
@pytest.mark.parametrize(("failures", "status"), [(3, 0), (5, 1)])
def test_a_failing_call_is_tried_again_four_times(
    build: Build, command: str, failures: int, status: int
) -> None:
    build.fail(command, failures)
    done = build.run()
    assert done.returncode == status, done.stderr
    assert "attempt 3 of 5 failed" in done.stderr


def test_a_copy_that_is_not_the_source_fails_the_build(build: Build) -> None:
    (build.world / "arrives").write_text("sha256:" + "e" * 64)
    done = build.run()
    assert done.returncode == 1
    assert done.stdout == "failed quay.io/a/b:1 target-refused\n"
    assert f"{TARGET} is another image than {SHA}" in done.stderr


def test_each_image_has_its_line_and_one_that_fails_does_not_stop_the_others(build: Build) -> None:
    build.source("quay.io/c/d")
    names = ("a/b", "absent/x", "c/d")
    pairs = [(f"quay.io/{name}:1", f"{HOST}/kubeflow/quay.io/{name}:1") for name in names]
    done = build.run_all(pairs)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        f"ok quay.io/a/b:1 {SHA}",
        "failed quay.io/absent/x:1 no-image",
        f"ok quay.io/c/d:1 {SHA}",
    ]
    assert len(build.of("crane auth")) == 1


def test_the_lines_may_arrive_as_one(build: Build) -> None:
    build.source("quay.io/c/d")
    images = f"quay.io/a/b:1 {TARGET} quay.io/c/d:1 {HOST}/kubeflow/quay.io/c/d:1"
    assert build.run(IMAGES=images).stdout.count("ok ") == 2


def test_without_a_login_every_image_has_failed(build: Build) -> None:
    build.fail("auth", 5)
    done = build.run_all([("quay.io/a/b:1", TARGET)] * 2)
    assert done.returncode == 1
    assert done.stdout.count("failed quay.io/a/b:1 target-login\n") == 2


def test_nothing_is_written_without_a_table(build: Build) -> None:
    assert build.run().returncode == 0
    assert build.of("aws dynamodb") == []


@pytest.mark.parametrize(("follow", "seconds"), [("7200", 7200), ("0", 86400), ("", 86400)])
def test_a_copy_is_remembered_for_a_day_where_its_source_is_not_followed(
    build: Build, follow: str, seconds: int
) -> None:
    assert build.run(TABLE="copies", FOLLOW_SECONDS=follow, NOW="1000").returncode == 0
    (line,) = (build.world / "rows").read_text().splitlines()
    assert json.loads(line)["ExpressionAttributeValues"][":end"] == {"N": str(1000 + seconds)}


def test_a_failed_copy_that_no_admission_claimed_has_the_first_pause(build: Build) -> None:
    assert build.run("quay.io/absent/x:1", TABLE="copies").returncode == 1
    (line,) = (build.world / "rows").read_text().splitlines()
    values = json.loads(line)["ExpressionAttributeValues"]
    assert values[":first"] == {"N": str(claims.RETRY_SECONDS)}


def test_the_programs_arrive_byte_for_byte(build: Build) -> None:
    python = build.world / "bin" / "python3"
    kept = 'cp -r "$PYTHONPATH/." "$WORLD/programs"'
    python.write_text(f'#!/bin/bash\n{kept}\n{sys.executable} "$@"\n')
    python.chmod(0o755)
    assert build.run(TABLE="copies").returncode == 0
    for name in ("copy.sh", *PROGRAMS):
        arrived = build.world / "programs" / "components" / "mirror" / name
        assert arrived.read_bytes() == Path(buildspec_module.__file__).with_name(name).read_bytes()


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_programs_run_on_the_build_machines_default_python(name: str) -> None:
    text = Path(buildspec_module.__file__).with_name(name).read_text("utf-8")
    tree = ast.parse(text, feature_version=(3, 9))
    nodes = list(ast.walk(tree))
    imported = {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    imported |= {each.name for node in nodes if isinstance(node, ast.Import) for each in node.names}
    ours = {f"components.mirror.{each.removesuffix('.py')}" for each in PROGRAMS}
    assert {str(each).partition(".")[0] for each in imported - ours} <= sys.stdlib_module_names


@pytest.mark.parametrize("failure", ["", "RepositoryAlreadyExistsException"])
def test_a_repository_is_made_for_a_source_that_exists_and_no_other(
    build: Build, failure: str
) -> None:
    request = {"imageTagMutability": "MUTABLE", "tags": [{"Key": "owner", "Value": "platform"}]}
    variables = {"NEW_REPOSITORY": json.dumps(request), "LIFECYCLE": '{"rules": []}'}
    absent = ("quay.io/absent/x:1", f"{HOST}/kubeflow/quay.io/absent/x:1")
    done = build.run_all([absent, ("quay.io/a/b:1", TARGET)], REPOSITORY_FAILS=failure, **variables)
    assert done.stdout.splitlines()[1] == f"ok quay.io/a/b:1 {SHA}"
    assert len(build.of("aws ecr create-repository")) == 1
    if failure:
        assert build.of("aws ecr put-lifecycle-policy") == []
    else:
        (made,) = (build.world / "repositories").read_text().splitlines()
        assert json.loads(made) == {**request, "repositoryName": "kubeflow/quay.io/a/b"}
        assert (build.world / "lifecycles").read_text() == '{"rules": []}\n'


def test_a_repository_that_cannot_be_made_is_a_failure_of_the_target(build: Build) -> None:
    done = build.run(NEW_REPOSITORY="{}", REPOSITORY_FAILS="LimitExceededException")
    assert done.stdout == "failed quay.io/a/b:1 target-refused\n"
    assert build.of("crane copy") == []


def test_a_table_that_cannot_be_written_does_not_fail_a_copy(build: Build) -> None:
    done = build.run(TABLE="copies", TABLE_FAILS="1")
    assert (done.returncode, done.stdout) == (0, f"ok quay.io/a/b:1 {SHA}\n")
    assert "the table copies was not told about quay.io/a/b:1" in done.stderr


def test_logins_that_cannot_be_read_at_all_fail_no_public_image(build: Build) -> None:
    done = build.run(SOURCE_SECRETS="no JSON")
    assert (done.returncode, done.stdout) == (0, f"ok quay.io/a/b:1 {SHA}\n")
