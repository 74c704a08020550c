"""Every command explains itself in the words of its source: `--help` at any width, `make help`."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import benchmarks.__main__
import ops.__main__
import rehearsal.__main__
import rendering.golden
import rendering.new_release

ROOT = Path(__file__).resolve().parent.parent
APPS = {
    "./kf": ops.__main__.app,
    "python -m benchmarks": benchmarks.__main__.app,
    "python -m rehearsal": rehearsal.__main__.app,
    "python -m rendering.golden": rendering.golden.app,
    "python -m rendering.new_release": rendering.new_release.app,
}


Command = Any  # Typer has Click's classes twice: its own copy, and none that it publishes.


def commands(app: typer.Typer) -> Iterator[tuple[tuple[str, ...], Command]]:
    """Every command and every group of an application: the words that call it, and the command."""

    def below(
        words: tuple[str, ...], command: Command
    ) -> Iterator[tuple[tuple[str, ...], Command]]:
        yield words, command
        for name, child in getattr(command, "commands", {}).items():
            called = isinstance(command, ops.__main__.ImportedWhenCalled)
            yield from below((*words, name), ops.__main__.imported(name) if called else child)

    return below((), typer.main.get_command(app))


ALL = [
    pytest.param(app, words, command, id=" ".join((program, *words)))
    for program, app in APPS.items()
    for words, command in commands(app)
]


def unwrapped(text: str) -> str:
    """The text without what wrapping changes: white space, also after the hyphen of a long word."""
    return "".join(text.split())


def written(command: Command) -> list[str]:
    """Each paragraph and each description of an option that the source has for a command."""
    described = [getattr(parameter, "help", None) for parameter in command.params]
    texts = [*inspect.cleandoc(command.help or "").split("\n\n"), *described]
    return [unwrapped(text) for text in texts if text]


@pytest.mark.parametrize("columns", [40, 80, 200])
@pytest.mark.parametrize(("app", "words", "command"), ALL)
def test_help_has_the_words_of_the_source_at_every_width(
    app: typer.Typer, words: tuple[str, ...], command: Command, columns: int
) -> None:
    result = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": str(columns)})
    assert result.exit_code == 0, result.exception
    shown = unwrapped(result.stdout)
    assert [text for text in written(command) if text not in shown] == []


def test_every_program_with_a_command_line_is_asked() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    runnable = {
        name
        for name in tracked
        if re.search(r"^    run\(app", (ROOT / name).read_text("utf-8"), flags=re.MULTILINE)
    }
    assert runnable == {
        "benchmarks/__main__.py",
        "ops/__main__.py",
        "rehearsal/__main__.py",
        "rendering/golden.py",
        "rendering/new_release.py",
    }
    assert len(ALL) > 15


def test_the_list_of_commands_has_the_first_line_of_each() -> None:
    lines = {name: summary for name, (_, summary) in ops.__main__.COMMANDS.items()}
    helps = {name: inspect.cleandoc(ops.__main__.imported(name).help or "") for name in lines}
    assert lines == {name: text.splitlines()[0] for name, text in helps.items()}
    shown = unwrapped(CliRunner().invoke(ops.__main__.app, "--help", env={"COLUMNS": "80"}).stdout)
    assert [line for line in lines.values() if unwrapped(line) not in shown] == []


def test_the_list_of_commands_imports_none_of_them() -> None:
    """Which takes two seconds of processor time."""
    code = "import sys, ops.__main__; print([n for n in sys.modules if n.startswith('ops.')])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "['ops.__main__']"


@pytest.mark.parametrize("words", [[], ["images"], ["images", "lock"]])
def test_the_command_itself_prints_its_help(words: list[str]) -> None:
    result = subprocess.run(
        [ROOT / "kf", *words, "--help"], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(f"Usage: {' '.join(['kf', *words])} [OPTIONS]")


# -- make -----------------------------------------------------------------------------------------


def make(*arguments: str, expected: int) -> str:
    result = subprocess.run(
        ["make", "-s", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == expected, result.stderr
    return result.stdout


def test_make_help_lists_every_target_with_its_own_description() -> None:
    # A question whose answer is no makes `make --question` end with 1.
    known = make("--print-data-base", "--question", "--no-builtin-rules", "bench", expected=1)
    targets = re.findall(r"^(?<!# Not a target:\n)([a-z][a-z-]*):", known, re.MULTILINE)
    rows = [line.split(maxsplit=1) for line in make("help", expected=0).splitlines()]
    assert {"preview", "up", "destroy", "setup", "help"} <= {*targets}
    assert sorted(target for target, _ in rows) == sorted(targets)
    assert len({what for _, what in rows}) == len(rows)
