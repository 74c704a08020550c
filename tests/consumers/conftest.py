"""One database for all of its consumers, and the services of AWS for those of one module."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.consumers.database import Database, database
from tests.consumers.judged_aws import JudgedAws, judged_aws
from tests.consumers.stack import stack


@pytest.fixture(scope="session")
def rds(tmp_path_factory: pytest.TempPathFactory) -> Generator[Database]:
    with database(stack(), tmp_path_factory.mktemp("rds")) as running:
        yield running


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Generator[JudgedAws]:
    with judged_aws(stack(), tmp_path_factory.mktemp("aws")) as running:
        yield running
