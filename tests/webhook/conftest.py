"""The certificate of a server of the webhook, one for the tests of a module."""

from __future__ import annotations

import pytest

from benchmarks.certificates import Certificate, self_signed


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return self_signed(tmp_path_factory.mktemp("certificate"))
