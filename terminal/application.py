"""Applications with commands: made alike, and ended alike."""

from __future__ import annotations

import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from terminal.exit_codes import INTERRUPTED
from terminal.output import messages

DEFAULT_STACK = "cn-north-1"

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
    try:
        app(prog_name=name)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    finally:
        # Threads of calls that do not answer are waited for.
        signal.signal(signal.SIGINT, signal.SIG_DFL)


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
