"""Errors of the command line: sentences on standard error and an exit code, without a traceback."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager

import pulumi
import typer
from rich.console import Console

from rendering import RenderError
from rendering.machine_faults import machine_faults_reported
from rendering.steps import steps_shown
from settings import SettingsError
from toolchain.tools import ToolMissing

BAD_INPUT = 2
FAILED = 1

messages = Console(stderr=True, emoji=False, highlight=False, soft_wrap=True, markup=False)
"""For people; standard output is for programs. Brackets are printed as they are."""


class Refused(Exception):
    """A request that cannot be met; the message is one sentence with the way out."""


def fail(sentences: Sequence[str], code: int) -> typer.Exit:
    """Print the sentences and return the exception to raise."""
    for sentence in sentences:
        messages.print(sentence, style="red")
    return typer.Exit(code)


@contextmanager
def errors_reported() -> Generator[None]:
    """Print errors of input and machine as sentences, and steps of rendering as they begin."""
    try:
        with (
            machine_faults_reported(),
            steps_shown(lambda line: messages.print(line, style="dim")),
        ):
            yield
    except SettingsError as error:
        raise fail(error.problems, BAD_INPUT) from None
    except (Refused, RenderError, ToolMissing, pulumi.RunError) as error:
        raise fail([str(error)], BAD_INPUT) from None
