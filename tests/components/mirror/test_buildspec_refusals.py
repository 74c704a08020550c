"""What the build that copies images does not do: write elsewhere, run options, tell secrets."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from components.mirror import buildspec as buildspec_module
from components.mirror.buildspec import CRANE_SHA256, buildspec
from components.mirror.policies import BUILD_VARIABLES
from images.reference import parse
from tests.components.mirror.simulated_build import HOST, TARGET, Build, build_machine
from tests.images.test_reference_table import VALID
from webhook.copy_job import overrides


@pytest.fixture
def build(tmp_path: Path) -> Build:
    return build_machine(tmp_path)


def test_the_variables_of_a_build_are_those_its_starter_may_set() -> None:
    script = Path(buildspec_module.__file__).with_name("copy.sh").read_text("utf-8")
    assert BUILD_VARIABLES == ("IMAGES", "NAMESPACE")
    assert all(f"${{{name}:" in script for name in BUILD_VARIABLES)


@pytest.mark.parametrize("namespace", ["-n$(id)", "a b", "A", "a/b", "x" * 64, "#copies"])
def test_a_namespace_is_the_name_of_one_and_is_not_shown(build: Build, namespace: str) -> None:
    done = build.run(NAMESPACE=namespace)
    assert (done.returncode, done.stderr) == (2, "refused: NAMESPACE is no namespace\n")
    assert build.calls == []


def test_what_crane_says_is_not_shown(build: Build) -> None:
    done = build.run("quay.io/absent/x:1", ABSENT="\x1b[31mwritten by one\nok quay.io/a/b:1 x")
    assert done.stdout == "failed quay.io/absent/x:1 no-image\n"
    assert not [word for word in ("of-a-url", "written", "\x1b", "ok quay") if word in done.stderr]


@pytest.mark.parametrize(
    "target",
    [
        "evil.example/x:1",
        f"{HOST}/other/x:1",
        f"{HOST}/kubeflow",
        f"{HOST}/kubeflow:1",
        f"{HOST}/kubeflow/../other/x:1",
        f"{HOST}/kubeflow/x/../../other/x:1",
        f"{HOST}.evil.example/kubeflow/x:1",
    ],
)
def test_nothing_is_written_outside_the_registry(build: Build, target: str) -> None:
    for pairs in ([("quay.io/a/b:1", target)], [("quay.io/a/b:1", TARGET), ("q.io/c:1", target)]):
        assert build.run_all(pairs).returncode == 2
    assert build.calls == []


@pytest.mark.parametrize(
    "source",
    ["--insecure", "-v", "$(id)", "quay.io/a/b", "../a:1", '{"accessKeyId":"key"}', "q.io/*:1"],
)
def test_a_source_is_an_image_and_nothing_else_and_is_not_shown(build: Build, source: str) -> None:
    done = build.run_all([("quay.io/a/b:1", TARGET), (source, TARGET)])
    assert done.returncode == 2
    assert "word 2 of IMAGES is no tagged image" in done.stderr
    assert source not in done.stdout + done.stderr
    assert build.calls == []


@pytest.mark.parametrize("images", ["", "quay.io/a/b:1", f"quay.io/a/b:1 {TARGET} quay.io/c:1"])
def test_a_source_without_a_target_is_refused(build: Build, images: str) -> None:
    assert build.run(IMAGES=images).returncode != 0
    assert build.calls == []


@pytest.mark.parametrize("platform", ["arm64", "linux/arm64 -v", "--insecure", "linux/"])
def test_what_is_no_platform_is_refused(build: Build, platform: str) -> None:
    assert build.run(PLATFORM=platform).returncode == 2
    assert build.calls == []


def test_every_image_that_the_project_can_name_is_taken(build: Build) -> None:
    # A marker of the render stands for a registry that is not known yet: none is ever copied.
    images = [parse(row[0]) for row in VALID if "<<" not in row[0]]
    build.fail("auth", 5)  # far enough: what is refused ends with another status
    (variable,) = overrides(images, f"{HOST}/kubeflow")
    done = build.run(IMAGES=variable["value"])
    assert (done.returncode, done.stdout.count("failed ")) == (1, len(images)), done.stderr


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


def test_the_roles_own_session_is_not_mixed_with_a_stored_key(build: Build) -> None:
    done = build.run(CREDENTIALS_SECRET="push-secret", AWS_SESSION_TOKEN="of-the-role")
    assert done.returncode == 0, done.stderr
    assert (build.world / "password").read_text() == "password-of-push-key\n"


def test_a_secret_of_another_shape_fails_without_being_shown(build: Build) -> None:
    (build.world / "secret").write_text('{"key": "push-key"}')
    done = build.run(CREDENTIALS_SECRET="push-secret")
    assert done.returncode == 1
    assert "push-key" not in done.stdout + done.stderr


def test_a_crane_of_another_digest_is_not_installed(build: Build) -> None:
    curl = "#!/bin/bash\nwhile [ $# -gt 1 ]; do [ $1 = --output ] && echo x > $2; shift; done\n"
    (build.world / "bin" / "curl").write_text(curl)
    (build.world / "bin" / "curl").chmod(0o755)
    spec = json.loads(buildspec())
    (command,) = spec["phases"]["install"]["commands"]
    variables = spec["env"]["variables"]
    programs = f"{build.world}/bin:/usr/bin:/bin"
    environment = {**variables, "PATH": programs, "CRANE_DIR": str(build.world)}
    done = subprocess.run(
        ["bash", "-c", command],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode != 0
    assert not (build.world / "crane").exists()
    assert variables["CRANE_SHA256"] == CRANE_SHA256
