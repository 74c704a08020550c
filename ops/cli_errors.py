"""Errors of the command line: sentences on standard error and an exit code, without a traceback."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import pulumi

from rendering import RenderError
from rendering.machine_faults import machine_faults_reported
from rendering.steps import steps_shown
from settings import SettingsError
from terminal.exit_codes import BAD_INPUT, FAILED
from terminal.output import fail, messages
from toolchain.tools import ToolMissing

__all__ = ["BAD_INPUT", "FAILED", "Refused", "errors_reported", "fail", "messages"]


class Refused(Exception):
    """A request that cannot be met; the message is one sentence with the way out."""


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
