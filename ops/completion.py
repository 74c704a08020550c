"""``./kf completion``: scripts that complete ``./kf`` in a shell.

A script has every command and option in it, so that a Tab starts no Python. Stacks are the files
in the folder of the ``kf`` that is being typed.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ops import targets
from rendering.release import stand_alone
from terminal.output import say

STACKS, FILES, NOTHING = ":stacks", ":files", ":nothing"
"""Instead of words: names of stacks, of files, and a value that cannot be completed."""

_SCRIPTS = Path(__file__).parent / "completions"


def completion(
    shell: Annotated[Literal["bash", "zsh", "fish"], typer.Argument(help="Of your terminal.")],
) -> None:
    """Prints a script that completes ./kf in a shell.

    For bash, put it into ~/.local/share/bash-completion/completions/kf; for zsh, into a file _kf
    in a folder of fpath; for fish, into ~/.config/fish/completions/kf.fish. Print it anew after an
    update of the project.

    Example: `source <(./kf completion bash)`
    """
    words, values = tables()
    text = (_SCRIPTS / f"kf.{shell}").read_text("utf-8")
    if shell != "fish":
        text = (_SCRIPTS / "candidates.sh").read_text("utf-8") + text
    branch = _fish_branch if shell == "fish" else _sh_branch
    for mark, table in (("@WORDS@", words), ("@VALUES@", values)):
        text = text.replace(mark, "\n".join(branch(key, table[key]) for key in sorted(table)))
    say(text.replace("@PROJECT@", shlex.quote(str(targets.PROJECT))).rstrip())


def tables() -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Command -> the words after it; command and option -> the words of its value."""
    from ops.__main__ import COMMANDS, app, imported

    words, values = dict[str, list[str]](), dict[str, list[str]]()
    root = typer.main.get_group(app)
    commands = {name: imported(name) for name in COMMANDS}
    every: list[tuple[str, Any]] = [("", root), *_below("", commands)]
    for place, command in every:
        names = commands if command is root else getattr(command, "commands", {})
        words[place] = [*names, "--help"]
        for parameter in command.params:
            if parameter.param_type_name == "argument":
                words[place] += _values(parameter)
                continue
            names = [*parameter.opts, *parameter.secondary_opts]
            words[place] += [name for name in names if name.startswith("--")]
            if not parameter.is_flag:
                values |= {f"{place} {name}": _values(parameter) for name in names}
    return words, values


def _below(place: str, commands: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, command in commands.items():
        words = f"{place} {name}".strip()
        yield words, command
        yield from _below(words, getattr(command, "commands", {}))


def _values(parameter: Any) -> list[str]:
    kind = parameter.type_descriptor
    if kind.choices:
        return list(kind.choices)
    if kind.is_path:
        return [FILES]
    if parameter.name == "release":
        return list(stand_alone(targets.MANIFESTS))
    return [STACKS if parameter.name == "stack" else NOTHING]


def _sh_branch(key: str, words: list[str]) -> str:
    return f"    {shlex.quote(key)}) echo {shlex.quote(' '.join(words))} ;;"


def _fish_branch(key: str, words: list[str]) -> str:
    return f"        case {shlex.quote(key)}\n            printf '%s\\n' {shlex.join(words)}"
