"""./kf images mirror and check: what is asked wrongly gets one sentence, and nothing is begun."""

from __future__ import annotations

from pathlib import Path

import pulumi
import pytest

from ops import targets
from ops.mirror import target
from program import stack_tags
from settings import Settings, from_mapping
from tests.ops.command import kf


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "images.txt"


@pytest.mark.parametrize("command", ["mirror", "check"])
@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (
            "image: quay.io/a/b:v1\n",
            "images.txt, line 1: `image: quay.io/a/b:v1` is YAML",
        ),
        ("quay.io/a/b:v1 ->\n", "line 1: `quay.io/a/b:v1 ->` has only one side"),
        ("quay.io/a/B:v1 -> h.example.com/b:v1\n", "line 1: 'quay.io/a/B:v1' has the repository"),
        ("", "names no image"),
        (
            "quay.io/a/b:1 -> one.example.com/b:1\nquay.io/a/c:1 -> two.example.com/c:1\n",
            "(one.example.com, two.example.com): copy to one registry per run, from a file of its",
        ),
    ],
)
def test_a_wrong_file_gets_one_sentence(
    file: Path, command: str, lines: str, sentence: str
) -> None:
    file.write_text(lines)
    done = kf("images", command, "--stack", "cn-north-1", "--from", str(file))
    assert done.exit_code == 2
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--stack", "cn-nort-1"], "did you mean Pulumi.cn-north-1.yaml?"),
        (["--stack", "us-west-2"], "us-west-2 pulls every image from its source"),
        (
            ["--stack", "us-west-2", "--from", "{plain}"],
            "us-west-2 pulls every image from its source: its imageMirror is not enabled.",
        ),
        (
            ["--stack", "cn-north-1", "--from", "no-such-file"],
            "no-such-file cannot be read: No such file or directory.",
        ),
    ],
)
def test_a_wrong_stack_or_a_missing_file_gets_one_sentence(
    file: Path, arguments: list[str], sentence: str
) -> None:
    file.write_text("quay.io/a/b:v1\n")
    done = kf("images", "mirror", *(each.format(plain=file) for each in arguments))
    assert done.exit_code == 2
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1


NOT_A_PREFIX = "is not a host and a prefix: write them like registry.example.com/mirror."
NOWHERE = "111122223333.dkr.ecr.xx-north-1.amazonaws.com/mirror"


@pytest.mark.parametrize("command", ["mirror", "check"])
@pytest.mark.parametrize(
    ("registry", "reason"),
    [
        ("registry.example.com", NOT_A_PREFIX),
        ("registry.example.com/", NOT_A_PREFIX),
        ("a/b", NOT_A_PREFIX),
        ("h.example.com/A", NOT_A_PREFIX),
        (NOWHERE, "names the region xx-north-1, and AWS has none of that name."),
    ],
)
def test_a_registry_without_a_stack_gets_one_sentence(
    file: Path, command: str, registry: str, reason: str
) -> None:
    file.write_text("quay.io/a/b:v1\n")
    done = kf("images", command, "--from", str(file), "--registry", registry)
    assert (done.exit_code, done.stderr) == (2, f"--registry {registry} {reason}\n")


def test_a_registry_without_a_list_gets_one_sentence() -> None:
    done = kf("images", "check", "--registry", "registry.example.com/mirror")
    assert done.exit_code == 2
    assert done.stderr == (
        "--registry registry.example.com/mirror is for images of a list: add --from FILE.\n"
    )


def test_a_stack_whose_registry_fills_itself_needs_no_copies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = from_mapping({"region": "us-west-2", "imageMirror": {"enabled": True}})

    def settings_of(_: str) -> Settings:
        return settings

    monkeypatch.setattr(targets, "settings_of", settings_of)
    done = kf("images", "mirror", "--stack", "us-west-2")
    assert done.exit_code == 2
    assert done.stderr == "us-west-2 needs no copies: ECR in us-west-2 pulls images by itself.\n"


def test_a_pattern_that_fits_no_image_gets_one_sentence(file: Path) -> None:
    file.write_text("quay.io/a/b:v1 -> h.example.com/b:v1\n")
    done = kf("images", "mirror", "--stack", "us-west-2", "--from", str(file), "--only", "nothing")
    assert done.exit_code == 2
    assert done.stderr.startswith("no image of 1 matches 'nothing'")


def test_without_credentials_the_way_out_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    done = kf("images", "check", "--stack", "cn-north-1")
    assert done.exit_code == 2
    assert "ecr:GetAuthorizationToken fails (NoCredentialsError): check AWS_PROFILE" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_repositories_get_the_tags_that_the_stack_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = targets.settings_of("cn-north-1")
    monkeypatch.setattr(pulumi, "get_project", lambda: "kubeflow")
    monkeypatch.setattr(pulumi, "get_stack", lambda: "cn-north-1")
    assert target.tags(settings, "cn-north-1") == stack_tags(settings)


def test_the_settings_own_tags_win(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(region="cn-north-1", tags={"project": "mine"})
    assert target.tags(settings, "any")["project"] == "mine"
