"""Providers are called in this process here, and shorten tracebacks as in Pulumi's own."""

from __future__ import annotations

import sys

import pytest


@pytest.fixture(autouse=True)
def whole_tracebacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "tracebacklimit", 1000, raising=False)
