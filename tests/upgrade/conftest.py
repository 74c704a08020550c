"""The Beijing stack on one live cluster, as the tier test-live has it."""

from tests.live.conftest import live, pytest_configure, pytest_terminal_summary

__all__ = ["live", "pytest_configure", "pytest_terminal_summary"]
