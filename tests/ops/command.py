"""The command line as a person runs it, inside this process."""

from __future__ import annotations

from typer.testing import CliRunner, Result

from ops.__main__ import app


def kf(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)
