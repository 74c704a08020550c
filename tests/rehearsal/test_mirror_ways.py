"""Each way of the image mirror on the real engine, which refuses what a provider would."""

from __future__ import annotations

from typing import Any

import pytest

from rehearsal.__main__ import refuse_leaks
from settings import from_mapping
from tests.components.mirror.simulated_image_mirror import mirror_program
from tests.rehearsal.conftest import Started

pytestmark = pytest.mark.engine


@pytest.mark.parametrize(
    ("transport", "settings"),
    [
        ("api-gateway", {}),
        ("in-cluster", {}),
        ("in-cluster", {"enforce": True, "rules": [{"action": "keep", "registries": ["quay.io"]}]}),
    ],
    ids=["api-gateway", "in-cluster", "enforced"],
)
def test_it_is_made_stays_as_it_is_and_goes(
    transport: str, settings: dict[str, Any], started: Started
) -> None:
    program = mirror_program("cn-north-1", "us-west-2", transport, **settings)
    with started(program) as rehearsal:
        outcome = rehearsal.up()
        assert set(outcome.changes) == {"create"}
        refuse_leaks(from_mapping({"region": "cn-north-1"}), outcome.resources)
        assert set(rehearsal.preview().changes) == {"same"}
        assert set(rehearsal.destroy().changes) == {"delete"}
