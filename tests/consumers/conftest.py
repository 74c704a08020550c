"""One database for all of its consumers."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.consumers.database import Database, database
from tests.consumers.stack import stack


@pytest.fixture(scope="session")
def rds(tmp_path_factory: pytest.TempPathFactory) -> Generator[Database]:
    with database(stack(), tmp_path_factory.mktemp("rds")) as running:
        yield running
