"""``make bench``: bad input stops before any measurement, in a sentence."""

from __future__ import annotations

from typer.testing import CliRunner

from benchmarks.__main__ import app
from rehearsal.report import BAD_INPUT


def test_a_stack_that_does_not_exist_is_one_sentence() -> None:
    result = CliRunner().invoke(app, ["--stack", "cn-north-9"])
    assert result.exit_code == BAD_INPUT
    assert "Pulumi.cn-north-9.yaml does not exist" in result.stderr
    assert "Traceback" not in result.output
