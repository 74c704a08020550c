"""The fixture of the rehearsal's tests that these tests need."""

from __future__ import annotations

from tests.rehearsal.conftest import cli

__all__ = ["cli"]
