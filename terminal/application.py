"""Applications with commands: made alike, and ended alike."""

from __future__ import annotations

import signal
import sys
import unicodedata
from collections.abc import Generator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from terminal.exit_codes import BAD_INPUT, INTERRUPTED
from terminal.output import messages

DEFAULT_STACK = "cn-north-1"
_MINUS = "\N{MINUS SIGN}"

Stack = Annotated[
    str, typer.Option(help="The stack: Pulumi.<stack>.yaml.", envvar="KF_STACK", metavar="STACK")
]


def application(**options: Any) -> typer.Typer:
    """An application or a group of commands."""
    return typer.Typer(
        add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None, **options
    )


def run(app: typer.Typer, name: str) -> None:
    """Run the command of ``sys.argv``. Ctrl-C ends it without a traceback, also the second one.

    Args:
        app: the commands.
        name: of the program, for its help.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if pasted := next(filter(None, map(_pasted, sys.argv[1:])), ""):
        messages.print(pasted)
        sys.exit(BAD_INPUT)
    try:
        app(prog_name=name)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    finally:
        # Threads of calls that do not answer are waited for.
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _pasted(word: str) -> str:
    """The sentence about an option with a sign that web pages have in place of an ASCII one."""
    for place, each in enumerate(word):
        category = "" if each.isascii() else unicodedata.category(each)
        if word[:place] in ("", "-") and (category == "Pd" or each == _MINUS):
            name = word.lstrip(word[: place + 1])
            wanted, instead = "a hyphen", f"{'--' if name[1:] else '-'}{name}"
        elif category == "Zs" and (word.startswith("-") or f"{each}-" in word):
            wanted, instead = "a space", word.replace(each, " ")
        else:
            continue
        sign = f"{unicodedata.name(each)} (U+{ord(each):04X})"
        return f"{word!r} has {sign} for {wanted}: write {instead}."
    return ""


@contextmanager
def interruptible(sentence: str) -> Generator[None]:
    """Ctrl-C and SIGTERM end the block in the same way, with this sentence."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        messages.print(sentence)
        raise typer.Exit(INTERRUPTED) from None
    finally:
        signal.signal(signal.SIGTERM, before)
