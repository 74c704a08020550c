"""Each way of the image mirror on the real engine, which refuses what a provider would."""

from __future__ import annotations

import pytest

from tests.components.simulated_image_mirror import mirror_program
from tests.rehearsal.conftest import Started

pytestmark = pytest.mark.engine


@pytest.mark.parametrize(
    ("transport", "credentials"),
    [("private-api", "key-pair"), ("in-cluster", "web-identity")],
)
def test_it_is_made_stays_as_it_is_and_goes(
    transport: str, credentials: str, started: Started
) -> None:
    program = mirror_program("cn-north-1", "us-west-2", transport, credentials=credentials)
    with started(program) as rehearsal:
        assert set(rehearsal.up().changes) == {"create"}
        assert set(rehearsal.preview().changes) == {"same"}
        assert set(rehearsal.destroy().changes) == {"delete"}
