"""./kf images: what a stack can pull, for people and for programs."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from images.reference import parse
from ops import inventories, registry_reach, targets
from rendering import ImageUse
from rendering import lock as locks
from settings import from_mapping
from settings.facts import karpenter_releases
from tests.ops.command import kf
from tests.ops.test_crane import program


def rows(stack: str) -> list[list[str]]:
    done = kf("images", "list", "--stack", stack, "--format", "text")
    assert done.exit_code == 0, done.output
    return [line.split("\t") for line in done.stdout.splitlines()]


def test_every_image_of_beijing_comes_from_the_accounts_registry() -> None:
    listed = rows("cn-north-1")
    assert len(listed) > 100
    for source, target, needed, where in listed:
        copy = f"<account>.dkr.ecr.cn-north-1.amazonaws.com.cn/kubeflow/{parse(source)}"
        assert target == copy
        assert needed in ("install", "feature", "example")
        assert where


def test_elsewhere_images_come_from_their_own_registries() -> None:
    assert [row for row in rows("us-west-2") if row[0] != row[1]] == []


def test_the_pool_the_operator_and_the_database_job_are_in_the_list() -> None:
    names = {parse(row[0]).name for row in rows("cn-north-1")}
    assert {
        "public.ecr.aws/karpenter/controller",
        "ghcr.io/external-secrets/external-secrets",
        "nvcr.io/nvidia/k8s-device-plugin",
        "docker.io/library/mysql",
    } <= names


def test_of_karpenter_a_stack_has_the_images_of_its_own_version() -> None:
    names = {
        version: [
            folder.name
            for folder in targets.folders_of_stack(
                from_mapping({"region": "cn-north-1", "gpuPool": {"karpenterVersion": version}})
            )
            if folder.name.startswith("karpenter-")
        ]
        for version in karpenter_releases(targets.MANIFESTS)
    }
    assert len(names) > 1
    assert names == {version: [f"karpenter-{version}"] for version in names}


def test_a_program_reads_the_same_as_json() -> None:
    done = kf("images", "list", "--stack", "cn-north-1", "--format", "json")
    listed = json.loads(done.stdout)
    assert [each["source"] for each in listed] == [row[0] for row in rows("cn-north-1")]
    assert set(listed[0]) == {"source", "target", "needed", "where", "gone", "substitute"}


def test_images_that_are_gone_are_told_with_what_takes_their_place() -> None:
    done = kf("images", "list", "--stack", "cn-north-1-kf151", "--format", "json")
    gone = {each["source"]: each["substitute"] for each in json.loads(done.stdout) if each["gone"]}
    assert gone["gcr.io/ml-pipeline/api-server:1.8.2"] is None
    executor = "gcr.io/ml-pipeline/argoexec:v3.2.3-license-compliance"
    assert gone[executor] == "quay.io/argoproj/argoexec:v3.2.3"
    assert f"{executor} is reported gone" in done.stderr
    assert f": push a copy of {gone[executor]} to the target." in done.stderr
    several = r"\d+ images gcr.io/ml-pipeline/\* are reported gone \(.*\): no substitute is known"
    assert re.search(several, done.stderr)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["list", "--stack", "cn-nort-1"], "did you mean Pulumi.cn-north-1.yaml?"),
        (["lock"], "name the lock by either --release or --stack."),
        (["lock", "--release", "26.3"], "did you mean 26.03?"),
        (["list", "--stack", "us-west-2", "--bundle", "no.tar"], "no.tar does not exist"),
    ],
)
def test_bad_input_gets_one_sentence(arguments: list[str], sentence: str) -> None:
    done = kf("images", *arguments)
    assert done.exit_code == 2
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.fixture
def tiny_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A release folder ``tiny`` with one image that a lock can be made of."""
    folder = tmp_path / "manifests" / "tiny"
    folder.mkdir(parents=True)
    use = ImageUse("quay.io/a/b:v1", "quay.io/a/b:v1", ("here",), "install")
    monkeypatch.setattr(targets, "MANIFESTS", folder.parent)
    monkeypatch.setattr(targets, "release_folder", lambda _name: folder)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    monkeypatch.setattr(inventories, "of_release", lambda _folder: (use,))  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    return folder


def reachable(_hosts: Iterable[str]) -> dict[str, str]:
    return {}


def test_a_lock_can_be_written_without_asking_anybody(tiny_lock: Path) -> None:
    done = kf("images", "lock", "--release", "tiny", "--offline")
    assert done.exit_code == 0, done.output
    assert "tiny: 1 images, 0 with a digest" in done.stderr
    (image,) = locks.load(tiny_lock, "tiny").images
    assert (image.source, image.target, image.digest) == ("quay.io/a/b:v1", "quay.io/a/b", None)


def test_a_lock_copied_from_another_release_becomes_that_of_the_folder(full_lock: Path) -> None:
    before = locks.load(full_lock, "tiny")
    locks.write(full_lock, before.model_copy(update={"release": "older"}))
    assert kf("images", "lock", "--release", "tiny", "--offline").exit_code == 0
    assert locks.load(full_lock, "tiny") == before


def test_a_digest_that_nobody_tells_fails_the_command_and_keeps_the_lock(
    tiny_lock: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, "echo 'Error: GET https://quay.io/v2/: DENIED: no' >&2; exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(registry_reach, "unreachable", reachable)
    done = kf("images", "lock", "--release", "tiny")
    assert done.exit_code == 1
    assert "quay.io/a/b:v1 is refused by quay.io" in done.stderr
    assert [image.digest for image in locks.load(tiny_lock, "tiny").images] == [None]


def test_a_machine_that_no_registry_answers_is_told_so_once(tiny_lock: Path) -> None:
    done = kf("images", "lock", "--release", "tiny", "--registry-mirror", "127.0.0.1:1/x")
    assert done.exit_code == 1
    assert done.stderr.startswith(
        "no registry answers this machine (127.0.0.1:1 refuses the connection; HTTPS_PROXY is "
    )
    assert done.stderr.endswith("with --registry-mirror, or --offline.\n")
    assert len(done.stderr.splitlines()) == 1
    assert [image.digest for image in locks.load(tiny_lock, "tiny").images] == [None]


@pytest.fixture
def no_crane(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("KUBEFLOW_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def full_lock(tiny_lock: Path) -> Path:
    """The lock of ``tiny_lock`` with the digest it lacks."""
    kf("images", "lock", "--release", "tiny", "--offline")
    digest = f"sha256:{'a' * 64}"
    locks.write(tiny_lock, locks.load(tiny_lock, "tiny").filled({"quay.io/a/b:v1": digest}))
    return tiny_lock


def test_a_lock_without_a_gap_is_made_where_there_is_no_crane(
    full_lock: Path, no_crane: None
) -> None:
    done = kf("images", "lock", "--release", "tiny")
    assert (done.exit_code, done.stderr) == (0, "tiny: 1 images, 1 with a digest\n")


@pytest.mark.parametrize(("lock", "more"), [("tiny_lock", []), ("full_lock", ["--refresh"])])
def test_where_a_digest_is_to_be_asked_for_the_ways_to_crane_are_told(
    lock: str, more: list[str], no_crane: None, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue(lock)
    done = kf("images", "lock", "--release", "tiny", *more)
    assert done.exit_code == 2
    assert "There is no crane: put it on PATH, or install Go" in done.stderr


def test_a_mirror_is_asked_for_its_copy(
    tiny_lock: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = f"sha256:{'b' * 64}"
    program(tmp_path, f"echo $@ > {tmp_path}/asked; echo {digest}")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(registry_reach, "unreachable", reachable)
    assert kf("images", "lock", "--release", "tiny", "--registry-mirror", "h.io/p").exit_code == 0
    assert (tmp_path / "asked").read_text() == "digest h.io/p/quay.io/a/b:v1\n"
    assert [image.digest for image in locks.load(tiny_lock, "tiny").images] == [digest]
