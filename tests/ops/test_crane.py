"""crane's output and its meaning. The last lines here are as crane v0.20.6 printed them."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest

from components.mirror.buildspec import CRANE_VERSION
from ops import crane
from ops.crane import Absent, Crane, CraneFailed, Disturbed, Stopped, meaning
from toolchain.tools import ToolMissing

GET = "Error: fetching manifest h/a:v1: GET https://h/v2/a/manifests/v1:"
POST = "Error: POST https://t/v2/a/blobs/uploads/:"


@pytest.mark.parametrize(
    ("said", "kind", "sentence"),
    [
        (f"{GET} MANIFEST_UNKNOWN: manifest unknown; map[Tag:v1]", Absent, "is not there"),
        (f"{GET} NAME_UNKNOWN: repository name not known; map[name:a]", Absent, "is not there"),
        (f"{GET} unexpected status code 404 Not Found", Absent, "is not there"),
        (f"{GET} UNAUTHORIZED: authentication required", CraneFailed, "is refused by h: log in"),
        (f"{GET} DENIED: requested access is denied", CraneFailed, "is refused by h: log in"),
        (f"{POST} NAME_UNKNOWN: no such", CraneFailed, "written: t has no such repository"),
        (f"{GET} TOOMANYREQUESTS: slow down", Disturbed, "is asked for too often (429"),
        (f"{GET} unexpected status code 429 Too Many Requests", Disturbed, "too often (429"),
        (f"{GET} unexpected status code 503 Service Unavailable", Disturbed, "the answer 503"),
        (f"{GET} MANIFEST_INVALID: no", CraneFailed, "is refused: "),
        ('Error: Get "https://h/v2/": read: connection reset by peer', Disturbed, "was reset"),
        ('Error: Get "https://h/v2/": dial tcp: lookup h: no such host', Disturbed, "not known"),
        ('Error: Get "https://h/v2/": unexpected EOF', Disturbed, "the connection broke"),
        ("Error: error getting credentials - err: exec: no such", CraneFailed, "helper of your"),
        ("Error: something new", Disturbed, "fails: something new"),
        ("", Disturbed, "fails: crane printed nothing"),
    ],
)
def test_a_failure_is_final_or_worth_another_attempt(
    said: str, kind: type[CraneFailed], sentence: str
) -> None:
    found = meaning(said)
    assert type(found) is kind
    assert sentence in str(found)
    assert "\n" not in str(found)


def test_what_a_url_carries_is_not_told() -> None:
    said = 'Error: Get "https://s3.example.com/blob?X-Amz-Signature=secret&x=y": weird'
    assert "secret" not in str(meaning(said))
    assert "https://s3.example.com/blob" in str(meaning(said))


def program(folder: Path, script: str) -> Path:
    """A stand-in for crane."""
    file = folder / "crane"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return file


def test_crane_on_path_is_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = program(tmp_path, "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert crane.find() == file


def test_without_crane_and_without_go_the_ways_out_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("KUBEFLOW_CACHE", str(tmp_path / "cache"))
    with pytest.raises(ToolMissing, match="put it on PATH, or install Go"):
        crane.find()


def test_the_built_crane_is_the_pinned_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: found(name) if name != "crane" else None)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    command = [str(crane.find()), "version"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert said.stdout.strip() == f"v{CRANE_VERSION}"


def test_the_module_that_is_built_pins_the_crane_of_the_builds() -> None:
    module = (Path(crane.__file__).parent / "crane" / "go.mod").read_text()
    assert f"require github.com/google/go-containerregistry v{CRANE_VERSION}\n" in module


@pytest.fixture
def no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crane, "LONGEST_WAIT_SECONDS", 0)


def test_each_attempt_that_is_repeated_is_reported(tmp_path: Path, no_wait: None) -> None:
    file = program(
        tmp_path,
        f"""echo x >> {tmp_path}/tried
        [ $(wc -l < {tmp_path}/tried) -gt 2 ] && exit
        echo 'Error: GET https://h/v2/: unexpected status code 502 Bad Gateway' >&2; exit 1""",
    )
    reasons: list[str] = []
    Crane(file).copy("h/a:v1", "t/a:v1", print, reasons.append)
    assert reasons == ["gets the answer 502"] * 2


def test_a_lasting_disturbance_ends_after_so_many_attempts(
    tmp_path: Path, no_wait: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crane, "ATTEMPTS", 3)
    file = program(tmp_path, f"echo x >> {tmp_path}/tried; echo 'Error: new' >&2; exit 1")
    with pytest.raises(CraneFailed, match="fails: new, also after 3 attempts"):
        Crane(file).digest("h/a:v1")
    assert (tmp_path / "tried").read_text() == "x\n" * 3


def test_blobs_are_reported_as_they_are_copied(tmp_path: Path) -> None:
    lines = ("Copying from a to b", "existing blob: sha256:1", "mounted blob: sha256:2")
    said = "; ".join(f"echo '2026/11/27 {line}' >&2" for line in (*lines, "pushed blob: sha256:3"))
    arrived: list[str] = []
    Crane(program(tmp_path, said)).copy("a", "b", arrived.append)
    assert arrived == ["sha256:1", "sha256:2", "sha256:3"]


def test_stopping_ends_what_runs_and_starts_nothing_more(tmp_path: Path) -> None:
    tool = Crane(program(tmp_path, f"touch {tmp_path}/begun; exec sleep 600"))
    caught: list[BaseException] = []

    def ask() -> None:
        try:
            tool.digest("h/a:v1")
        except BaseException as error:
            caught.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    end = time.monotonic() + 60
    while not (tmp_path / "begun").exists() and time.monotonic() < end:
        time.sleep(0.02)
    tool.stop()
    asking.join(60)
    assert [type(error) for error in caught] == [Stopped]
    with pytest.raises(Stopped):
        tool.digest("h/a:v1")


def test_crane_has_its_configuration_and_is_stopped_after_the_block(tmp_path: Path) -> None:
    file = program(tmp_path, "echo $DOCKER_CONFIG")
    with Crane(file, tmp_path / "docker") as tool:
        assert tool.digest("h/a:v1") == str(tmp_path / "docker")
    with pytest.raises(Stopped):
        tool.digest("h/a:v1")


def test_a_query_without_an_answer_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crane, "QUERY_SECONDS", 0.2)
    monkeypatch.setattr(crane, "ATTEMPTS", 1)
    tool = Crane(program(tmp_path, "exec sleep 600"))
    with pytest.raises(CraneFailed, match="takes longer than"):
        tool.digest("h/a:v1")
