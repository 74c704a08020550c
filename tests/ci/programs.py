"""actionlint, which reads workflows as GitHub does, and passes their scripts to shellcheck.

It is built once with Go from the module in ``tests/ci/actionlint/``; its Python package would
download a program from a host that China cannot reach well.
"""

from __future__ import annotations

from pathlib import Path

from toolchain.go_programs import GoProgram

ACTIONLINT = GoProgram(
    name="actionlint",
    version="1.7.12",
    module=Path(__file__).parent / "actionlint",
    package="github.com/rhysd/actionlint/cmd/actionlint",
    variables={"github.com/rhysd/actionlint.version": "1.7.12"},
    takes="about a minute on two cores",
)
