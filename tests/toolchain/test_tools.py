"""Where the tools come from, and what is said when there is none."""

from __future__ import annotations

import hashlib
import io
import platform
import tarfile
import threading
from collections.abc import Callable, Generator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from rendering.kustomize import Kustomize
from toolchain import tools


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """An empty PATH and cache, Pulumi's archives out of reach; returns what gets said."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("KUBEFLOW_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(tools, "_RELEASES", "http://127.0.0.1:9")
    return []


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_a_new_enough_pulumi_on_path_is_taken(said: list[str], tmp_path: Path) -> None:
    path = script(tmp_path / "bin" / "pulumi", "echo v3.300.1")
    assert tools.pulumi(said.append) == (path, "3.300.1", f"on PATH, {path}")
    assert said == [f"Pulumi CLI 3.300.1: on PATH, {path}"]


def test_an_old_pulumi_on_path_is_passed_over_for_the_cache(
    said: list[str], tmp_path: Path
) -> None:
    script(tmp_path / "bin" / "pulumi", "echo v3.100.0")
    cached = script(tmp_path / "cache/tools/pulumi-3.259.0/pulumi", "echo v3.259.0")
    assert tools.pulumi(said.append).path == cached
    assert "3.100.0 on PATH is older than 3.217.0" in said[0]


def test_without_path_cache_archive_and_go_one_sentence_names_the_ways(said: list[str]) -> None:
    with pytest.raises(tools.ToolMissing) as missing:
        tools.pulumi(said.append)
    assert str(missing.value) == (
        "There is no Pulumi CLI: put one on PATH, or let this machine reach http://127.0.0.1:9, or "
        "install Go so that it can be built."
    )


def go(tmp_path: Path) -> Path:
    """A Go on PATH that builds an empty file; the log of its calls."""
    log = tmp_path / "log"
    script(
        tmp_path / "bin" / "go",
        f'echo "$*" >> {log}\nwhile [ $# -gt 0 ]; do [ "$1" = -o ] && : > "$2"; shift; done',
    )
    return log


def test_without_an_archive_the_cli_is_built_once(said: list[str], tmp_path: Path) -> None:
    log = go(tmp_path)
    first, second = tools.pulumi(said.append), tools.pulumi(said.append)
    assert first.path == second.path == tmp_path / "cache/tools/pulumi-3.259.0/pulumi"
    (line,) = log.read_text().splitlines()
    assert "version.Version=v3.259.0 -o " in line
    assert line.endswith(" github.com/pulumi/pulumi/pkg/v3/cmd/pulumi")
    assert "cannot be downloaded ([Errno 111] Connection refused); building the CLI" in said[1]


# -- Pulumi's archive -----------------------------------------------------------------------------

PROGRAM = b"#!/bin/sh\necho v3.259.0\n"
Served = Callable[..., Path]


@pytest.fixture
def served(said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Served]:
    """Serves an archive for Linux on x86_64, under its real name; returns its file."""
    folder = tmp_path / "served"
    folder.mkdir()
    archive = folder / "pulumi-v3.259.0-linux-x64.tar.gz"
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *_: None)  # pyright: ignore[reportUnknownLambdaType]
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")

    def serve(name: str = "pulumi/pulumi", *, pinned: bool = True) -> Path:
        with tarfile.open(archive, "w:gz") as tar:
            info = tarfile.TarInfo(name)
            info.size = len(PROGRAM)
            tar.addfile(info, io.BytesIO(PROGRAM))
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        pins = {("Linux", "x86_64"): ("linux-x64", digest if pinned else "0" * 64)}
        monkeypatch.setattr(tools, "_ARCHIVES", pins)
        return archive

    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        monkeypatch.setattr(tools, "_RELEASES", f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield serve
        server.shutdown()
    assert said[0].startswith("Downloading the Pulumi CLI from http://127.0.0.1:")


def test_the_archive_with_the_pinned_digest_gives_the_cli_and_no_go_is_needed(
    served: Served, said: list[str], tmp_path: Path
) -> None:
    archive = served()
    home = tmp_path / "cache/tools/pulumi-3.259.0"
    tool = tools.pulumi(said.append)
    assert tool == (home / "pulumi", "3.259.0", f"in the cache, {home}/pulumi")
    assert (tool.path.read_bytes(), tool.path.stat().st_mode & 0o777) == (PROGRAM, 0o755)
    assert sorted(path.name for path in home.iterdir()) == [".lock", "pulumi"]
    archive.unlink()
    assert tools.pulumi(said.append) == tool


def test_an_archive_with_another_digest_is_not_unpacked_and_the_cli_is_built(
    served: Served, said: list[str], tmp_path: Path
) -> None:
    digest = hashlib.sha256(served(pinned=False).read_bytes()).hexdigest()
    log = go(tmp_path)
    assert tools.pulumi(said.append).path.read_bytes() == b""
    assert f"has the sha256 {digest} instead of {'0' * 64}; building the CLI instead" in said[1]
    assert len(log.read_text().splitlines()) == 1


@pytest.mark.parametrize("harm", ["cut off", "absent"])
def test_a_download_that_fails_is_named_and_the_cli_is_built(
    harm: str, served: Served, said: list[str], tmp_path: Path
) -> None:
    archive = served()
    archive.write_bytes(archive.read_bytes()[:-9])
    if harm == "absent":
        archive.unlink()
    assert go(tmp_path).parent == tmp_path
    assert tools.pulumi(said.append).path.read_bytes() == b""
    reason = {"cut off": "instead of", "absent": "cannot be downloaded (File not found)"}[harm]
    assert reason in said[1]
    assert sorted(path.name for path in (tmp_path / "cache/tools/pulumi-3.259.0").iterdir()) == [
        ".lock",
        "pulumi",
        "source",
    ]


def test_a_machine_without_an_archive_builds_the_cli(
    said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert go(tmp_path).parent == tmp_path
    assert tools.pulumi(said.append).version == "3.259.0"
    assert said[0].startswith("Building pulumi 3.259.0 with Go")


def test_a_build_that_fails_says_why(said: list[str], tmp_path: Path) -> None:
    script(tmp_path / "bin" / "go", "echo 'go: no such module' >&2; exit 1")
    with pytest.raises(tools.ToolMissing):
        tools.pulumi(said.append)
    assert "Go could not build it: go: no such module" in said


def test_kustomize_inside_kubectl_will_do(said: list[str], tmp_path: Path) -> None:
    version = '{"kustomizeVersion": "v5.5.0"}'
    path = script(tmp_path / "bin" / "kubectl", f"echo '{version}'")
    assert tools.kustomize(said.append).command == (str(path), "kustomize")
    assert said == [f"kustomize 5.5.0: {path} kustomize"]


def test_without_any_kustomize_it_is_built_once(said: list[str], tmp_path: Path) -> None:
    log, built = tmp_path / "log", tmp_path / "cache/tools/kustomize-5.7.1/kustomize"
    compiled = "printf '#!/bin/sh\necho (devel)' > $GOBIN/kustomize; chmod +x $GOBIN/kustomize"
    install = f'echo "$*" >> {log}; /bin/mkdir -p $GOBIN; {compiled}'
    script(tmp_path / "bin" / "go", install.replace("chmod", "/bin/chmod"))
    first, second = tools.kustomize(said.append), tools.kustomize(said.append)
    assert first == second == Kustomize((str(built), "build"), "5.7.1")
    package = "sigs.k8s.io/kustomize/kustomize/v5@v5.7.1"
    arguments = f"install -v -gcflags all=-dwarf=false -ldflags -s -w {package}\n"
    assert log.read_text() == arguments


def test_without_any_kustomize_one_sentence_names_the_ways(said: list[str]) -> None:
    with pytest.raises(tools.ToolMissing, match="put kustomize or kubectl on PATH, or install Go"):
        tools.kustomize(said.append)
