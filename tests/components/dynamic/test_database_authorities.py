"""The region's root certificates: downloaded once, checked, or taken from a file."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, cast

import pytest

from components.dynamic.database_authorities import (
    AuthoritiesUnreachable,
    DatabaseAuthoritiesProvider,
    downloaded,
)
from regions.region import Region
from settings import certificates
from tests.components.backend.simulated_backend import backend
from tests.harness import REGIONS
from tests.settings.test_certificates import ONE

ROOT = Path(__file__).resolve().parents[3]
AUTHORITIES = "pulumi-python:dynamic:DatabaseAuthorities"
every_region = pytest.mark.parametrize("region", REGIONS)


class TrustStore(HTTPServer):
    """Answers on the loopback interface: first with ``answers``, one each, then with the last."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.answers: list[tuple[int, str]] = [(200, ONE)]
        self.asked = 0
        self.url = f"http://127.0.0.1:{self.server_port}/bundle.pem"


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        store = cast(TrustStore, self.server)
        status, body = store.answers[min(store.asked, len(store.answers) - 1)]
        store.asked += 1
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a test's own requests are no news."""


def _no_pause(_: float) -> None:
    """Waiting between attempts is tenacity's own and tested there."""


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[TrustStore]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr("tenacity.nap.time.sleep", _no_pause)
    with TrustStore() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


# -- the download ---------------------------------------------------------------------------------


def test_the_roots_are_downloaded_when_the_resource_is_made(store: TrustStore) -> None:
    made = DatabaseAuthoritiesProvider().create({"url": store.url, "pem": None})
    assert made.outs == {"url": store.url, "pem": ONE}
    assert made.id == store.url


def test_requests_to_a_busy_trust_store_are_repeated(store: TrustStore) -> None:
    store.answers = [(503, "busy"), (500, "busy"), (200, ONE)]
    assert downloaded(store.url) == ONE
    assert store.asked == 3


@pytest.mark.parametrize(
    ("status", "body", "asked"),
    [(404, "not here", 1), (403, "not you", 1), (503, "busy", 4), (200, "<html/>", 1)],
)
def test_a_failed_download_is_one_sentence_with_the_way_out(
    store: TrustStore, status: int, body: str, asked: int
) -> None:
    store.answers = [(status, body)]
    with pytest.raises(AuthoritiesUnreachable) as told:
        downloaded(store.url)
    assert store.url in str(told.value)
    assert "kubeflow:database.caBundle" in str(told.value)
    assert store.asked == asked


def test_only_another_address_downloads_again() -> None:
    state = {"url": "https://one", "pem": ONE}
    provider = DatabaseAuthoritiesProvider()
    assert provider.diff("id", state, {"url": "https://one"}).changes is False
    assert provider.diff("id", state, {"url": "https://two"}).replaces == ["url"]
    assert provider.read("id", dict(state)).outs == state


# -- in the stack ---------------------------------------------------------------------------------


@every_region
def test_the_roots_come_from_the_trust_store_of_the_partition(region: str) -> None:
    recorded = backend(region)
    made = recorded.only(AUTHORITIES)
    assert made.inputs["url"] == Region.of(region).rds_ca_bundle_url
    assert recorded.exports["authorities"] == made.outputs["pem"]
    assert recorded.exports["authorities"].startswith("-----BEGIN CERTIFICATE-----\n")
    assert not made.secrets


@every_region
def test_a_file_takes_the_place_of_the_download(region: str, tmp_path: Path) -> None:
    file = tmp_path / "roots.pem"
    file.write_text(ONE)
    recorded = backend(region, database={"caBundle": str(file)})
    assert recorded.exports["authorities"] == certificates.read(str(file)) == ONE
    assert recorded.none(AUTHORITIES)
