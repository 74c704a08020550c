"""How a command ends badly: sentences on standard error and an exit code, never a traceback."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager

import pulumi
import typer
from rich.console import Console

from rendering import RenderError
from rendering.steps import steps_shown
from settings import SettingsError
from toolchain.tools import ToolMissing

BAD_INPUT = 2
FAILED = 1

messages = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
"""For people; what a program could read goes to standard output. Brackets are no
markup."""


class Refused(Exception):
    """What was asked for cannot be done; the message is one sentence with the way out."""


def fail(sentences: Sequence[str], code: int) -> typer.Exit:
    """Prints the sentences; raise what is returned."""
    for sentence in sentences:
        messages.print(sentence, style="red")
    return typer.Exit(code)


@contextmanager
def told() -> Generator[None]:
    """Tells what is wrong with the input, and shows what rendering says about its steps."""
    try:
        with steps_shown(lambda line: messages.print(line, style="dim")):
            yield
    except SettingsError as error:
        raise fail(error.problems, BAD_INPUT) from None
    except (Refused, RenderError, ToolMissing, pulumi.RunError) as error:
        raise fail([str(error)], BAD_INPUT) from None
