"""./kf completion: real shells complete commands, options, stacks and files, without Python."""

from __future__ import annotations

import os
import pty
import re
import select
import shlex
import shutil
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ops.completion import tables
from tests.conftest import NOTHING_IS_LEFT_OUT
from tests.ops.command import kf

SHELLS = ("bash", "zsh", "fish")


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A script per shell, under the name that bash-completion loads."""
    folder = tmp_path_factory.mktemp("completion")
    for shell in SHELLS:
        done = kf("completion", shell)
        assert done.exit_code == 0, done.output
        (folder / f"kf.{shell}").write_text(done.stdout)
    return folder


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder as of another clone, with stacks of its own, and a program that is never started."""
    folder = tmp_path / "clone"
    folder.mkdir()
    for name in ("Pulumi.yaml", "Pulumi.alpha.yaml", "Pulumi.all-in.yaml", "Pulumi.beta.yaml"):
        (folder / name).touch()
    (folder / "kf").write_text("#!/bin/sh\ntouch started\n")
    (folder / "kf").chmod(0o755)
    return folder


def needed(shell: str) -> str:
    program = shutil.which(shell)
    if program is None:
        if NOTHING_IS_LEFT_OUT:
            pytest.fail(f"no {shell}")
        pytest.skip(f"no {shell}")
    return program


@contextmanager
def terminal(shell: str, folder: Path, script: Path) -> Generator[int]:
    """An interactive shell of nobody's configuration with the script, on a terminal."""
    options = {"bash": ["--norc", "--noprofile", "-i"], "zsh": ["-f", "-i"]}[shell]
    program = needed(shell)
    child, end = pty.fork()
    if child == 0:
        os.chdir(folder)
        home = {"HOME": str(folder.parent), "PS1": "$ ", "TERM": "dumb", "LC_ALL": "C.UTF-8"}
        os.execve(program, [shell, *options], {**os.environ, **home})  # noqa: S606
    try:
        load = "autoload -U compinit; compinit -D -u; unsetopt zle_bracketed_paste 2>/dev/null; "
        typed(
            end, f"{load if shell == 'zsh' else ''}source {script}; echo is-$((40+2))\n", "(is-42)"
        )
        yield end
    finally:
        os.close(end)
        os.kill(child, 9)
        os.waitpid(child, 0)


def typed(end: int, keys: str, until: str) -> str:
    """The part of a pattern that the terminal shows after these keys."""
    os.write(end, keys.encode())
    shown, limit = "", time.monotonic() + 300
    while (match := re.search(until, shown)) is None:
        ready, _, _ = select.select([end], [], [], max(0.0, limit - time.monotonic()))
        assert ready, f"{until!r} not in {shown!r}"
        shown += os.read(end, 65536).decode(errors="replace")
    return match[1]


CASES = [
    ("./kf ver\t", "./kf verify"),
    ("./kf images ch\t", "./kf images check"),
    ("./kf doctor --off\t", "./kf doctor --offline"),
    ("./kf doctor --stack be\t", "./kf doctor --stack beta"),
    ("./kf doctor --stack=be\t", "./kf doctor --stack=beta"),
    ("./kf --version doctor --format j\t", "./kf --version doctor --format json"),
    ("./kf images list --stack x --fo\t", "./kf images list --stack x --format"),
    ("./kf completion fi\t", "./kf completion fish"),
    ("./kf bundle create --release 26\t", "./kf bundle create --release 26.03"),
    ("./kf bundle verify Pulumi.be\t", "./kf bundle verify Pulumi.beta.yaml"),
    ("./kf images list --bundle Pulumi.be\t", "./kf images list --bundle Pulumi.beta.yaml"),
    ("~/clone/kf doctor --stack be\t", "~/clone/kf doctor --stack beta"),
]


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_shell_completes_what_is_typed(shell: str, clone: Path, scripts: Path) -> None:
    with terminal(shell, clone, scripts / f"kf.{shell}") as end:
        for keys, completed in CASES:
            # The shell itself prints the line that it has completed.
            to_begin, to_end = "\x01", "\x05"
            line = f'{keys}{to_begin}echo "is: {to_end}" .\n'
            assert typed(end, line, r"\nis: (.*?) +\.\r") == completed
    assert not (clone / "started").exists()


def candidates(shell: str, scripts: Path, clone: Path, words: str) -> list[str]:
    """Everything that is offered for the last of the words."""
    script = scripts / f"kf.{shell}"
    if shell == "fish":
        command = f"source {script}; complete -C '{words}'"
    else:
        *before, current = words.split(" ")
        command = (
            f"source {script}; COMP_WORDS=({shlex.join([*before, current])}); "
            f"COMP_CWORD={len(before)}; _kf; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        )
    options = {"bash": ["--norc"], "fish": ["--no-config"]}[shell]
    done = subprocess.run(
        [needed(shell), *options, "-c", command],
        cwd=clone,
        env={**os.environ, "HOME": str(clone.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return sorted(line for line in done.stdout.splitlines() if line)


@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_every_command_and_every_option_is_offered(shell: str, scripts: Path, clone: Path) -> None:
    words, values = tables()
    assert len(words) > 12
    for place, offered in words.items():
        named = [word for word in offered if not word.startswith((":", "-"))]
        before = f"./kf {place} ".replace("  ", " ")
        assert set(named) <= {*candidates(shell, scripts, clone, before)}, place
        options = sorted(word for word in offered if word.startswith("--"))
        assert candidates(shell, scripts, clone, f"{before}--") == options
    for option in values:
        place, _, name = option.rpartition(" ")
        offered = candidates(shell, scripts, clone, f"./kf {place} {name} ".replace("  ", " "))
        if name == "--stack":
            assert offered == ["all-in", "alpha", "beta"]
        if name == "--format":
            # A plan has no table: it is a page.
            page = "markdown" if place == "plan" else "table"
            assert offered == sorted(["json", page, "text"])


@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_stacks_are_those_of_the_clone_that_is_typed(
    shell: str, scripts: Path, clone: Path, tmp_path: Path
) -> None:
    link = tmp_path / "bin" / "kf"
    link.parent.mkdir()
    link.symlink_to(clone / "kf")
    for program in (clone / "kf", link, "../clone/kf", "~/clone/kf"):
        offered = candidates(shell, scripts, clone, f"{program} verify --stack al")
        assert offered == ["all-in", "alpha"], program
    other = candidates(shell, scripts, clone, "kf verify --stack cn-north-1")
    assert other == ["cn-north-1", "cn-north-1-kf151"]


def test_a_tab_takes_no_time(scripts: Path, clone: Path) -> None:
    """Python alone, with the modules of one command, takes a second and more."""
    start = time.process_time() + os.times().children_user
    for _ in range(5):
        candidates("bash", scripts, clone, "./kf doctor --stack al")
    assert time.process_time() + os.times().children_user - start < 1.0
