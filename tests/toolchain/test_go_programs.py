"""How a program is built from a pinned Go module: once, whoever else wants it, with a reason."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from tests.toolchain.test_tools import script
from toolchain.go_programs import GoProgram, alone, obtain

COMPILES = (
    'echo "$*" >> {log}\nwhile [ $# -gt 0 ]; do [ "$1" = -o ] && echo made > "$2"; shift; done'
)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GoProgram:
    """A module; an empty cache, and nothing on PATH but what a test puts there."""
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}")
    monkeypatch.setenv("KUBEFLOW_CACHE", str(tmp_path / "cache"))
    module = tmp_path / "module"
    module.mkdir()
    (module / "go.mod").write_text("module tiny\n")
    return GoProgram("tiny", "1.2.3", module, "example.com/tiny", {"a.B": "c"}, "no time")


def test_it_is_built_once_from_a_copy_of_its_module(program: GoProgram, tmp_path: Path) -> None:
    log = tmp_path / "log"
    script(tmp_path / "bin" / "go", COMPILES.format(log=log))
    said: list[str] = []
    first, second = obtain(program, said.append), obtain(program, said.append)
    assert first == second == tmp_path / "cache/tools/tiny-1.2.3/tiny"
    command = log.read_text()
    assert command.startswith("build -v -gcflags all=-dwarf=false -ldflags -s -w -X a.B=c -o ")
    assert command.endswith(" example.com/tiny\n")
    assert said[0] == "Building tiny 1.2.3 with Go: no time, once"
    assert [file.name for file in (tmp_path / "module").iterdir()] == ["go.mod"]


def test_without_go_and_after_a_failed_build_there_is_a_reason(
    program: GoProgram, tmp_path: Path
) -> None:
    said: list[str] = []
    assert obtain(program, said.append) is None
    script(tmp_path / "bin" / "go", "echo working >&2; echo 'go: no such module' >&2; exit 1")
    assert obtain(program, said.append) is None
    assert said[0] == "There is no Go on PATH to build tiny with"
    assert said[-1] == "Go could not build it: go: no such module"


def test_who_comes_second_waits_and_finds_it(program: GoProgram, tmp_path: Path) -> None:
    said: list[str] = []
    with alone(program.folder, said.append):
        second = threading.Thread(target=lambda: said.append(str(obtain(program, said.append))))
        second.start()
        limit = time.monotonic() + 60
        while not said and time.monotonic() < limit:
            time.sleep(0.01)
        assert said == ["Another process is getting this tool; waiting for it"]
        program.path.write_text("made by the first")
    second.join(60)
    assert said[1:] == [str(program.path)]
