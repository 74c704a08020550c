"""The build that copies one image, run as CodeBuild runs it, with stand-ins for crane and aws."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from components.image_mirror_buildspec import CRANE_SHA256, buildspec, copy_script, install_script
from components.image_mirror_policies import BUILD_VARIABLES

SHA = "sha256:" + "0123456789abcdef" * 4
HOST = "111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn"
TARGET = f"{HOST}/kubeflow/quay.io/a/b:1"

# Registries are files: "digests/<reference>" holds a digest; a copy writes one. Each call is logged
# with the key it would use, and fails as long as "failures/<subcommand>" counts down.
CRANE = r"""#!/bin/bash
echo "crane $* [${AWS_SECRET_ACCESS_KEY:-}]" >> "$WORLD/calls"
left=$(cat "$WORLD/failures/$1" 2>/dev/null || echo 0)
if [ "$left" -gt 0 ]; then echo $((left - 1)) > "$WORLD/failures/$1"; exit 1; fi
file() { echo "$WORLD/digests/$(tr '/:@' '___' <<<"$1")"; }
case "$1" in
  auth) cat > "$WORLD/password" ;;
  digest) cat "$(file "$2")" 2>/dev/null ;;
  copy) cat "$WORLD/arrives" 2>/dev/null > "$(file "$3")" || cp "$(file "$2")" "$(file "$3")" ;;
esac
"""
AWS = r"""#!/bin/bash
echo "aws $1 $2 $4 [${AWS_SECRET_ACCESS_KEY:-}]" >> "$WORLD/calls"
case "$1" in
  secretsmanager) cat "$WORLD/secret" ;;
  ecr) echo password-of-"${AWS_SECRET_ACCESS_KEY:-the-role}" ;;
esac
"""


@dataclass
class Build:
    """A build machine in a folder."""

    world: Path

    def digest(self, image: str, digest: str = SHA) -> None:
        name = image.translate(str.maketrans("/:@", "___"))
        (self.world / "digests" / name).write_text(digest + "\n")

    def fail(self, command: str, times: int) -> None:
        (self.world / "failures" / command).write_text(str(times))

    def run(self, source: str = "quay.io/a/b:1", target: str = TARGET, **more: str) -> Any:
        phases = json.loads(buildspec())["phases"]
        environment = {
            "PATH": f"{self.world}/bin:{Path(sys.executable).parent}:/usr/bin:/bin",
            "WORLD": str(self.world),
            "SOURCE_IMAGE": source,
            "TARGET_IMAGE": target,
            "TARGET_REGISTRY": f"{HOST}/kubeflow",
            "TARGET_REGION": "cn-north-1",
            "RETRY_SECONDS": "0",
            **more,
        }
        (command,) = phases["build"]["commands"]
        return subprocess.run(
            ["bash", "-c", command], env=environment, capture_output=True, text=True, check=False
        )

    @property
    def calls(self) -> list[str]:
        return (self.world / "calls").read_text().splitlines()

    def of(self, start: str) -> list[str]:
        return [call for call in self.calls if call.startswith(start)]


@pytest.fixture
def build(tmp_path: Path) -> Build:
    for folder in ("bin", "digests", "failures"):
        (tmp_path / folder).mkdir()
    for name, text in {"crane": CRANE, "aws": AWS}.items():
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "secret").write_text('{"accessKeyId": "AKIAPUSH", "secretAccessKey": "push-key"}')
    made = Build(tmp_path)
    made.digest("quay.io/a/b:1")
    made.digest(f"quay.io/a/b@{SHA}")
    return made


@pytest.mark.parametrize("script", [install_script(), copy_script()])
def test_the_scripts_are_valid_bash(script: str) -> None:
    checked = subprocess.run(
        ["bash", "-n"], input=script, capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")


def test_the_specification_runs_one_bash_command_per_phase() -> None:
    spec = json.loads(buildspec())
    assert (spec["version"], spec["env"]) == (0.2, {"shell": "bash"})
    assert [len(phase["commands"]) for phase in spec["phases"].values()] == [1, 1]


def test_the_variables_of_a_build_are_those_its_starter_may_set() -> None:
    assert all(f"${{{name}:?}}" in copy_script() for name in BUILD_VARIABLES)


def test_an_image_is_copied_by_digest_and_read_back(build: Build) -> None:
    done = build.run()
    assert done.returncode == 0, done.stderr
    assert build.of("crane copy") == [f"crane copy quay.io/a/b@{SHA} {TARGET} []"]
    assert build.calls[-1].startswith(f"crane digest {TARGET}")
    assert SHA in done.stdout


def test_all_platforms_are_copied(build: Build) -> None:
    build.run()
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
    assert build.run().returncode == 0
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
    assert f"not {SHA}" in done.stderr


@pytest.mark.parametrize("target", ["evil.example/x:1", f"{HOST}/other/x:1", f"{HOST}/kubeflow"])
def test_nothing_is_written_outside_the_registry(build: Build, target: str) -> None:
    assert build.run(target=target).returncode == 2
    assert not (build.world / "calls").exists()


def test_inside_one_partition_the_role_itself_pushes(build: Build) -> None:
    build.run()
    assert build.of("aws secretsmanager") == []
    assert (build.world / "password").read_text() == "password-of-the-role\n"


def test_across_partitions_the_stored_key_logs_in_and_nothing_else_sees_it(build: Build) -> None:
    done = build.run(CREDENTIALS_SECRET="push-secret")
    assert done.returncode == 0, done.stderr
    assert build.of("aws secretsmanager") == ["aws secretsmanager get-secret-value push-secret []"]
    assert (build.world / "password").read_text() == "password-of-push-key\n"
    assert [call for call in build.of("crane") if "push-key" in call and "auth" not in call] == []
    assert "push-key" not in done.stdout + done.stderr


def test_a_secret_of_another_shape_fails_without_being_shown(build: Build) -> None:
    (build.world / "secret").write_text('{"key": "push-key"}')
    done = build.run(CREDENTIALS_SECRET="push-secret")
    assert done.returncode == 1
    assert "push-key" not in done.stdout + done.stderr


def test_a_crane_of_another_digest_is_not_installed(build: Build) -> None:
    curl = "#!/bin/bash\nwhile [ $# -gt 1 ]; do [ $1 = --output ] && echo x > $2; shift; done\n"
    (build.world / "bin" / "curl").write_text(curl)
    (build.world / "bin" / "curl").chmod(0o755)
    (command,) = json.loads(buildspec())["phases"]["install"]["commands"]
    environment = {"PATH": f"{build.world}/bin:/usr/bin:/bin", "CRANE_DIR": str(build.world)}
    done = subprocess.run(
        ["bash", "-c", command], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert not (build.world / "crane").exists()
    assert CRANE_SHA256 in command
