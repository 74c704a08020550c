"""The two functions of an API Gateway before a real API server, which knows roles of AWS as EKS's.

The server asks a webhook about tokens, as EKS has it ask aws-iam-authenticator; what that refuses
is in ``tests.webhook.eks_authenticator``. Lambda's asynchronous invocation is a thread.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from typing import Any

import pytest

from benchmarks.certificates import self_signed
from components.mirror.events import GROUP
from regions.region import Region
from tests.webhook.eks_authenticator import Authenticator, TokenRefused
from webhook import lambda_handler
from webhook.event_notices import Limits
from webhook.event_request import EventRequest
from webhook.outcomes import Report
from webhook.service import Decide

CLUSTER, REGION = "research", Region.of("us-gov-west-1")
ROLE = "arn:aws-us-gov:sts::111122223333:assumed-role/events/research-image-events"
KEYS = {"ASIAEVENTS": "secret token-of-the-session"}


@dataclass
class TokenReviews:
    """The webhook of the server's authentication.

    Attributes:
        arguments: of the server.
        judge: of tokens.
        refused: why tokens were.
    """

    arguments: list[str]
    judge: Authenticator
    refused: list[str] = field(default_factory=list[str])

    def answer(self, review: Mapping[str, Any]) -> dict[str, Any]:
        """The answer about one token: who calls, with the groups of the access entry."""
        status: dict[str, Any] = {"authenticated": False}
        try:
            assert self.judge.caller(review["spec"]["token"]) in KEYS
            status = {"authenticated": True, "user": {"username": ROLE, "groups": [GROUP]}}
        except TokenRefused as refused:
            self.refused.append(str(refused))
        return {"apiVersion": review["apiVersion"], "kind": "TokenReview", "status": status}


@contextmanager
def token_reviews(folder: Path) -> Generator[TokenReviews]:
    """Serves the webhook until the end of the block; files are made in the folder."""
    pair = self_signed(folder)
    tls = SSLContext(PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pair.certificate, pair.key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    authority = base64.b64encode(pair.certificate.read_bytes()).decode()
    where = {
        "server": f"https://127.0.0.1:{server.server_port}/authenticate",
        "certificate-authority-data": authority,
    }
    context = {"cluster": "authenticator", "user": "server"}
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "authenticator", "cluster": where}],
        "users": [{"name": "server"}],
        "contexts": [{"name": "webhook", "context": context}],
        "current-context": "webhook",
    }
    file = folder / "authenticator.kubeconfig"
    file.write_text(json.dumps(kubeconfig), encoding="utf-8")
    made = TokenReviews(
        [
            f"--authentication-token-webhook-config-file={file}",
            "--authentication-token-webhook-version=v1",
            # Two tokens of one second are the same.
            "--authentication-token-webhook-cache-ttl=0s",
        ],
        Authenticator(CLUSTER, REGION, KEYS),
    )
    server.RequestHandlerClass = _handler(made)
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(made: TokenReviews) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_POST(self) -> None:
            review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = json.dumps(made.answer(review)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Nobody reads an access log."""

    return Handler


class Invocation:
    """What Lambda hands to a handler beside its event."""

    def get_remaining_time_in_millis(self) -> int:
        return 240_000


@dataclass
class Functions:
    """Both functions in one process.

    Attributes:
        invocations: of ``post_events``, each with what was raised.
    """

    decision: Callable[[Callable[[Report], None]], Decide] | None = None
    invocations: list[Future[None]] = field(default_factory=list[Future[None]])
    _lambda: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))

    def invoke(self, **request: Any) -> None:
        """As the client of Lambda: queues the event."""
        assert request["InvocationType"] == "Event"
        assert request["FunctionName"] == "research-image-events"
        event = json.loads(request["Payload"])
        self.invocations.append(
            self._lambda.submit(lambda_handler.post_events, event, Invocation())
        )

    def admit(self, body: object, _deadline: float) -> dict[str, Any]:
        """A review through the function that API Gateway invokes."""
        answer = lambda_handler.admit({"body": json.dumps(body)}, None)
        return json.loads(answer["body"])


@contextmanager
def functions(cluster: Mapping[str, Any], limits: Limits) -> Generator[Functions]:
    """Both functions of the cluster of a kubeconfig, until the end of the block."""
    made = Functions()
    secret, _, session = KEYS["ASIAEVENTS"].partition(" ")
    variables = {
        "AWS_ACCESS_KEY_ID": "ASIAEVENTS",
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_SESSION_TOKEN": session,
        "AWS_REGION": REGION.name,
        "AWS_LAMBDA_FUNCTION_NAME": "research-image-events",
        "MIRROR_REGISTRY": "of no review here",
        "MIRROR_TABLE": "none",
        "MIRROR_IN_FLIGHT_SECONDS": "60",
        "MIRROR_EVENTS": "research-image-events",
        "MIRROR_CLUSTER": CLUSTER,
        "MIRROR_API_SERVER": cluster["server"],
        "MIRROR_API_AUTHORITY": cluster["certificate-authority-data"],
        "MIRROR_STS_HOST": REGION.service_host("sts"),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        request = EventRequest(lambda_handler._queue, limits)  # pyright: ignore[reportPrivateUsage]

        def decide(body: object, deadline: float) -> dict[str, Any]:
            assert made.decision is not None
            return made.decision(request.keep)(body, deadline)

        patch.setattr(lambda_handler, "_EVENTS", request)
        patch.setattr(lambda_handler, "_decide", decide)
        patch.setattr(lambda_handler, "_notices", lambda: made)
        patch.setattr(lambda_handler, "_LIMITS", limits)
        for each in ("_ASKING_SECONDS", "_ANSWER_SECONDS"):
            patch.setattr(lambda_handler, each, 60)  # however busy this machine is
        _forget()
        yield made
        made._lambda.shutdown(cancel_futures=True)  # pyright: ignore[reportPrivateUsage]
        _forget()


def _forget() -> None:
    for each in ("_environment", "_reporter"):
        getattr(lambda_handler, each).cache_clear()
