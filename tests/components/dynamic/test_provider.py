"""What the engine shows of a provider that fails: the answer of Pulumi's own server."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from pulumi.dynamic.dynamic import serialize_provider
from pulumi.runtime.proto import provider_pb2

from components.dynamic.crds import CrdProvider
from components.dynamic.database_authorities import DatabaseAuthoritiesProvider
from components.dynamic.generated_secret import GeneratedSecretProvider
from components.dynamic.provider import DynamicProvider
from components.dynamic.release_advisories import ReleaseAdvisoriesProvider
from components.dynamic.serving_certificate import ServingCertificateProvider
from settings.errors import CREDENTIALS_ENDED
from tests.components.dynamic import pulumi_plugin


class Empty(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, format: str, *args: Any) -> None:
        """No line for each request."""


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A URL at which there are no certificates."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with http.server.HTTPServer(("127.0.0.1", 0), Empty) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield f"http://127.0.0.1:{server.server_port}/bundle.pem"
        server.shutdown()


def refusal(call: Any, request: Any) -> str:
    with pytest.raises(grpc.RpcError) as failed:
        call(request)
    answer: Any = failed.value
    return answer.details().strip()


class OfAnEndedSession(DynamicProvider):
    def outputs(self, news: dict[str, Any], _olds: dict[str, Any]) -> dict[str, Any]:
        raise RuntimeError("ExpiredTokenException: The security token included is expired")


def test_credentials_that_ended_are_one_sentence_without_calls() -> None:
    serialized = serialize_provider(OfAnEndedSession())
    create = provider_pb2.CreateRequest(properties=pulumi_plugin.sent(serialized))
    with pulumi_plugin.started() as plugin:
        refused = refusal(plugin.Create, create)
    assert refused.endswith(CREDENTIALS_ENDED)
    assert "components/" not in refused
    assert "ExpiredTokenException" not in refused


def test_a_refusal_is_shown_as_its_sentence_and_a_fault_with_its_calls(url: str) -> None:
    provider = serialize_provider(DatabaseAuthoritiesProvider())
    news = pulumi_plugin.sent(provider, url=url, pem=None)
    faulty = pulumi_plugin.sent(serialize_provider(GeneratedSecretProvider()), length="many")
    with pulumi_plugin.started() as plugin:
        create = provider_pb2.CreateRequest(properties=news)
        update = provider_pb2.UpdateRequest(id="id", olds=news, news=news)
        for call, request in ((plugin.Create, create), (plugin.Update, update)):
            *header, sentence = refusal(call, request).splitlines()
            # Some versions of Python have the heading of the calls that are left out.
            assert header in ([], ["Traceback (most recent call last):"])
            name, _, text = sentence.partition(": ")
            assert name.endswith(".AuthoritiesUnreachable")
            assert text.startswith("The root certificates of the region's databases cannot be")
            assert url in text
            fault = refusal(plugin.Create, provider_pb2.CreateRequest(properties=faulty))
            assert "components/dynamic/generated_secret.py" in fault


@pytest.mark.parametrize(
    ("provider", "call"),
    [
        (CrdProvider(), "Check"),
        (ReleaseAdvisoriesProvider(), "Check"),
        (ServingCertificateProvider(), "Diff"),
    ],
    ids=["an upgrade's conditions", "open advisories", "the end of a certificate"],
)
def test_a_fault_after_a_refusal_has_its_calls(provider: DynamicProvider, call: str) -> None:
    crds = {"digests": {"widgets.tiny.example": "0"}, "bundle": "0" * 64, "cluster": "c"}
    news = pulumi_plugin.sent(serialize_provider(CrdProvider()), **crds)
    serialized = serialize_provider(provider)
    olds, faulty = pulumi_plugin.sent(serialized), pulumi_plugin.sent(serialized, release=7)
    with pulumi_plugin.started() as plugin:
        refused = refusal(plugin.Create, provider_pb2.CreateRequest(properties=news))
        assert "components/" not in refused
        assert refused.endswith(" is missing: run the command again, which writes that file anew.")
        request: Any = getattr(provider_pb2, f"{call}Request")(olds=olds, news=faulty)
        assert "components/dynamic/" in refusal(getattr(plugin, call), request)
