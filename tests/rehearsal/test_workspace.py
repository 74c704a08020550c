"""The engine's workspace, whatever the person's own environment is."""

from __future__ import annotations

import pytest

from tests.rehearsal.conftest import Started


@pytest.mark.engine
@pytest.mark.parametrize("compression", ["GZIP", "ZSTD"])
def test_a_stack_is_found_again_where_the_persons_own_states_are_compressed(
    started: Started, monkeypatch: pytest.MonkeyPatch, compression: str
) -> None:
    monkeypatch.setenv(f"PULUMI_DIY_BACKEND_{compression}", "true")
    for expected in ({"create"}, {"same"}):
        with started() as rehearsal:
            assert set(rehearsal.up().changes) == expected
