"""Where the tools come from, and what is said when there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from rendering.kustomize import Kustomize
from toolchain import tools


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """An empty PATH and cache, an installer out of reach; returns what gets said."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("KUBEFLOW_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(tools, "_INSTALLER", "http://127.0.0.1:9/install.sh")
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


def test_without_path_cache_installer_and_go_one_sentence_names_the_ways(said: list[str]) -> None:
    with pytest.raises(tools.ToolMissing) as missing:
        tools.pulumi(said.append)
    assert str(missing.value) == (
        "There is no Pulumi CLI: put one on PATH, or let this machine reach Pulumi's own "
        "installer, or install Go so that it can be built."
    )


def test_without_an_installer_the_cli_is_built_once(said: list[str], tmp_path: Path) -> None:
    log = tmp_path / "log"
    script(
        tmp_path / "bin" / "go",
        f'echo "$*" >> {log}\nwhile [ $# -gt 0 ]; do [ "$1" = -o ] && : > "$2"; shift; done',
    )
    first, second = tools.pulumi(said.append), tools.pulumi(said.append)
    assert first.path == second.path == tmp_path / "cache/tools/pulumi-3.259.0/pulumi"
    (line,) = log.read_text().splitlines()
    assert line.endswith("version.Version=v3.259.0 github.com/pulumi/pulumi/pkg/v3/cmd/pulumi")


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
    assert log.read_text() == "install -v sigs.k8s.io/kustomize/kustomize/v5@v5.7.1\n"


def test_without_any_kustomize_one_sentence_names_the_ways(said: list[str]) -> None:
    with pytest.raises(tools.ToolMissing, match="put kustomize or kubectl on PATH, or install Go"):
        tools.kustomize(said.append)
